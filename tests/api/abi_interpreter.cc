#include "tests/api/abi_interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hotset::test {
namespace {

constexpr size_t kMostEngines = 2, kMostSessions = 4, kMostOptions = 4;  // open at a time
constexpr uint32_t kMostDepth = 2;
constexpr const char* kValues[] = {"0", "1", "16", "-1", "1e9", "50%", "true", "false", "auto", "cpu", "lru", "f32", "wait", "", "99999999999999999999", "\xff"};

}  // namespace

AbiInterpreter::AbiInterpreter(std::span<const uint8_t> program, std::string model_path, std::string folder)
    : program_(program), model_path_(std::move(model_path)), folder_(std::move(folder)) {}

AbiInterpreter::~AbiInterpreter() {
  for (hotset_session* session : sessions_) hotset_session_close(session);
  for (hotset_engine* engine : engines_) hotset_engine_close(engine);
  for (hotset_options* options : options_) hotset_options_destroy(options);
}

std::span<const AbiInterpreter::Operation> AbiInterpreter::operations() {
  using Self = AbiInterpreter;
  // Those that do most come more often.
  static constexpr Operation all[] = {
      &Self::create_options, &Self::destroy_options, &Self::set_option,    &Self::set_option,         &Self::get_option,   &Self::look_at_option,
      &Self::open_engine,    &Self::close_engine,    &Self::ask_engine,    &Self::set_budget,         &Self::tokenize,     &Self::detokenize,
      &Self::apply_template, &Self::open_session,    &Self::open_session,  &Self::close_session,      &Self::feed,         &Self::feed,
      &Self::feed,           &Self::feed,            &Self::set_filter,    &Self::logits_and_sample,  &Self::generate,     &Self::generate,
      &Self::rewind,         &Self::ask_session,     &Self::trace,         &Self::fork,               &Self::save_bytes,   &Self::save_bytes,
      &Self::load_bytes,     &Self::load_bytes,      &Self::load_bytes,    &Self::save_and_load_file, &Self::open_engine,
      &Self::embed,          &Self::look_at_routing};
  return all;
}

void AbiInterpreter::run(uint32_t most_calls) {
  for (uint32_t i = 0; i < most_calls && at_ < program_.size(); ++i) {
    const auto all = operations();
    (this->*all[number(static_cast<uint32_t>(all.size()))])();
  }
}

uint8_t AbiInterpreter::byte() { return at_ < program_.size() ? program_[at_++] : uint8_t{0}; }

size_t AbiInterpreter::struct_size(size_t real) {
  const size_t sizes[] = {real, real, real, real, real + 64, real - 1, sizeof(size_t), 3, 0, SIZE_MAX};
  return sizes[number(std::size(sizes))];
}

std::string AbiInterpreter::text() {
  if (!one_in(4)) return std::string("Once upon a time there was").substr(0, number(27));
  std::string text(number(40), '\0');
  for (char& c : text) c = static_cast<char>(byte());
  return text;
}

const char* AbiInterpreter::path() {
  switch (number(8)) {
    case 0: return nullptr;
    case 1: path_ = folder_; break;
    case 2: path_ = "/nonexistent/file"; break;
    case 3: path_ = std::string(5000, 'x'); break;
    case 4: path_.clear(); break;
    default: path_ = folder_ + "/file" + std::to_string(number(2));
  }
  return path_.c_str();
}

template <class Handle>
Handle* AbiInterpreter::handle(const std::vector<Handle*>& known) {
  const uint32_t kind = number(24);
  if (kind == 0) return nullptr;
  if (kind == 1) return reinterpret_cast<Handle*>((uintptr_t{byte()} << 56) | (uintptr_t{byte()} << 16) | byte());
  if (kind == 2 && !sessions_.empty()) return reinterpret_cast<Handle*>(sessions_[number(static_cast<uint32_t>(sessions_.size()))]);
  if (kind == 3 && !engines_.empty()) return reinterpret_cast<Handle*>(engines_[number(static_cast<uint32_t>(engines_.size()))]);
  if (known.empty()) return nullptr;
  // Mostly one of the last, which are likely to be open.
  const uint32_t back = one_in(4) ? number(static_cast<uint32_t>(known.size())) : number(std::min<uint32_t>(3, static_cast<uint32_t>(known.size())));
  return known[known.size() - 1 - back];
}

