// A Vulkan device as it is shown to people: plain values, no Vulkan types.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hotset {

struct DeviceHeap {
  uint64_t size_bytes = 0;
  uint64_t budget_bytes = 0;  // what the driver says this process may use; size where it says nothing
  uint64_t used_bytes = 0;
  bool device_local = false;
  bool host_visible = false;
};

struct DeviceReport {
  uint32_t index = 0;
  std::string name;
  std::string driver;       // driver name and version
  std::string api_version;  // "1.4.305"
  std::string kind;         // "discrete", "integrated", "software", "virtual", "other"
  bool usable = false;
  std::string why_not;  // what is missing when not usable
  uint32_t subgroup_size = 0;
  uint64_t max_allocation_bytes = 0;
  uint64_t max_storage_range_bytes = 0;
  uint32_t max_shared_bytes = 0;
  bool has_transfer_queue = false;  // a queue family of its own for transfers
  std::vector<DeviceHeap> heaps;
  std::vector<std::string> queues;    // one line a family: "0: 1 x graphics compute transfer"
  std::vector<std::string> features;  // names of the features that matter and are present
};

}  // namespace hotset
