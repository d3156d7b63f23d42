// The file in the cache folder that keeps a LinkProbe: one a device and driver.
//
// Text, a "name value" line each. A file that is broken, of another device, number of threads or version is never an error of
// a run: the links are measured anew. One thread.
#pragma once

#include <string>
#include <string_view>

#include "runtime/engine/link_probe.h"

namespace hotset {

// What `directory` keeps of this device, else measures and keeps it there. What was wrong with the file, or that it cannot be
// written, is one log line. An empty `directory` keeps nothing. Errors: those of measure_links.
Result<LinkProbe> probe_links(DeviceMemory& memory, const LinkProbeOptions& options, const std::string& directory);

// Whose figures they are: device, driver build and what of the host counts.
struct LinkOwner {
  std::string device;      // its name, in one line
  std::string cache_key;   // Device::cache_key
  uint32_t threads = 1;    // of the host, that shared the work
};

std::string write_link_file(const LinkProbe& probe, const LinkOwner& owner);

// Errors: kCorrupt, which names what is missing or wrong; kInvalidArgument, of another version or owner.
Result<LinkProbe> read_link_file(std::string_view text, const LinkOwner& owner);

// "DIRECTORY/links-KEY.txt".
std::string link_file_path(const std::string& directory, const LinkOwner& owner);

}  // namespace hotset
