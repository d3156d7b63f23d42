// `hotset devices`: the Vulkan devices and what matters of them.
#include "platform/file.h"
#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

constexpr uint64_t kMostLinksBytes = 64 << 10;

class DevicesCommand : public Command {
 public:
  const char* name() const override { return "devices"; }
  const char* summary() const override { return "List the Vulkan devices: heaps, budgets, queues, features"; }
  void add_flags(Flags& flags) override {
    add_json_flag(flags, json_, "Write the list as JSON.");
    flags.add("--links", &links_path_,
              "Instead of the list: measure the links of a device and write them to a file, for `hotset plan --links` and `hotset simulate "
              "--links`, on this machine or another.").value_name("FILE");
    flags.add("--device", &device_, "With --links: the device, by index or part of its name.").value_name("NAME").show_default();
    flags.add("--disk", &disk_path_,
              "With --links: a large file, such as a model, on the disk that experts would be read from; without it the disk is left out.")
        .value_name("FILE");
  }

  Status check_usage() const override {
    if (!links_path_.empty() || disk_path_.empty()) return ok_status();
    return error(Code::kInvalidArgument, "--disk goes with --links, which names the file to write");
  }

  Status execute(Console& console) override {
    if (!links_path_.empty()) return write_links(console);
    const std::string report = api::devices_report(report_format(json_));
    console.write(report);
    if (report.empty()) console.note("hotset: there is no Vulkan device; './setup deps' installs a software one");
    return ok_status();
  }

 private:
  Status write_links(Console& console) const {
    api::measure_links(device_, disk_path_, links_path_);
    HOTSET_ASSIGN(const std::string written, read_whole_file(links_path_, kMostLinksBytes));
    const auto device = Json::parse(written).value("device", std::string());
    console.write(json_ ? written : "links of " + escape_controls(device) + " are in " + links_path_ + "\n");
    return ok_status();
  }

  std::string links_path_;
  std::string device_ = "auto";
  std::string disk_path_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_devices_command() { return std::make_unique<DevicesCommand>(); }

}  // namespace hotset