hotset_error* AbiInterpreter::error() {
  error_ = HOTSET_ERROR_INIT;
  if (one_in(16)) {
    error_.size = 0;
    return nullptr;
  }
  error_.code = -7;
  if (one_in(8)) error_.size = number(600);
  return &error_;
}

void AbiInterpreter::complain(const char* call, const char* what) {
  complaints_.push_back(std::string(call) + ": " + what + " (call " + std::to_string(calls_) + ")");
}

bool AbiInterpreter::answered(const char* call, bool open, hotset_code code) {
  ++calls_;
  if (code < HOTSET_OK || code > HOTSET_TOO_SMALL) complain(call, "a code that is none");
  if (open == (code == HOTSET_INVALID_HANDLE)) complain(call, open ? "an open handle was refused" : "a handle that is not open was taken");
  if (error_.size == sizeof error_ && error_.code != -7) {
    if (error_.code != code) complain(call, "the error is of another code");
    if ((error_.message[0] == '\0') != (code == HOTSET_OK)) complain(call, "an error says nothing, or success something");
  }
  error_.size = 0;
  good_calls_ += code == HOTSET_OK;
  return code == HOTSET_OK;
}

void AbiInterpreter::create_options() {
  if (open_count(options_) >= kMostOptions) return;
  options_.push_back(hotset_options_create());
  open_.insert(options_.back());
}

void AbiInterpreter::destroy_options() {
  hotset_options* const of = options();
  if (answered("options_destroy", is_open(of), hotset_options_destroy(of))) open_.erase(of);
}

void AbiInterpreter::set_option() {
  hotset_options* const of = options();
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  hotset_option_at(number(static_cast<uint32_t>(hotset_option_count()) + 1), &info);
  const char* const value = one_in(12) ? nullptr : kValues[number(std::size(kValues))];
  answered("options_set", is_open(of), hotset_options_set(of, one_in(16) ? "no such" : info.name, value, error()));
}

void AbiInterpreter::get_option() {
  hotset_options* const of = options();
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  hotset_option_at(number(static_cast<uint32_t>(hotset_option_count()) + 1), &info);
  size_t length = 0;
  answered("options_get", is_open(of), hotset_options_get(of, info.name, one_in(8) ? nullptr : buffer_.data(), number(64), &length, error()));
}

void AbiInterpreter::look_at_option() {
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  info.size = struct_size(sizeof info);
  hotset_option_at(number(100), one_in(8) ? nullptr : &info);
  hotset_code_name(static_cast<hotset_code>(number(20)) - 4);
}

void AbiInterpreter::open_engine() {
  if (open_count(engines_) >= kMostEngines) return;
  hotset_options* of = one_in(2) ? nullptr : options();
  // Whatever else is set, it stays small, on the CPU, and writes no files.
  hotset_options* const own = of ? of : hotset_options_create();
  for (const auto& [name, value] : {std::pair{"device", "cpu"}, {"ctx", "32"}, {"batch", "8"}, {"threads", "2"}, {"hot-set", ""}, {"pack", ""}, {"ram", "64M"},
                                    {"vram", "64M"}}) {
    hotset_options_set(own, name, value, nullptr);
  }
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.size = struct_size(sizeof params);
  params.model_path = one_in(12) ? "/nonexistent" : model_path_.c_str();
  params.options = own;
  params.log_level = static_cast<int32_t>(number(8)) - 2;
  params.log = [](void*, int32_t, const char*) {};
  params.progress_user = this;
  params.progress = [](void* user, uint64_t, uint64_t) -> int32_t { return !static_cast<AbiInterpreter*>(user)->one_in(200); };
  // A size that leaves the path or the options out would open something large.
  if (params.size < sizeof params && params.size > sizeof(size_t) - 1) params.size = sizeof params;
  hotset_engine* engine = nullptr;
  const hotset_code code = hotset_engine_open(one_in(24) ? nullptr : &params, one_in(24) ? nullptr : &engine, error());
  ++calls_;
  if ((code == HOTSET_OK) != (engine != nullptr)) complain("engine_open", "a code that does not fit the handle");
  if (code == HOTSET_OK) {
    engines_.push_back(engine);
    open_.insert(engine);
  }
  if (!of) hotset_options_destroy(own);
  error_.size = 0;
}

void AbiInterpreter::forget_sessions_of(const void* engine) {
  for (size_t i = 0; i < sessions_.size(); ++i) {
    if (owners_[i] == engine) open_.erase(sessions_[i]);
  }
}

