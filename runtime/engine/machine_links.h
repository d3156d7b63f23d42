// MachineLinks: what the links of a machine carry (offload/link_model.h), as people hand it around: a small JSON object whose keys
// end in their units. What Hotset keeps of its own measurements is another file, link_file.h.
//
//   {"hotset_links": 1, "device": "NVIDIA GeForce RTX 3060", "device_bytes_per_s": 2.1e11, "in_place_bytes_per_s": 6e9,
//    "copy_bytes_per_s": 2.3e10, "copy_ns": 20000, "cpu_bytes_per_s": 4.5e10, "ram_bytes_per_s": 6.2e10,
//    "disk_bytes_per_s": 5.5e9, "disk_ns": 100000, "stop_ns": 100000, "operation_ns": 4000, "submit_ns": 30000, "unified": false,
//    "copies_overlap": true}
//
// A rate that is left out is 0: there is no such path. device_bytes_per_s is the one that must be there. Any thread.
#pragma once

#include <string>

#include "offload/link_model.h"
#include "platform/status.h"

namespace hotset {

struct MachineLinks {
  std::string device;  // the device's name and driver, as whoever measured wrote them; may be empty
  LinkRates rates;
};

// Errors, each naming the file: not there (kNotFound), not JSON, not a links file, a key that no links file has, a value that is
// no rate (kCorrupt), a newer version (kUnsupported).
Result<MachineLinks> read_links_file(const std::string& path);

// Replaces the file. Error: a rate that is not a finite number from 0 (kInvalidArgument), what write_whole_file says.
Status write_links_file(const std::string& path, const MachineLinks& links);

}  // namespace hotset
