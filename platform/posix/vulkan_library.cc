#include "platform/vulkan_library.h"

#include <dlfcn.h>

namespace hotset {
namespace {

#ifdef __APPLE__
constexpr const char* kNames[] = {"libvulkan.dylib", "libvulkan.1.dylib", "libMoltenVK.dylib"};
#else
constexpr const char* kNames[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

}  // namespace

void* find_in_vulkan_library(const char* function) {
  for (const char* name : kNames) {
    void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    if (void* found = ::dlsym(library, function)) return found;
  }
  return nullptr;
}

const char* vulkan_library_name() { return kNames[0]; }

}  // namespace hotset
