// What an AbiInterpreter does with the functions that need no engine: reports, files, the queries of hotset_vulkan.h.
#include <hotset/hotset_vulkan.h>

#include <cstdio>

#include "tests/api/abi_interpreter.h"

namespace hotset::test {
namespace {

constexpr const char* kSizes[] = {"24G", "24G", "24G", "24G", "24G", "24G", "24G", "24G", "4096", nullptr, "", "0", "80%", "-1", "1e99", "\xff"};
constexpr const char* kCards[] = {"RTX 3060 12GB", "RTX 3060 12GB", "RTX 3060 12GB", "RTX 4090", "RTX 4090", nullptr, "no such", "\xff\n"};
constexpr const char* kShapes[] = {"qwen3-30b-a3b", "qwen3-30b-a3b", "qwen3-30b-a3b", "qwen3-30b-a3b", nullptr, "no such\n"};
constexpr const char* kPolicies[] = {nullptr, "lru", "lru", "lru,belady", ",,lru,", "", "coin", "\xff"};
constexpr const char* kShares[] = {nullptr, "25%", "50%", "50%,100%", "75%", "100%", "0%", "101%", "12", ",", "1e-30%", "nan%"};

PFN_vkVoidFunction VKAPI_PTR no_functions(VkInstance, const char*) { return nullptr; }

}  // namespace

template <class Call>
bool AbiInterpreter::make_report(const char* name, bool bad, Call call) {
  constexpr hotset_format kFormats[] = {HOTSET_TEXT, HOTSET_JSON, HOTSET_TEXT, HOTSET_JSON, HOTSET_JSON + 1, -1};
  const auto format = one_of<hotset_format>(kFormats);
  const hotset_text_function given = [](void* user, const char* text, size_t bytes) {
    auto* const self = static_cast<AbiInterpreter*>(user);
    if (text == nullptr || bytes == 0) self->complain("report", "a piece that is none");
    return self->on_any();
  };
  const hotset_text_function write = one_in(12) ? nullptr : given;
  const bool unfit = (format != HOTSET_TEXT && format != HOTSET_JSON) || write == nullptr;
  return make(name, true, must_refuse(bad || unfit), [&](hotset_error* said) { return call(format, write, this, said); });
}

void AbiInterpreter::report_machine() {
  make_report("report_known", false, &hotset_report_known);
  if (one_in(4)) make_report("report_devices", false, &hotset_report_devices);
}

void AbiInterpreter::report_model() {
  const char* const path = in_path(places_.model);
  make_report("report_model", false, [&](auto... reader) { return hotset_report_model(path, reader...); });
}

void AbiInterpreter::report_plan() {
  const std::vector<uint32_t> contexts = {4096, number(3), uint32_t{number(65535)} << number(17)};
  hotset_plan_params values = HOTSET_PLAN_PARAMS_INIT;
  values.model_path = one_in(3) ? in_path(places_.model) : nullptr;
  values.shape = values.model_path == nullptr || one_in(24) ? one_of<const char*>(kShapes) : nullptr;
  values.quant = one_in(6) ? "Q4_K_M" : nullptr;
  values.gpu = one_of<const char*>(kCards);
  values.links_path = one_in(3) ? in_path(places_.links) : nullptr;
  values.vram = one_in(3) ? one_of<const char*>(kSizes) : nullptr;
  values.ram = one_of<const char*>(kSizes);
  values.ram_rate = one_in(4) ? one_of<const char*>(kSizes) : nullptr;
  values.disk_rate = one_in(4) ? one_of<const char*>(kSizes) : nullptr;
  values.contexts = one_in(4) ? contexts.data() : nullptr;
  values.context_count = values.contexts || one_in(12) ? number(4) : 0;
  Sized<hotset_plan_params> params = sized(values);
  const bool none = one_in(16), no_contexts = params.values().contexts == nullptr && params.values().context_count > 0;
  make_report("report_plan", none || !params.can_be() || no_contexts, [&](auto... reader) { return hotset_report_plan(none ? nullptr : params.get(), reader...); });
}

void AbiInterpreter::report_simulation() {
  const uint64_t warm_tokens = one_in(4) ? UINT64_MAX : number(50);
  hotset_simulate_params values = HOTSET_SIMULATE_PARAMS_INIT;
  values.trace_path = in_path(places_.trace);
  const std::string trace = values.trace_path ? values.trace_path : "";
  values.trace_path = values.trace_path ? trace.c_str() : nullptr;
  values.policies = one_of<const char*>(kPolicies);
  values.capacities = one_of<const char*>(kShares);
  values.layer_scope = static_cast<int32_t>(number(2));
  values.warm_tokens = one_in(2) ? &warm_tokens : nullptr;
  values.links_path = one_in(4) ? in_path(places_.links) : nullptr;
  values.expert_size = values.links_path || one_in(24) ? one_of<const char*>(kSizes) : nullptr;
  values.dense_size = one_in(12) ? one_of<const char*>(kSizes) : nullptr;
  Sized<hotset_simulate_params> params = sized(values);
  const bool none = one_in(16);
  make_report("report_simulation", none || !params.can_be() || params.values().trace_path == nullptr,
              [&](auto... reader) { return hotset_report_simulation(none ? nullptr : params.get(), reader...); });
}

void AbiInterpreter::draw_heatmap() {
  hotset_heatmap_params values = HOTSET_HEATMAP_PARAMS_INIT;
  values.trace_path = in_path(places_.trace);
  values.picture_path = out_path();
  values.policy = one_in(2) ? nullptr : one_of<const char*>(kPolicies);
  values.capacity = one_in(2) ? nullptr : one_of<const char*>(kShares);
  Sized<hotset_heatmap_params> params = sized(values);
  const bool none = one_in(16);
  const hotset_heatmap_params seen = params.values();
  const bool bad = none || !params.can_be() || seen.trace_path == nullptr || seen.picture_path == nullptr;
  if (one_in(4)) {
    make("draw_heatmap", true, must_refuse(bad), [&](hotset_error* said) { return hotset_draw_heatmap(none ? nullptr : params.get(), -1, nullptr, nullptr, said); });
    return;
  }
  const hotset_text_function write = [](void* user, const char*, size_t) { return static_cast<AbiInterpreter*>(user)->on_any(); };
  const auto format = static_cast<hotset_format>(number(3));
  make("draw_heatmap", true, must_refuse(bad || format > HOTSET_JSON),
       [&](hotset_error* said) { return hotset_draw_heatmap(none ? nullptr : params.get(), format, write, this, said); });
}

void AbiInterpreter::pack() {
  hotset_pack_params values = HOTSET_PACK_PARAMS_INIT;
  values.model_path = in_path(places_.model);
  values.pack_path = out_path();
  values.check_only = one_in(3);
  values.progress = [](void* user, uint64_t, uint64_t) { return static_cast<AbiInterpreter*>(user)->on_strict(); };
  values.progress_user = this;
  Sized<hotset_pack_params> params = sized(values, [](const hotset_pack_params& seen) { return !seen.progress == !seen.progress_user; });
  Sized<hotset_pack_report> report = sized<hotset_pack_report>(HOTSET_PACK_REPORT_INIT);
  const bool none = one_in(16), no_report = one_in(4);
  const hotset_pack_params seen = params.values();
  make("pack", true, must_refuse(none || !params.can_be() || seen.model_path == nullptr || seen.pack_path == nullptr || (!no_report && !report.can_be())),
       [&](hotset_error* said) { return hotset_pack(none ? nullptr : params.get(), no_report ? nullptr : report.get(), said); });
  check_kept("pack", report);
}

void AbiInterpreter::convert() {
  if (!one_in(4)) return;
  const size_t index = number(64);
  const char* const type = hotset_convert_type_at(index);
  judge("convert_type_at", true, Must::kAny, type != nullptr ? HOTSET_OK : HOTSET_NOT_FOUND);
  hotset_convert_params values = HOTSET_CONVERT_PARAMS_INIT;
  values.folder = in_path(places_.checkpoint);
  values.out_path = out_path();
  values.type = one_in(8) ? "no such" : type;
  values.threads = 1 + number(2);
  values.progress = [](void* user, uint64_t, uint64_t) { return static_cast<AbiInterpreter*>(user)->on_strict(); };
  values.progress_user = this;
  if (values.out_path != nullptr && out_path_.starts_with(places_.out + "/") && one_in(2)) std::remove(values.out_path);
  Sized<hotset_convert_params> params = sized(values, [](const hotset_convert_params& seen) { return !seen.progress == !seen.progress_user; });
  Sized<hotset_convert_report> report = sized<hotset_convert_report>(HOTSET_CONVERT_REPORT_INIT);
  const bool none = one_in(16), no_report = one_in(4);
  const hotset_convert_params seen = params.values();
  make("convert", true, must_refuse(none || !params.can_be() || seen.folder == nullptr || seen.out_path == nullptr || (!no_report && !report.can_be())),
       [&](hotset_error* said) { return hotset_convert(none ? nullptr : params.get(), no_report ? nullptr : report.get(), said); });
  check_kept("convert", report);
}

// Of no device that there is: measuring takes a second.
void AbiInterpreter::measure_links() {
  const char* const to = out_path();
  const char* const disk = in_path(places_.model);
  const char* const device = to == nullptr ? nullptr : one_in(2) ? "no such device" : "9999";
  const bool ok = make("measure_links", true, must_refuse(to == nullptr), [&](hotset_error* said) { return hotset_measure_links(device, disk, to, said); });
  if (ok) complain("measure_links", "a device that is not there was measured");
}

void AbiInterpreter::enable_features() {
  VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES};
  VkPhysicalDeviceVulkan13Features v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceVulkan12Features v12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan11Features v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  const bool others[] = {!one_in(6), !one_in(6), !one_in(6), one_in(3)};
  void** end = &core.pNext;
  const auto chain = [&](auto& next, bool there) {
    if (!there) return;
    *end = &next;
    end = &next.pNext;
  };
  chain(v11, others[0]), chain(v12, others[1]), chain(addresses, others[3]), chain(v13, others[2]);
  if (one_in(8)) core.sType = static_cast<VkStructureType>(number(60000));
  const bool none = one_in(8), right = !none && core.sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 && others[0] && others[1] && others[2];
  make("vulkan_enable_features", true, right ? Must::kSucceed : Must::kRefuse, [&](hotset_error* said) { return hotset_vulkan_enable_features(none ? nullptr : &core, said); });
}

void AbiInterpreter::ask_needs() {
  int something = 0;
  Sized<hotset_vulkan_needs> needs = sized(hotset_vulkan_needs{});
  const bool no_loader = one_in(8), no_instance = one_in(8), no_device = one_in(8), none = one_in(8);
  const bool bad = no_loader || no_instance || no_device || none || !needs.has_all();
  const bool ok = make("vulkan_get_needs", true, must_refuse(bad), [&](hotset_error* said) {
    return hotset_vulkan_get_needs(no_loader ? nullptr : &no_functions, no_instance ? nullptr : reinterpret_cast<VkInstance>(&something),
                                   no_device ? nullptr : reinterpret_cast<VkPhysicalDevice>(&something), none ? nullptr : needs.get(), said);
  });
  if (ok) complain("vulkan_get_needs", "a Vulkan without functions was taken");
  check_kept("vulkan_get_needs", needs);
}

}  // namespace hotset::test
