#include "platform/vulkan_library.h"

#include <windows.h>

namespace hotset {

void* find_in_vulkan_library(const char* function) {
  const HMODULE library = ::LoadLibraryA(vulkan_library_name());
  return library == nullptr ? nullptr : reinterpret_cast<void*>(::GetProcAddress(library, function));
}

const char* vulkan_library_name() { return "vulkan-1.dll"; }

}  // namespace hotset
