// What an AbiInterpreter does with options, engines, text and parsers.
#include <hotset/hotset_vulkan.h>

#include "tests/api/abi_interpreter.h"

namespace hotset::test {
namespace {

constexpr size_t kMostEngines = 2, kMostOptions = 4, kMostParsers = 4;  // open at a time
constexpr const char* kValues[] = {"0", "1", "16", "-1", "1e9", "50%", "true", "false", "auto", "cpu", "lru", "f32", "wait", "", "99999999999999999999", "\xff"};
constexpr const char* kJson[] = {nullptr, "", "[]", "{}", "[{\"role\": \"user\", \"content\": \"x\"}]", "[", "null", "{\"a\": [1e999]}", "\xff",
                                 "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {}}}]"};

// A loader of a program whose Vulkan has no functions.
PFN_vkVoidFunction VKAPI_PTR no_functions(VkInstance, const char*) { return nullptr; }

}  // namespace

void AbiInterpreter::create_options() {
  if (open_count(options_) >= kMostOptions) return;
  opened(options_, hotset_options_create());
  make_plain("options_create");
}

void AbiInterpreter::destroy_options() {
  hotset_options* const of = options();
  if (judge("options_destroy", is_open(of), must_refuse(false), hotset_options_destroy(of))) open_.erase(of);
}

void AbiInterpreter::set_option() {
  hotset_options* const of = options();
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  hotset_option_at(number(static_cast<uint32_t>(hotset_option_count())), &info);
  const char* const name = one_in(16) ? nullptr : one_in(16) ? "no such" : info.name;
  const char* const value = one_in(12) ? nullptr : one_of<const char*>(kValues);
  make("options_set", is_open(of), must_refuse(name == nullptr || value == nullptr),
       [&](hotset_error* said) { return hotset_options_set(of, name, value, said); });
}

void AbiInterpreter::get_option() {
  hotset_options* const of = options();
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  hotset_option_at(number(static_cast<uint32_t>(hotset_option_count()) + 1), &info);
  make_text("options_get", is_open(of), must_refuse(info.name == nullptr), [&](char* buffer, size_t capacity, size_t* length, hotset_error* said) {
    return hotset_options_get(of, info.name, buffer, capacity, length, said);
  });
}

void AbiInterpreter::look_at_names() {
  const size_t count = hotset_option_count();
  make_plain("option_count");
  const size_t index = number(static_cast<uint32_t>(count) + 4);
  Sized<hotset_option_info> info = sized<hotset_option_info>(HOTSET_OPTION_INFO_INIT);
  const bool none = one_in(8);
  const hotset_code code = hotset_option_at(index, none ? nullptr : info.get());
  judge("option_at", true, index >= count ? Must::kAny : none || !info.can_be() ? Must::kRefuse : Must::kSucceed, code);
  if ((code == HOTSET_NOT_FOUND) != (index >= count)) complain("option_at", "an option that is not there, or is");
  check_kept("option_at", info);
  const auto any_code = static_cast<hotset_code>(number(20)) - 4;
  if (hotset_code_name(any_code) == nullptr) complain("code_name", "NULL");
  make_plain("code_name");
  if (std::string(hotset_version()).empty()) complain("version", "nothing");
  make_plain("version");
}

// Whatever else is set, it stays small and on the CPU.
AbiInterpreter::EngineOptions AbiInterpreter::small_options() {
  hotset_options* const given = one_in(2) ? nullptr : options();
  if (given != nullptr && !is_open(given)) return {given, false, false};
  hotset_options* const of = given ? given : hotset_options_create();
  for (const auto& [name, value] : {std::pair{"device", "cpu"}, {"ctx", "32"}, {"batch", "8"}, {"threads", "2"}, {"hot-set", ""}, {"pack", ""}, {"vram", "64M"}}) {
    hotset_options_set(of, name, value, nullptr);
  }
  hotset_options_set(of, "ram", one_in(6) ? "600K" : "64M", nullptr);
  if (one_in(6)) hotset_options_set(of, "hot-set", (places_.out + "/file0").c_str(), nullptr);
  if (one_in(12)) hotset_options_set(of, "pack", (places_.out + "/file1").c_str(), nullptr);
  return {of, given == nullptr, true};
}

hotset_engine_params AbiInterpreter::engine_params(const hotset_options* options) {
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options;
  params.model_path = in_path(places_.model);
  if (params.model_path == nullptr) params.model_path = places_.model.c_str();  // the one that ships is large
  params.text_only = one_in(10);
  params.log_level = static_cast<int32_t>(number(8)) - 2;
  params.log_user = this;
  params.log = [](void* user, int32_t, const char*) { static_cast<AbiInterpreter*>(user)->on_log(); };
  params.progress_user = this;
  params.progress = [](void* user, uint64_t, uint64_t) { return static_cast<AbiInterpreter*>(user)->on_strict(); };
  return params;
}

template <class Call>
void AbiInterpreter::open_with(const char* name, Must must, Call call) {
  if (open_count(engines_) >= kMostEngines) return;
  const EngineOptions of = small_options();
  const hotset_engine_params whole = engine_params(of.handle);
  // A size that leaves the path or the options out would open something large.
  Sized<hotset_engine_params> params = sized(whole, [&](const hotset_engine_params& seen) {
    return seen.options == of.handle && !seen.progress == !seen.progress_user && !seen.log == !seen.log_user;
  });
  const bool none = one_in(24), no_place = one_in(24);
  const bool bad = none || no_place || !params.can_be() || must == Must::kRefuse;
  hotset_engine* engine = nullptr;
  const bool ok = make(name, bad || of.is_open, must_refuse(bad), [&](hotset_error* said) {
    return call(none ? nullptr : params.get(), no_place ? nullptr : &engine, said);
  });
  if (ok != (engine != nullptr)) complain(name, "a code that does not fit the handle");
  if (ok) opened(engines_, engine);
  if (of.is_own) hotset_options_destroy(of.handle);
}

void AbiInterpreter::open_engine() { open_with("engine_open", Must::kAny, &hotset_engine_open); }

void AbiInterpreter::open_engine_on_device() {
  int something = 0;
  hotset_vulkan_device device = HOTSET_VULKAN_DEVICE_INIT;
  device.get_instance_proc_addr = one_in(4) ? nullptr : &no_functions;
  device.instance = one_in(8) ? nullptr : reinterpret_cast<VkInstance>(&something);
  device.physical_device = one_in(8) ? nullptr : reinterpret_cast<VkPhysicalDevice>(&something);
  device.device = one_in(8) ? nullptr : reinterpret_cast<VkDevice>(&something);
  device.compute_family = number(3);
  Sized<hotset_vulkan_device> given = sized(device);
  const bool none = one_in(16);
  open_with("engine_open_vulkan", must_refuse(none || !given.can_be()), [&](const hotset_engine_params* params, hotset_engine** engine, hotset_error* said) {
    return hotset_engine_open_vulkan(params, none ? nullptr : given.get(), engine, said);
  });
}

void AbiInterpreter::close_engine() {
  if (!one_in(6)) return;
  hotset_engine* const of = engine();
  if (!judge("engine_close", is_open(of), must_refuse(false), hotset_engine_close(of))) return;
  open_.erase(of);
  forget_sessions_of(of);
}

void AbiInterpreter::ask_engine() {
  hotset_engine* const of = engine();
  Sized<hotset_engine_info> info = sized<hotset_engine_info>(HOTSET_ENGINE_INFO_INIT);
  const bool none = one_in(8);
  make("engine_get_info", is_open(of), none || !info.can_be() ? Must::kRefuse : Must::kSucceed,
       [&](hotset_error* said) { return hotset_engine_get_info(of, none ? nullptr : info.get(), said); });
  check_kept("engine_get_info", info);
  using Buffer = char*;
  make_text("engine_model_name", is_open(of), Must::kAny,
            [&](Buffer to, size_t room, size_t* length, hotset_error* said) { return hotset_engine_model_name(of, to, room, length, said); });
  make_text("engine_device_name", is_open(of), Must::kAny,
            [&](Buffer to, size_t room, size_t* length, hotset_error* said) { return hotset_engine_device_name(of, to, room, length, said); });
  size_t count = 0;
  const bool no_count = one_in(8);
  make("engine_embedding_size", is_open(of), must_refuse(no_count),
       [&](hotset_error* said) { return hotset_engine_embedding_size(of, no_count ? nullptr : &count, said); });
}

void AbiInterpreter::set_budget() {
  hotset_engine* const of = engine();
  const uint64_t bytes = one_in(8) ? UINT64_MAX : uint64_t{number(60000)} << number(20);
  make("engine_set_vram", is_open(of), Must::kAny, [&](hotset_error* said) { return hotset_engine_set_vram(of, bytes, said); });
  make("engine_set_ram", is_open(of), Must::kAny, [&](hotset_error* said) { return hotset_engine_set_ram(of, bytes, said); });
  uint64_t freed = 0;
  make("engine_give_vram_back", is_open(of), Must::kAny,
       [&](hotset_error* said) { return hotset_engine_give_vram_back(of, bytes, one_in(2) ? nullptr : &freed, said); });
}

void AbiInterpreter::tokenize() {
  hotset_engine* const of = engine();
  const std::string words = text();
  std::vector<hotset_token> tokens(number(2) ? 64 : number(12), -9);
  const bool no_text = one_in(12), no_tokens = one_in(12);
  size_t count = SIZE_MAX;
  const bool ok = make("tokenize", is_open(of), must_refuse(no_text && !words.empty()), [&](hotset_error* said) {
    return hotset_tokenize(of, no_text ? nullptr : words.data(), words.size(), number(8), no_tokens ? nullptr : tokens.data(), tokens.size(), &count, said);
  });
  if (ok && count > tokens.size()) complain("tokenize", "more tokens than there was room for");
  if (std::count(tokens.begin(), tokens.end(), -9) != static_cast<std::ptrdiff_t>(tokens.size() - (ok ? count : 0))) complain("tokenize", "tokens that do not count");
}

void AbiInterpreter::detokenize() {
  hotset_engine* const of = engine();
  std::vector<hotset_token> tokens(number(9));
  for (hotset_token& token : tokens) token = one_in(8) ? static_cast<hotset_token>(number(60000)) - 30000 : static_cast<hotset_token>(number(256));
  const bool none = one_in(12);
  make_text("detokenize", is_open(of), must_refuse(none && !tokens.empty()), [&](char* buffer, size_t capacity, size_t* length, hotset_error* said) {
    return hotset_detokenize(of, none ? nullptr : tokens.data(), tokens.size(), number(8), buffer, capacity, length, said);
  });
  const auto token = static_cast<hotset_token>(uint32_t{number(65535)} << number(17));
  const bool no_place = one_in(8);
  int32_t is_end = 0;
  make("is_end_of_text", is_open(of), no_place ? Must::kRefuse : Must::kSucceed,
       [&](hotset_error* said) { return hotset_is_end_of_text(of, token, no_place ? nullptr : &is_end, said); });
}

void AbiInterpreter::apply_template() {
  hotset_engine* const of = engine();
  const std::string words = text();
  const std::vector<hotset_message> messages = {{one_in(12) ? nullptr : "user", words.c_str()}, {"assistant", one_in(12) ? nullptr : "yes"}};
  const size_t count = number(3);
  const bool none = one_in(12);
  const bool lacks = (count > 0 && messages[0].role == nullptr) || (count > 1 && messages[1].content == nullptr);
  make_text("apply_chat_template", is_open(of), must_refuse((none && count > 0) || lacks),
            [&](char* buffer, size_t capacity, size_t* length, hotset_error* said) {
              return hotset_apply_chat_template(of, none ? nullptr : messages.data(), count, buffer, capacity, length, said);
            });
}

void AbiInterpreter::apply_template_json() {
  hotset_engine* const of = engine();
  const std::string words = text();
  const char* const messages = one_in(3) ? one_of<const char*>(kJson) : one_in(4) ? words.c_str() : kJson[4];
  const char* const tools = one_in(2) ? nullptr : one_of<const char*>(kJson);
  const char* const variables = one_in(2) ? nullptr : one_of<const char*>(kJson);
  make_text("apply_chat_template_json", is_open(of), must_refuse(messages == nullptr),
            [&](char* buffer, size_t capacity, size_t* length, hotset_error* said) {
              return hotset_apply_chat_template_json(of, messages, tools, variables, buffer, capacity, length, said);
            });
}

void AbiInterpreter::open_parser() {
  if (open_count(parsers_) >= kMostParsers) return;
  hotset_engine* const of = engine();
  const std::string words = text();
  const char* const prompt = one_in(12) ? nullptr : one_in(2) ? "<|im_start|>assistant\n<think>\n" : words.c_str();
  const char* const tools = one_of<const char*>(kJson);
  const bool no_place = one_in(12);
  hotset_parser* parser = nullptr;
  const bool ok = make("parser_open", is_open(of), must_refuse(prompt == nullptr || no_place),
                       [&](hotset_error* said) { return hotset_parser_open(of, prompt, tools, no_place ? nullptr : &parser, said); });
  if (ok != (parser != nullptr)) complain("parser_open", "a code that does not fit the handle");
  if (ok) opened(parsers_, parser);
}

void AbiInterpreter::close_parser() {
  hotset_parser* const of = parser();
  if (judge("parser_close", is_open(of), must_refuse(false), hotset_parser_close(of))) open_.erase(of);
}

void AbiInterpreter::parse() {
  constexpr const char* kPieces[] = {"<think>", "hm", "</think>\n\n", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "<tool_call>", "{\"a\":", "\xf0\x9f"};
  hotset_parser* const of = parser();
  const std::string piece = one_in(3) ? text() : one_of<const char*>(kPieces);
  const bool no_text = one_in(12);
  const hotset_part_function given = [](void* user, hotset_part part, const char*, size_t bytes) {
    auto* const self = static_cast<AbiInterpreter*>(user);
    if (part < HOTSET_REASONING || part > HOTSET_TOOL_CALL || bytes == 0) self->complain("parser", "a part that is none");
    self->on_any();
  };
  const hotset_part_function function = one_in(12) ? nullptr : given;
  make("parser_push", is_open(of), must_refuse((no_text && !piece.empty()) || function == nullptr || finished_.contains(of)),
       [&](hotset_error* said) { return hotset_parser_push(of, no_text ? nullptr : piece.data(), piece.size(), function, this, said); });
  if (!one_in(4)) return;
  const bool no_function = one_in(6), was_open = is_open(of), was_finished = finished_.contains(of);
  if (was_open && !no_function) finished_.insert(of);
  make("parser_finish", was_open, must_refuse(no_function || was_finished),
       [&](hotset_error* said) { return hotset_parser_finish(of, no_function ? nullptr : given, this, said); });
}

void AbiInterpreter::save_hot_set() {
  hotset_engine* const of = engine();
  const char* const path = out_path();
  make("engine_save_hot_set", is_open(of), must_refuse(path == nullptr), [&](hotset_error* said) { return hotset_engine_save_hot_set(of, path, said); });
}

}  // namespace hotset::test
