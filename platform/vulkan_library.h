// The system's Vulkan loader as a shared library. Its halves are posix/vulkan_library.cc and windows/vulkan_library.cc. Any thread.
#pragma once

namespace hotset {

// Loads it, and keeps it loaded. nullptr: there is none, or none with that function.
void* find_in_vulkan_library(const char* function);

// The name under which it is looked for first.
const char* vulkan_library_name();

}  // namespace hotset
