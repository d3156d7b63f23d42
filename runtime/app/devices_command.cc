// `hotset devices`: the Vulkan devices and what matters of them.
#include "platform/bytes.h"
#include "platform/file.h"
#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/engine/measure_machine.h"

namespace hotset {
namespace {

constexpr uint64_t kMostLinksBytes = 64 << 10;

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

class DevicesCommand : public Command {
 public:
  const char* name() const override { return "devices"; }
  const char* summary() const override { return "List the Vulkan devices: heaps, budgets, queues, features"; }
  void add_flags(CLI::App& app) override {
    add_json_flag(app, json_, "Write the list as JSON.");
    app.add_option("--links", links_path_,
                   wrap_help("Instead of the list: measure the links of a device and write them to a file, for `hotset plan --links` and "
                             "`hotset simulate --links`, on this machine or another."))
        ->type_name("FILE");
    app.add_option("--device", measure_.device, wrap_help("With --links: the device, by index or part of its name."))
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--disk", measure_.disk_path,
                   wrap_help("With --links: a large file, such as a model, on the disk that experts would be read from; without it the "
                             "disk is left out."))
        ->type_name("FILE");
  }

  Status check_usage() const override {
    if (!links_path_.empty() || measure_.disk_path.empty()) return ok_status();
    return error(Code::kInvalidArgument, "--disk goes with --links, which names the file to write");
  }

  Status execute(Console& console) override {
    if (!links_path_.empty()) return write_links(console);
    HOTSET_ASSIGN(const auto devices, list_devices());
    if (json_) {
      Json list = Json::array();
      for (const DeviceReport& device : devices) list.push_back(device_json(device));
      console.write(json_text(list));
      return ok_status();
    }
    for (const DeviceReport& device : devices) console.write(device_text(device));
    if (devices.empty()) console.note("hotset: there is no Vulkan device; './setup deps' installs a software one");
    return ok_status();
  }

 private:
  Status write_links(Console& console) const {
    HOTSET_ASSIGN(const MachineLinks links, measure_machine(measure_));
    HOTSET_RETURN_IF_ERROR(write_links_file(links_path_, links));
    HOTSET_ASSIGN(const std::string written, read_whole_file(links_path_, kMostLinksBytes));
    console.write(json_ ? written : "links of " + escape_controls(links.device) + " are in " + links_path_ + "\n");
    return ok_status();
  }

  std::string links_path_;
  MeasureOptions measure_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_devices_command() { return std::make_unique<DevicesCommand>(); }

}  // namespace hotset