void AbiInterpreter::close_engine() {
  if (!one_in(4)) return;
  hotset_engine* const of = engine();
  if (!answered("engine_close", is_open(of), hotset_engine_close(of))) return;
  open_.erase(of);
  forget_sessions_of(of);
}

void AbiInterpreter::ask_engine() {
  hotset_engine* const of = engine();
  hotset_engine_info info = HOTSET_ENGINE_INFO_INIT;
  info.size = struct_size(sizeof info);
  answered("engine_get_info", is_open(of), hotset_engine_get_info(of, one_in(8) ? nullptr : &info, error()));
  size_t length = 0;
  answered("engine_model_name", is_open(of), hotset_engine_model_name(of, buffer_.data(), number(100), one_in(2) ? nullptr : &length, error()));
  answered("engine_device_name", is_open(of), hotset_engine_device_name(of, nullptr, number(3), &length, error()));
}

void AbiInterpreter::set_budget() {
  hotset_engine* const of = engine();
  const uint64_t bytes = one_in(8) ? UINT64_MAX : uint64_t{number(60000)} << number(20);
  answered("engine_set_vram", is_open(of), hotset_engine_set_vram(of, bytes, error()));
  answered("engine_set_ram", is_open(of), hotset_engine_set_ram(of, bytes, error()));
  uint64_t freed = 0;
  answered("engine_give_vram_back", is_open(of), hotset_engine_give_vram_back(of, bytes, one_in(2) ? nullptr : &freed, error()));
}

void AbiInterpreter::tokenize() {
  hotset_engine* const of = engine();
  const std::string words = text();
  hotset_token tokens[64];
  size_t count = 0;
  const bool none = one_in(8);
  const bool ok = answered("tokenize", is_open(of), hotset_tokenize(of, one_in(12) ? nullptr : words.data(), words.size(), number(8), none ? nullptr : tokens,
                                                           none ? 0 : number(65), &count, error()));
  if (ok && count > 64) complain("tokenize", "more tokens than there was room for");
}

void AbiInterpreter::detokenize() {
  hotset_engine* const of = engine();
  hotset_token tokens[8];
  for (hotset_token& token : tokens) token = one_in(8) ? static_cast<hotset_token>(number(60000)) - 30000 : static_cast<hotset_token>(number(256));
  size_t length = 0;
  const uint32_t count = number(9);
  answered("detokenize", is_open(of), hotset_detokenize(of, one_in(12) ? nullptr : tokens, count, number(8), buffer_.data(), number(200), &length, error()));
  int32_t is_end = 0;
  answered("is_end_of_text", is_open(of), hotset_is_end_of_text(of, tokens[0], one_in(8) ? nullptr : &is_end, error()));
}

void AbiInterpreter::apply_template() {
  hotset_engine* const of = engine();
  const std::string words = text();
  const hotset_message messages[] = {{one_in(12) ? nullptr : "user", words.c_str()}, {"assistant", one_in(12) ? nullptr : "yes"}};
  size_t length = 0;
  answered("apply_chat_template", is_open(of),
           hotset_apply_chat_template(of, one_in(12) ? nullptr : messages, number(3), buffer_.data(), number(4096), &length, error()));
  constexpr const char* kJson[] = {nullptr, "", "[]", "{}", "[{\"role\": \"user\", \"content\": \"x\"}]", "[", "null", "{\"a\": [1e999]}", "\xff"};
  const auto json = [&] { return kJson[number(std::size(kJson))]; };
  const char* const tools = json();
  const char* const variables = json();
  answered("apply_chat_template_json", is_open(of),
           hotset_apply_chat_template_json(of, one_in(2) ? kJson[4] : words.c_str(), tools, variables, buffer_.data(), number(4096), &length, error()));
}

void AbiInterpreter::open_session() {
  if (open_count(sessions_) >= kMostSessions) return;
  hotset_engine* const of = engine();
  hotset_session_params params = HOTSET_SESSION_PARAMS_INIT;
  params.size = struct_size(sizeof params);
  if (params.size == sizeof params - 1) params.size = sizeof params;  // half a pointer is another handle
  hotset_options* const sampler = one_in(2) ? nullptr : options();
  params.options = sampler;
  if (sampler != nullptr && !is_open(sampler)) return;  // would be refused for that
  hotset_session* session = nullptr;
  if (!answered("session_open", is_open(of), hotset_session_open(of, one_in(3) ? nullptr : &params, one_in(24) ? nullptr : &session, error()))) return;
  if (session == nullptr) return complain("session_open", "no handle");
  sessions_.push_back(session);
  owners_.push_back(of);
  open_.insert(session);
}

