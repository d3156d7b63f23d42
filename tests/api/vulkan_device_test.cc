// Engines on a Vulkan device of the program's own: the same tokens, nothing done that the program does not allow, errors that say what lacks.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <thread>

#include "tests/api/vulkan_rig.h"
#include "tests/engine/model_rig.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::has_device;
using hotset::test::VulkanRig;

namespace {

api::options small(const char* device = "vulkan") {
  api::options options;
  options.set("device", device).set("ctx", "64").set("batch", "16").set("temp", "0").set("miss", "gpu");
  return options;
}

struct Told {
  std::vector<hotset_token> tokens;
  std::vector<float> logits;  // after the last
  bool operator==(const Told&) const = default;
};

Told tell(const api::engine& engine, const char* start = "Once upon a time", int count = 10) {
  api::session session(engine);
  session.feed(engine.tokenize(start));
  Told told;
  for (int i = 0; i < count; ++i) {
    told.tokens.push_back(session.sample());
    session.feed({&told.tokens.back(), 1});
  }
  told.logits.assign(session.logits().begin(), session.logits().end());
  return told;
}

// Where Hotset keeps what it measured, for as long as it lives.
class CacheFolder {
 public:
  explicit CacheFolder(const std::string& path) : before_(std::getenv("XDG_CACHE_HOME") ? std::getenv("XDG_CACHE_HOME") : "") {
    ::setenv("XDG_CACHE_HOME", path.c_str(), 1);
  }
  ~CacheFolder() {
    if (before_.empty()) ::unsetenv("XDG_CACHE_HOME");
    else ::setenv("XDG_CACHE_HOME", before_.c_str(), 1);
  }
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;

 private:
  const std::string before_;
};

std::string refusal(const hotset_vulkan_device* device, hotset_code expected, const api::options& options = small()) {
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options.handle();
  hotset_engine* engine = nullptr;
  hotset_error said = HOTSET_ERROR_INIT;
  CHECK(hotset_engine_open_vulkan(&params, device, &engine, &said) == expected);
  CHECK(engine == nullptr);
  return said.message;
}

}  // namespace

TEST_CASE("model: caller's device: the tokens are those of an own device, and of the device nothing is done but submits under the lock") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const Told reference = tell(api::engine({}, small()));
  VulkanRig rig;
  hotset_vulkan_device given = rig.given();
  given.allocator = rig.counting_allocator();
  CHECK(tell(rig.open(given, small())) == reference);
  CHECK(rig.seen.submits > 10);
  CHECK(rig.seen.unguarded == 0);
  CHECK(rig.seen.locks == rig.seen.submits);
  CHECK(rig.seen.unlocks == rig.seen.locks);
  CHECK(rig.seen.idle_waits == 0);
  CHECK(rig.seen.destroyed == 0);
  CHECK(rig.seen.allocations > 0);
  CHECK(rig.seen.allocated == 0);
  CHECK(rig.use_queue() == VK_SUCCESS);
}

TEST_CASE("model: caller's device: two engines in two threads, and the program itself, share one queue") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  VulkanRig rig;
  const hotset_vulkan_device given = rig.given();
  const char* const starts[] = {"Once upon a time", "The little dog"};
  const api::engine first = rig.open(given, small());
  const Told alone[] = {tell(first, starts[0]), tell(first, starts[1])};
  const api::engine second = rig.open(given, small());
  Told told[2];
  std::thread threads[] = {std::thread([&] { told[0] = tell(first, starts[0]); }), std::thread([&] { told[1] = tell(second, starts[1]); })};
  for (int i = 0; i < 20; ++i) CHECK(rig.use_queue() == VK_SUCCESS);
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 2; ++i) CHECK(told[i] == alone[i]);
  CHECK(rig.seen.unguarded == 0);
}

TEST_CASE("model: caller's device: slices cut submits and change no bit") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  VulkanRig rig;
  // Longer than a chunk, whose size follows what kernels take.
  std::string prompt = "Once upon a time there were";
  for (int i = 0; i < 24; ++i) prompt += " a king and a queen, and";
  const auto submits_of = [&](const char* slice, Told& told) {
    const api::engine engine = rig.open(rig.given(), small().set("ctx", "256").set("batch", "128").set("slice", slice));
    const uint64_t before = rig.seen.submits;
    told = tell(engine, prompt.c_str());
    return rig.seen.submits - before;
  };
  Told whole, cut, cut_fine;
  const uint64_t submits = submits_of("0", whole);
  const uint64_t submits_cut = submits_of("10000", cut);  // room for all once it was measured
  const uint64_t submits_cut_fine = submits_of("0.001", cut_fine);
  CHECK(submits_cut_fine > 5 * submits);
  CHECK(submits_cut_fine > 3 * submits_cut);
  CHECK(cut == whole);
  CHECK(cut_fine == whole);
}

