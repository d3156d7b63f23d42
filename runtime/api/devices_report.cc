#include "runtime/api/devices_report.h"

#include "platform/bytes.h"

namespace hotset {
namespace {

std::string joined(const std::vector<std::string>& items, const char* separator) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : separator) + escape_controls(item);
  return text;
}

std::string heap_text(const DeviceHeap& heap) {
  std::string text = format_bytes(heap.size_bytes) + ", budget " + format_bytes(heap.budget_bytes) + ", used " +
                     format_bytes(heap.used_bytes);
  if (heap.device_local) text += ", device local";
  if (heap.host_visible) text += ", host visible";
  return text;
}

std::string device_text(const DeviceReport& device) {
  std::string text = std::to_string(device.index) + ": " + escape_controls(device.name) + " (" + device.kind + ")" +
                     (device.usable ? "" : ", not usable: " + escape_controls(device.why_not)) + "\n";
  text += "   driver    " + escape_controls(device.driver) + ", Vulkan " + device.api_version + "\n";
  for (const DeviceHeap& heap : device.heaps) text += "   heap      " + heap_text(heap) + "\n";
  for (const std::string& queue : device.queues) text += "   queues    " + escape_controls(queue) + "\n";
  text += std::string("   transfer  ") + (device.has_transfer_queue ? "a queue of its own" : "shares the compute queue") + "\n";
  text += "   limits    subgroup " + std::to_string(device.subgroup_size) + ", allocation " +
          format_bytes(device.max_allocation_bytes) + ", storage range " + format_bytes(device.max_storage_range_bytes) +
          ", shared memory " + format_bytes(device.max_shared_bytes) + "\n";
  return text + "   features  " + joined(device.features, ", ") + "\n";
}

Json device_json(const DeviceReport& device) {
  Json heaps = Json::array();
  for (const DeviceHeap& heap : device.heaps) {
    heaps.push_back({{"size_bytes", heap.size_bytes},
                     {"budget_bytes", heap.budget_bytes},
                     {"used_bytes", heap.used_bytes},
                     {"device_local", heap.device_local},
                     {"host_visible", heap.host_visible}});
  }
  return {{"index", device.index},
          {"name", device.name},
          {"kind", device.kind},
          {"driver", device.driver},
          {"api_version", device.api_version},
          {"usable", device.usable},
          {"why_not", device.why_not},
          {"heaps", std::move(heaps)},
          {"queues", device.queues},
          {"has_transfer_queue", device.has_transfer_queue},
          {"subgroup_size", device.subgroup_size},
          {"max_allocation_bytes", device.max_allocation_bytes},
          {"max_storage_range_bytes", device.max_storage_range_bytes},
          {"max_shared_bytes", device.max_shared_bytes},
          {"features", device.features}};
}

}  // namespace

std::string devices_text(const std::vector<DeviceReport>& devices) {
  std::string text;
  for (const DeviceReport& device : devices) text += device_text(device);
  return text;
}

Json devices_json(const std::vector<DeviceReport>& devices) {
  Json list = Json::array();
  for (const DeviceReport& device : devices) list.push_back(device_json(device));
  return list;
}

}  // namespace hotset