void AbiInterpreter::close_session() {
  if (!one_in(3)) return;
  hotset_session* const of = session();
  if (answered("session_close", is_open(of), hotset_session_close(of))) open_.erase(of);
}

void AbiInterpreter::feed() {
  hotset_session* const of = session();
  hotset_token tokens[40];
  for (hotset_token& token : tokens) token = static_cast<hotset_token>(number(200));
  if (one_in(16)) tokens[0] = static_cast<hotset_token>(uint32_t{number(60000)} * 40000);
  answered("session_feed", is_open(of), hotset_session_feed(of, one_in(24) ? nullptr : tokens, one_in(2) ? 1 : number(41), error()));
}

void AbiInterpreter::logits_and_sample() {
  hotset_session* const of = session();
  const float* logits = nullptr;
  size_t count = 0;
  if (answered("session_logits", is_open(of), hotset_session_logits(of, one_in(12) ? nullptr : &logits, one_in(2) ? nullptr : &count, error()))) {
    if (count > 0 && std::isinf(logits[count - 1])) buffer_[0] = 'x';  // reads the last one
  }
  hotset_token token = 0;
  answered("session_sample", is_open(of), hotset_session_sample(of, one_in(12) ? nullptr : &token, error()));
}

void AbiInterpreter::on_logits(float* logits, size_t count) {
  const float value = one_in(2) ? -INFINITY : NAN;
  const size_t changed = one_in(3) ? count : std::min<size_t>(count, number(300));
  std::fill_n(logits, changed, value);
}

void AbiInterpreter::set_filter() {
  hotset_session* const of = session();
  const hotset_logits_function function = [](void* user, float* logits, size_t count) { static_cast<AbiInterpreter*>(user)->on_logits(logits, count); };
  answered("session_set_logits_function", is_open(of), hotset_session_set_logits_function(of, one_in(2) ? nullptr : function, this, error()));
}

// From within hotset_session_generate.
int32_t AbiInterpreter::on_text() {
  if (one_in(12)) return 0;
  if (depth_ < kMostDepth && one_in(6)) {
    ++depth_;
    const auto all = operations();
    (this->*all[number(static_cast<uint32_t>(all.size()))])();
    --depth_;
  }
  return 1;
}

void AbiInterpreter::generate() {
  hotset_session* const of = session();
  hotset_token tokens[8];
  for (hotset_token& token : tokens) token = static_cast<hotset_token>(number(200));
  hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
  params.size = struct_size(sizeof params);
  params.prompt = one_in(4) ? nullptr : tokens;
  params.prompt_count = number(9);
  params.max_tokens = number(9);
  params.text_user = this;
  params.text = [](void* user, const char*, size_t) { return static_cast<AbiInterpreter*>(user)->on_text(); };
  hotset_stop_reason reason = -1;
  const bool was_open = is_open(of);
  hotset_error* const said = depth_ == 0 ? error() : nullptr;
  const hotset_code code = hotset_session_generate(of, one_in(24) ? nullptr : &params, &reason, said);
  error_.size = 0;  // calls from the callback wrote to it
  ++calls_;
  good_calls_ += code == HOTSET_OK;
  if (was_open == (code == HOTSET_INVALID_HANDLE)) complain("session_generate", "the handle was judged wrongly");
  if (code == HOTSET_OK && (reason < HOTSET_STOP_LENGTH || reason > HOTSET_STOP_REQUESTED)) complain("session_generate", "a reason that is none");
}

void AbiInterpreter::rewind() {
  hotset_session* const of = session();
  answered("session_rewind", is_open(of), hotset_session_rewind(of, one_in(8) ? UINT32_MAX : number(34), error()));
}

void AbiInterpreter::ask_session() {
  hotset_session* const of = session();
  uint32_t position = 0;
  answered("session_position", is_open(of), hotset_session_position(of, one_in(8) ? nullptr : &position, error()));
  if (position > 32) complain("session_position", "beyond the context");
  hotset_stats stats = HOTSET_STATS_INIT;
  stats.size = struct_size(sizeof stats);
  answered("session_get_stats", is_open(of), hotset_session_get_stats(of, one_in(8) ? nullptr : &stats, error()));
  size_t length = 0;
  answered("session_explain", is_open(of), hotset_session_explain(of, buffer_.data(), number(4096), &length, error()));
  hotset_token tokens[32];
  size_t count = 0;
  answered("session_tokens", is_open(of), hotset_session_tokens(of, one_in(8) ? nullptr : tokens, number(33), &count, error()));
  if (one_in(8)) answered("session_stop", is_open(of), hotset_session_stop(of));
}

