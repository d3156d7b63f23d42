/* hotset_vulkan.h: Hotset on a Vulkan device of the program's own, as of a game that draws with it. Beside hotset.h, whose rules hold here too.
 *
 *   1. hotset_vulkan_get_needs      before the device is made: which extensions, features and queues Hotset would like
 *   2. vkCreateDevice               with needs.features as its pNext, or with the program's own chain after hotset_vulkan_enable_features
 *   3. hotset_engine_open_vulkan    in place of hotset_engine_open; all else is as with any engine
 *
 * What Hotset does with what it is given:
 * - Instance, device and queues stay the program's: they are not destroyed, and have to live until hotset_engine_close has returned and no
 *   call is under way. Functions come from the program's vkGetInstanceProcAddr alone, into tables of the engine's own.
 * - The only use of a queue is vkQueueSubmit2, between `lock` and `unlock`. Hotset never waits for the device or a queue to be idle: it
 *   waits for timeline semaphores of its own. So it neither stops the program's frames nor is confused by them.
 * - With the option "slice" ("2": two milliseconds) submits of a session are cut so that none takes longer than that on the device, as
 *   far as what was measured before tells, and the next is handed in when the one before is done: the program's own submits get their
 *   turn in between. A single kernel is not cut; prompts go in smaller chunks until theirs fit. Copies on the compute queue are cut too, to
 *   what the measured link carries in a slice and at least 256 KiB; on a transfer queue of their own they are not: give one where the
 *   device has it. The first engine on a machine measures the links in larger steps.
 * - `allocator` is handed to every call that makes or destroys an object of the device.
 * - VRAM is taken under the engine's budget (option "vram"), as always.
 * - A device that is lost makes calls fail with HOTSET_DEVICE from then on: close the engine, make another device, open another engine.
 */
#ifndef HOTSET_HOTSET_VULKAN_H
#define HOTSET_HOTSET_VULKAN_H

#include <hotset/hotset.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { HOTSET_VULKAN_MOST_EXTENSIONS = 16 };

/* What Hotset wants of a device. Set `size` to sizeof before the call, the rest is filled. The feature structs point at each other: fill it
 * where it stays, do not copy or move it. */
typedef struct hotset_vulkan_needs {
  size_t size;
  uint32_t api_version;                  /* VkApplicationInfo.apiVersion, or more */
  uint32_t instance_extension_count;     /* to be enabled in the instance: none so far */
  const char* instance_extensions[HOTSET_VULKAN_MOST_EXTENSIONS];
  uint32_t required_extension_count;     /* to be enabled in the device: none so far */
  const char* required_extensions[HOTSET_VULKAN_MOST_EXTENSIONS];
  uint32_t wanted_extension_count;       /* that the device has and Hotset runs faster with */
  const char* wanted_extensions[HOTSET_VULKAN_MOST_EXTENSIONS];
  uint32_t compute_family;               /* one that the device has; any family that computes will do */
  uint32_t transfer_family;              /* one that does nothing but copy; VK_QUEUE_FAMILY_IGNORED: the device has none */
  VkPhysicalDeviceFeatures2 features;    /* the chain of these four, with what is needed on and all else off */
  VkPhysicalDeviceVulkan11Features features11;
  VkPhysicalDeviceVulkan12Features features12;
  VkPhysicalDeviceVulkan13Features features13;
} hotset_vulkan_needs;

/* Whether a physical device can run Hotset, and with what. Any thread. Error: HOTSET_UNSUPPORTED names what it lacks. */
HOTSET_API hotset_code hotset_vulkan_get_needs(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                                               VkPhysicalDevice physical_device, hotset_vulkan_needs* needs, hotset_error* error);

/* Turns what is needed on in a chain of the program's own that begins with `features`, and touches nothing else in it. A feature may lie
 * in the struct of its Vulkan version or in its own. Any thread. Error: HOTSET_INVALID_ARGUMENT names a struct that has to be chained. */
HOTSET_API hotset_code hotset_vulkan_enable_features(VkPhysicalDeviceFeatures2* features, hotset_error* error);

typedef struct hotset_vulkan_device {
  size_t size;
  PFN_vkGetInstanceProcAddr get_instance_proc_addr;
  VkInstance instance;                    /* made for Vulkan 1.3 or later */
  VkPhysicalDevice physical_device;       /* one of the instance's */
  VkDevice device;
  const VkDeviceCreateInfo* created_with; /* what vkCreateDevice was given, with its chain: Vulkan cannot be asked. Read during the call only. */
  uint32_t compute_family;
  VkQueue compute_queue;                  /* may be one that the program draws with, given lock and unlock */
  uint32_t transfer_family;
  VkQueue transfer_queue;                 /* for copies to VRAM; NULL: the compute queue */
  const VkAllocationCallbacks* allocator; /* copied, but for what pUserData is, which has to live as long as the device; NULL: the driver's */
  /* Called round every use of a queue, in a thread that calls Hotset: keep other users of the queue out meanwhile, those of other engines too.
   * Held for one submit, never while waiting. Both NULL: nobody else uses the queues. The program must not hold its lock while it
   * calls Hotset, and the functions must not call Hotset. */
  void (*lock)(void* user, VkQueue queue);
  void (*unlock)(void* user, VkQueue queue);
  void* lock_user;
} hotset_vulkan_device;
#define HOTSET_VULKAN_DEVICE_INIT {sizeof(hotset_vulkan_device), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* As hotset_engine_open, on this device: the option "device" has to be "auto" or "vulkan". Handles are believed; what can be checked is.
 * Errors: HOTSET_INVALID_ARGUMENT, a handle or a queue that cannot be; HOTSET_UNSUPPORTED, what the device lacks or was not made with. */
HOTSET_API hotset_code hotset_engine_open_vulkan(const hotset_engine_params* params, const hotset_vulkan_device* device, hotset_engine** engine,
                                                 hotset_error* error);

#ifdef __cplusplus
}
#endif

#endif