TEST_CASE("model: caller's device: with slices no submit copies more than fits one, and no bit changes") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  constexpr uint64_t kLeastBytes = 256u << 10;  // of slice_bytes in offload/link_model.h, which a microsecond comes to
  const hotset::test::TempFolder folder;
  const CacheFolder cache(folder.path());  // what is measured here is not a card's
  VulkanRig rig(true);
  const auto most_copied = [&](const char* slice, std::vector<Told>& told) {
    rig.seen.most_copied_bytes = 0;
    api::options options = small();
    options.set("miss", "wait").set("vram", "14M").set("slice", slice);
    const api::engine engine = rig.open(rig.given(), options);
    told.push_back(tell(engine));
    api::session session(engine);
    session.feed(engine.tokenize("Once upon a time there was a dog"));
    api::session fork = session.fork();
    const auto state = session.save_bytes();
    session.rewind(0);
    session.load_bytes(state);
    CHECK(std::ranges::equal(session.logits(), fork.logits()));
    CHECK(fork.save_bytes() == state);
    return rig.seen.most_copied_bytes.load();
  };
  std::vector<Told> told;
  CHECK(most_copied("0", told) > 4 * kLeastBytes);  // and measures the links, which the next finds measured
  const uint64_t submits = rig.seen.submits;
  CHECK(most_copied("0.001", told) <= kLeastBytes);
  CHECK(rig.seen.submits > submits);
  CHECK(told[0] == told[1]);
}

TEST_CASE("caller's device: one that is lost says so until another engine is opened") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  VulkanRig rig;
  Told reference;
  {
    const api::engine engine = rig.open(rig.given(), small());
    reference = tell(engine);
    api::session session(engine);
    session.feed(engine.tokenize("Once upon a time"));
    rig.submits_until_lost = 2;
    const hotset_token token = 1;
    hotset_error said = HOTSET_ERROR_INIT;
    hotset_code code = HOTSET_OK;
    for (int i = 0; i < 20 && code == HOTSET_OK; ++i) code = hotset_session_feed(session.handle(), &token, 1, &said);
    for (int i = 0; i < 3; ++i) {
      CHECK(code == HOTSET_DEVICE);
      CHECK_MESSAGE(std::strstr(said.message, "lost") != nullptr, said.message);
      code = hotset_session_feed(session.handle(), &token, 1, &said);
    }
  }
  rig.submits_until_lost = -1;
  CHECK(tell(rig.open(rig.given(), small())) == reference);
  CHECK(rig.seen.idle_waits == 0);
}

TEST_CASE("caller's device: what is missing or wrong is one line that names it") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  VulkanRig rig;
  using Given = hotset_vulkan_device;
  VkPhysicalDeviceFeatures2 no_features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkDeviceCreateInfo without_features = rig.created_with;
  without_features.pNext = &no_features;
  VkDeviceCreateInfo without_queues = rig.created_with;
  without_queues.queueCreateInfoCount = 0;
  VkDeviceCreateInfo no_create_info = rig.created_with;
  no_create_info.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  VkAllocationCallbacks no_callbacks = {};
  int other = 0;
  const struct {
    const char* says;
    hotset_code code;
    std::function<void(Given&)> change;
  } rows[] = {
      {"vkGetInstanceProcAddr of the caller's device is NULL", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.get_instance_proc_addr = nullptr; }},
      {"VkInstance of the caller's device is NULL", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.instance = VK_NULL_HANDLE; }},
      {"VkPhysicalDevice of the caller's device is NULL", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.physical_device = VK_NULL_HANDLE; }},
      {"VkDevice of the caller's device is NULL", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.device = VK_NULL_HANDLE; }},
      {"compute queue of the caller's device is NULL", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.compute_queue = VK_NULL_HANDLE; }},
      {"VkDeviceCreateInfo", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.created_with = nullptr; }},
      {"sType", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.created_with = &no_create_info; }},
      {"none of the VkInstance", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.physical_device = reinterpret_cast<VkPhysicalDevice>(&other); }},
      {"made without shaderInt64, shaderInt16, storageBuffer16BitAccess", HOTSET_UNSUPPORTED, [&](Given& g) { g.created_with = &without_features; }},
      {"made without queues of family", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.created_with = &without_queues; }},
      {"no queue family 99", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.compute_family = 99; }},
      {"compute queue is none of the 1 of family", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.compute_queue = reinterpret_cast<VkQueue>(&other); }},
      {"transfer queue is none of the 1 of family", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.transfer_queue = reinterpret_cast<VkQueue>(&other); }},
      {"lock without unlock", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.unlock = nullptr; }},
      {"pfnAllocation", HOTSET_INVALID_ARGUMENT, [&](Given& g) { g.allocator = &no_callbacks; }},
      {"device.size is 0", HOTSET_INVALID_ARGUMENT, [](Given& g) { g.size = 0; }},
  };
  for (const auto& row : rows) {
    Given given = rig.given();
    row.change(given);
    const std::string said = refusal(&given, row.code);
    CHECK_MESSAGE(said.find(row.says) != std::string::npos, said);
  }
  const Given given = rig.given();
  CHECK(refusal(nullptr, HOTSET_INVALID_ARGUMENT).find("device is NULL") == 0);
  CHECK(refusal(&given, HOTSET_INVALID_ARGUMENT, small("cpu")).find("'cpu'") != std::string::npos);
  CHECK(refusal(&given, HOTSET_INVALID_ARGUMENT, small().set("validation", "true")).find("validation") != std::string::npos);
  CHECK(rig.seen.locks == rig.seen.unlocks);
  CHECK(rig.use_queue() == VK_SUCCESS);
}

