#include "tests/api/bad_calls.h"

#include <hotset/hotset_vulkan.h>

namespace hotset::test {
namespace {

// Room for what calls write, and what they read.
hotset_token token = 1;
char text[64];
size_t count = 0;
float number = 0;

int32_t take(void*, const char*, size_t) { return 1; }
void take_part(void*, hotset_part, const char*, size_t) {}
void take_logits(void*, uint32_t, const float*, size_t) {}
PFN_vkVoidFunction VKAPI_PTR no_functions(VkInstance, const char*) { return nullptr; }

template <class Struct>
Struct of_size(size_t size) {
  Struct values = {};
  values.size = size;
  return values;
}

hotset_code open_engine_on(const Handles& with, size_t params_size, size_t device_size) {
  auto params = of_size<hotset_engine_params>(params_size);
  params.options = with.options;
  const auto device = of_size<hotset_vulkan_device>(device_size);
  hotset_engine* made = nullptr;
  return hotset_engine_open_vulkan(&params, &device, &made, nullptr);
}

hotset_code open_engine(const Handles& with, size_t size) {
  auto params = of_size<hotset_engine_params>(size);
  params.options = with.options;
  hotset_engine* made = nullptr;
  return hotset_engine_open(&params, &made, nullptr);
}

hotset_code open_session(const Handles& with, size_t size) {
  const auto params = of_size<hotset_session_params>(size);
  hotset_session* made = nullptr;
  return hotset_session_open(with.engine, &params, &made, nullptr);
}

hotset_code feed_each(const Handles& with) { return hotset_session_feed_each(with.session, &token, 1, take_logits, nullptr, nullptr); }

hotset_code generate(const Handles& with, size_t size) {
  const auto params = of_size<hotset_generate_params>(size);
  return hotset_session_generate(with.session, &params, nullptr, nullptr);
}

hotset_code fork(const Handles& with) {
  hotset_session* made = nullptr;
  return hotset_session_fork(with.session, &made, nullptr);
}

hotset_code logits(const Handles& with) {
  const float* values = nullptr;
  return hotset_session_logits(with.session, &values, &count, nullptr);
}

hotset_code position(const Handles& with) {
  uint32_t position = 0;
  return hotset_session_position(with.session, &position, nullptr);
}

hotset_code is_end(const Handles& with) {
  int32_t flag = 0;
  return hotset_is_end_of_text(with.engine, 1, &flag, nullptr);
}

hotset_code info(const Handles& with, size_t size) {
  auto values = of_size<hotset_engine_info>(size);
  return hotset_engine_get_info(with.engine, &values, nullptr);
}

hotset_code stats(const Handles& with, size_t size) {
  auto values = of_size<hotset_stats>(size);
  return hotset_session_get_stats(with.session, &values, nullptr);
}

hotset_code history(const Handles& with, size_t size) {
  auto values = of_size<hotset_history>(size);
  return hotset_session_get_history(with.session, &values, nullptr);
}

hotset_code apply_template(const Handles& with) {
  const hotset_message message = {"user", "hello"};
  return hotset_apply_chat_template(with.engine, &message, 1, text, sizeof text, nullptr, nullptr);
}

hotset_code open_parser(const Handles& with) {
  hotset_parser* made = nullptr;
  return hotset_parser_open(with.engine, "", nullptr, &made, nullptr);
}

hotset_code pack(size_t params_size, size_t report_size) {
  auto params = of_size<hotset_pack_params>(params_size);
  params.model_path = params.pack_path = "/nonexistent/file";
  auto report = of_size<hotset_pack_report>(report_size);
  return hotset_pack(&params, &report, nullptr);
}

hotset_code convert(size_t params_size, size_t report_size) {
  auto params = of_size<hotset_convert_params>(params_size);
  params.folder = params.out_path = "/nonexistent/file";
  auto report = of_size<hotset_convert_report>(report_size);
  return hotset_convert(&params, &report, nullptr);
}

hotset_code needs(size_t size) {
  auto values = of_size<hotset_vulkan_needs>(size);
  int something = 0;
  return hotset_vulkan_get_needs(no_functions, reinterpret_cast<VkInstance>(&something), reinterpret_cast<VkPhysicalDevice>(&something), &values, nullptr);
}

using H = const Handles&;

constexpr HandleCall kHandleCalls[] = {
    {"hotset_options_set", [](H with) { return hotset_options_set(with.options, "ctx", "32", nullptr); }},
    {"hotset_options_get", [](H with) { return hotset_options_get(with.options, "ctx", text, sizeof text, nullptr, nullptr); }},
    {"hotset_engine_open", [](H with) { return open_engine(with, sizeof(hotset_engine_params)); }},
    {"hotset_engine_open_vulkan", [](H with) { return open_engine_on(with, sizeof(hotset_engine_params), sizeof(hotset_vulkan_device)); }},
    {"hotset_engine_get_info", [](H with) { return info(with, sizeof(hotset_engine_info)); }},
    {"hotset_engine_model_name", [](H with) { return hotset_engine_model_name(with.engine, text, sizeof text, nullptr, nullptr); }},
    {"hotset_engine_device_name", [](H with) { return hotset_engine_device_name(with.engine, text, sizeof text, nullptr, nullptr); }},
    {"hotset_engine_set_vram", [](H with) { return hotset_engine_set_vram(with.engine, 1, nullptr); }},
    {"hotset_engine_set_ram", [](H with) { return hotset_engine_set_ram(with.engine, 1, nullptr); }},
    {"hotset_engine_give_vram_back", [](H with) { return hotset_engine_give_vram_back(with.engine, 1, nullptr, nullptr); }},
    {"hotset_engine_embedding_size", [](H with) { return hotset_engine_embedding_size(with.engine, &count, nullptr); }},
    {"hotset_engine_save_hot_set", [](H with) { return hotset_engine_save_hot_set(with.engine, "/nonexistent/file", nullptr); }},
    {"hotset_tokenize", [](H with) { return hotset_tokenize(with.engine, "a", 1, 0, &token, 1, &count, nullptr); }},
    {"hotset_detokenize", [](H with) { return hotset_detokenize(with.engine, &token, 1, 0, text, sizeof text, nullptr, nullptr); }},
    {"hotset_is_end_of_text", is_end},
    {"hotset_apply_chat_template", apply_template},
    {"hotset_apply_chat_template_json",
     [](H with) { return hotset_apply_chat_template_json(with.engine, "[]", nullptr, nullptr, text, sizeof text, nullptr, nullptr); }},
    {"hotset_parser_open", open_parser},
    {"hotset_parser_push", [](H with) { return hotset_parser_push(with.parser, "x", 1, take_part, nullptr, nullptr); }},
    {"hotset_parser_finish", [](H with) { return hotset_parser_finish(with.parser, take_part, nullptr, nullptr); }},
    {"hotset_session_open", [](H with) { return open_session(with, sizeof(hotset_session_params)); }},
    {"hotset_session_feed", [](H with) { return hotset_session_feed(with.session, &token, 1, nullptr); }},
    {"hotset_session_feed_each", feed_each},
    {"hotset_session_logits", logits},
    {"hotset_session_sample", [](H with) { return hotset_session_sample(with.session, &token, nullptr); }},
    {"hotset_session_set_logits_function", [](H with) { return hotset_session_set_logits_function(with.session, nullptr, nullptr, nullptr); }},
    {"hotset_session_set_routing_function", [](H with) { return hotset_session_set_routing_function(with.session, nullptr, nullptr, nullptr); }},
    {"hotset_session_set_sampler", [](H with) { return hotset_session_set_sampler(with.session, nullptr, nullptr); }},
    {"hotset_session_show_special", [](H with) { return hotset_session_show_special(with.session, 0, nullptr); }},
    {"hotset_session_generate", [](H with) { return generate(with, sizeof(hotset_generate_params)); }},
    {"hotset_session_rewind", [](H with) { return hotset_session_rewind(with.session, 0, nullptr); }},
    {"hotset_session_position", position},
    {"hotset_session_stop", [](H with) { return hotset_session_stop(with.session); }},
    {"hotset_session_get_stats", [](H with) { return stats(with, sizeof(hotset_stats)); }},
    {"hotset_session_get_guesses", [](H with) { return hotset_session_get_guesses(with.session, nullptr, 0, &count, nullptr); }},
    {"hotset_session_get_history", [](H with) { return history(with, sizeof(hotset_history)); }},
    {"hotset_session_explain", [](H with) { return hotset_session_explain(with.session, text, sizeof text, nullptr, nullptr); }},
    {"hotset_session_trace", [](H with) { return hotset_session_trace(with.session, nullptr, nullptr); }},
    {"hotset_session_trace_links", [](H with) { return hotset_session_trace_links(with.session, nullptr, nullptr); }},
    {"hotset_session_tokens", [](H with) { return hotset_session_tokens(with.session, &token, 1, &count, nullptr); }},
    {"hotset_session_fork", fork},
    {"hotset_session_embed", [](H with) { return hotset_session_embed(with.session, &token, 1, HOTSET_POOL_LAST, &number, 1, nullptr); }},
    {"hotset_session_save", [](H with) { return hotset_session_save(with.session, "/nonexistent/file", nullptr); }},
    {"hotset_session_load", [](H with) { return hotset_session_load(with.session, "/nonexistent/file", nullptr); }},
    {"hotset_session_save_bytes", [](H with) { return hotset_session_save_bytes(with.session, text, sizeof text, &count, nullptr); }},
    {"hotset_session_load_bytes", [](H with) { return hotset_session_load_bytes(with.session, text, sizeof text, nullptr); }},
    {"hotset_parser_close", [](H with) { return hotset_parser_close(with.parser); }},
    {"hotset_session_close", [](H with) { return hotset_session_close(with.session); }},
    {"hotset_engine_close", [](H with) { return hotset_engine_close(with.engine); }},
    {"hotset_options_destroy", [](H with) { return hotset_options_destroy(with.options); }},
};

constexpr EmptyCall kEmptyCalls[] = {
    {"hotset_option_at", [] { return hotset_option_at(0, nullptr); }},
    {"hotset_report_devices", [] { return hotset_report_devices(HOTSET_TEXT, nullptr, nullptr, nullptr); }},
    {"hotset_report_known", [] { return hotset_report_known(HOTSET_TEXT, nullptr, nullptr, nullptr); }},
    {"hotset_report_model", [] { return hotset_report_model(nullptr, HOTSET_TEXT, nullptr, nullptr, nullptr); }},
    {"hotset_report_plan", [] { return hotset_report_plan(nullptr, HOTSET_TEXT, take, nullptr, nullptr); }},
    {"hotset_report_simulation", [] { return hotset_report_simulation(nullptr, HOTSET_TEXT, take, nullptr, nullptr); }},
    {"hotset_draw_heatmap", [] { return hotset_draw_heatmap(nullptr, HOTSET_TEXT, take, nullptr, nullptr); }},
    {"hotset_pack", [] { return hotset_pack(nullptr, nullptr, nullptr); }},
    {"hotset_convert", [] { return hotset_convert(nullptr, nullptr, nullptr); }},
    {"hotset_measure_links", [] { return hotset_measure_links(nullptr, nullptr, nullptr, nullptr); }},
    {"hotset_vulkan_get_needs", [] { return hotset_vulkan_get_needs(nullptr, nullptr, nullptr, nullptr, nullptr); }},
    {"hotset_vulkan_enable_features", [] { return hotset_vulkan_enable_features(nullptr, nullptr); }},
};

constexpr SizedCall kSizedCalls[] = {
    {"hotset_option_at",
     [](H, size_t size) {
       auto info = of_size<hotset_option_info>(size);
       return hotset_option_at(0, &info);
     }},
    {"hotset_engine_open", [](H, size_t size) { return open_engine({}, size); }},
    {"hotset_engine_open_vulkan", [](H, size_t size) { return open_engine_on({}, size, sizeof(hotset_vulkan_device)); }},
    {"hotset_engine_open_vulkan", [](H, size_t size) { return open_engine_on({}, sizeof(hotset_engine_params), size); }},
    {"hotset_engine_get_info", info},
    {"hotset_session_open", open_session},
    {"hotset_session_generate", generate},
    {"hotset_session_get_stats", stats},
    {"hotset_session_get_history", history},
    {"hotset_report_plan",
     [](H, size_t size) {
       const auto params = of_size<hotset_plan_params>(size);
       return hotset_report_plan(&params, HOTSET_TEXT, take, nullptr, nullptr);
     }},
    {"hotset_report_simulation",
     [](H, size_t size) {
       const auto params = of_size<hotset_simulate_params>(size);
       return hotset_report_simulation(&params, HOTSET_TEXT, take, nullptr, nullptr);
     }},
    {"hotset_draw_heatmap",
     [](H, size_t size) {
       const auto params = of_size<hotset_heatmap_params>(size);
       return hotset_draw_heatmap(&params, HOTSET_TEXT, take, nullptr, nullptr);
     }},
    {"hotset_pack", [](H, size_t size) { return pack(size, sizeof(hotset_pack_report)); }},
    {"hotset_pack", [](H, size_t size) { return pack(sizeof(hotset_pack_params), size); }},
    {"hotset_convert", [](H, size_t size) { return convert(size, sizeof(hotset_convert_report)); }},
    {"hotset_convert", [](H, size_t size) { return convert(sizeof(hotset_convert_params), size); }},
    {"hotset_vulkan_get_needs", [](H, size_t size) { return needs(size); }},
};

constexpr std::string_view kHarmless[] = {"hotset_code_name", "hotset_version", "hotset_option_count", "hotset_options_create", "hotset_convert_type_at"};

}  // namespace

std::span<const HandleCall> handle_calls() { return kHandleCalls; }
std::span<const EmptyCall> empty_calls() { return kEmptyCalls; }
std::span<const SizedCall> sized_calls() { return kSizedCalls; }
std::span<const std::string_view> harmless_functions() { return kHarmless; }

}  // namespace hotset::test