void AbiInterpreter::trace() {
  hotset_session* const of = session();
  answered("session_trace", is_open(of), hotset_session_trace(of, path(), error()));
}

void AbiInterpreter::fork() {
  if (open_count(sessions_) >= kMostSessions) return;
  hotset_session* const of = session();
  hotset_session* made = nullptr;
  if (!answered("session_fork", is_open(of), hotset_session_fork(of, one_in(12) ? nullptr : &made, error()))) return;
  if (made == nullptr) return complain("session_fork", "no handle");
  const auto place = std::ranges::find(sessions_, of) - sessions_.begin();
  owners_.push_back(owners_[static_cast<size_t>(place)]);
  sessions_.push_back(made);
  open_.insert(made);
}

void AbiInterpreter::embed() {
  hotset_engine* const maker = engine();
  size_t count = 0;
  answered("engine_embedding_size", is_open(maker), hotset_engine_embedding_size(maker, one_in(8) ? nullptr : &count, error()));
  hotset_session* const of = session();
  const hotset_token tokens[] = {1, 2, static_cast<hotset_token>(number(400)), 4};
  std::array<float, 512> values;
  const auto pooling = static_cast<hotset_pooling>(number(4)) - 1;
  answered("session_embed", is_open(of), hotset_session_embed(of, one_in(12) ? nullptr : tokens, number(5), pooling, one_in(12) ? nullptr : values.data(),
                                                              one_in(6) ? number(300) : values.size(), error()));
}

void AbiInterpreter::look_at_routing() {
  hotset_session* const of = session();
  const hotset_routing_function function = [](void* user, uint32_t, uint32_t, const uint16_t* experts, const uint8_t* in_vram, size_t count) {
    for (size_t i = 0; i < count; ++i) static_cast<AbiInterpreter*>(user)->buffer_[i] = static_cast<char>(experts[i] + in_vram[i]);
  };
  answered("session_set_routing_function", is_open(of), hotset_session_set_routing_function(of, one_in(2) ? nullptr : function, this, error()));
  hotset_engine* const other = engine();
  answered("engine_save_hot_set", is_open(other), hotset_engine_save_hot_set(other, path(), error()));
}

void AbiInterpreter::save_and_load_file() {
  hotset_session* const of = session();
  answered("session_save", is_open(of), hotset_session_save(of, path(), error()));
  hotset_session* const other = session();
  answered("session_load", is_open(other), hotset_session_load(other, path(), error()));
}

void AbiInterpreter::save_bytes() {
  hotset_session* const of = session();
  size_t size = 0;
  const hotset_code asked = hotset_session_save_bytes(of, nullptr, 0, &size, error());
  answered("session_save_bytes", is_open(of), asked);
  if (asked != HOTSET_TOO_SMALL) return;
  state_.assign(one_in(12) ? size - 1 : size, std::byte{});
  answered("session_save_bytes", is_open(of), hotset_session_save_bytes(of, state_.data(), state_.size(), one_in(2) ? nullptr : &size, error()));
}

void AbiInterpreter::load_bytes() {
  hotset_session* const of = session();
  std::vector<std::byte> state = state_;
  if (one_in(4)) state.resize(number(static_cast<uint32_t>(state.size() + 20)));
  for (uint32_t changes = one_in(2) ? 0 : number(4); changes > 0 && !state.empty(); --changes) {
    state[one_in(2) ? number(std::min<uint32_t>(128, static_cast<uint32_t>(state.size()))) : number(static_cast<uint32_t>(state.size()))] = std::byte{byte()};
  }
  uint32_t before = 0, after = 0;
  hotset_session_position(of, &before, nullptr);
  const bool loaded = answered("session_load_bytes", is_open(of), hotset_session_load_bytes(of, one_in(24) ? nullptr : state.data(), state.size(), error()));
  hotset_session_position(of, &after, nullptr);
  if (!loaded && before != after) complain("session_load_bytes", "a state that was refused changed the session");
}

}  // namespace hotset::test