TEST_CASE("caller's device: needs are a chain to make a device with, or go into a chain of the program's own") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const VulkanRig rig;
  CHECK(rig.needs.api_version == VK_API_VERSION_1_3);
  CHECK(rig.needs.features.pNext == &rig.needs.features11);
  CHECK(rig.needs.features12.pNext == &rig.needs.features13);
  CHECK(rig.needs.features.features.shaderInt64 == VK_TRUE);
  CHECK(rig.needs.features.features.geometryShader == VK_FALSE);
  CHECK(rig.needs.features12.timelineSemaphore == VK_TRUE);

  VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
  VkPhysicalDeviceScalarBlockLayoutFeatures scalar = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SCALAR_BLOCK_LAYOUT_FEATURES, &timeline, VK_FALSE};
  VkPhysicalDeviceVulkan13Features v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, &scalar};
  v13.dynamicRendering = VK_TRUE;
  VkPhysicalDeviceVulkan11Features v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, &v13};
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &v11, {}};
  hotset_error said = HOTSET_ERROR_INIT;
  CHECK(hotset_vulkan_enable_features(&core, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK_MESSAGE(std::strstr(said.message, "VkPhysicalDeviceBufferDeviceAddressFeatures") != nullptr, said.message);
  VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES};
  timeline.pNext = &addresses;
  CHECK(hotset_vulkan_enable_features(&core, &said) == HOTSET_OK);
  CHECK(addresses.bufferDeviceAddress == VK_TRUE);
  CHECK(addresses.bufferDeviceAddressCaptureReplay == VK_FALSE);
  CHECK(timeline.timelineSemaphore == VK_TRUE);
  CHECK(v13.dynamicRendering == VK_TRUE);
  CHECK(v13.maintenance4 == VK_TRUE);
  core.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  CHECK(hotset_vulkan_enable_features(&core, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_vulkan_enable_features(nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
}

TEST_CASE("caller's device: needs are asked with a NULL or of another's physical device") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  VulkanRig rig;
  const hotset_vulkan_device given = rig.given();
  hotset_vulkan_needs needs;
  needs.size = sizeof needs;
  int other = 0;
  CHECK(hotset_vulkan_get_needs(nullptr, given.instance, given.physical_device, &needs, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_vulkan_get_needs(given.get_instance_proc_addr, VK_NULL_HANDLE, given.physical_device, &needs, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_vulkan_get_needs(given.get_instance_proc_addr, given.instance, VK_NULL_HANDLE, &needs, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_vulkan_get_needs(given.get_instance_proc_addr, given.instance, reinterpret_cast<VkPhysicalDevice>(&other), &needs, nullptr) ==
        HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_vulkan_get_needs(given.get_instance_proc_addr, given.instance, given.physical_device, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  needs.size = 8;
  CHECK(hotset_vulkan_get_needs(given.get_instance_proc_addr, given.instance, given.physical_device, &needs, nullptr) == HOTSET_INVALID_ARGUMENT);
}
