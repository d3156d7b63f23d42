// The C functions of hotset.h over Engine and Session: they check what they are given, and let nothing out but codes.
#include "runtime/api/calls.h"

namespace {

using namespace hotset;

static_assert(static_cast<int>(Code::kInvalidArgument) == HOTSET_INVALID_ARGUMENT && static_cast<int>(Code::kCancelled) == HOTSET_CANCELLED);
static_assert(static_cast<int>(LogLevel::kError) == HOTSET_LOG_ERROR && static_cast<int>(LogLevel::kDebug) == HOTSET_LOG_DEBUG);
static_assert(static_cast<int>(StopReason::kLength) == HOTSET_STOP_LENGTH && static_cast<int>(StopReason::kRequested) == HOTSET_STOP_REQUESTED);

LogSink log_of(const hotset_engine_params& params) {
  if (params.log == nullptr) return {};
  // What it throws has nowhere to go: lines are logged from destructors too.
  return [log = params.log, user = params.log_user](LogLevel level, std::string_view line) {
    try {
      log(user, static_cast<int32_t>(level), std::string(line).c_str());
    } catch (...) {
    }
  };
}

}  // namespace

Status hotset::open_engine(const hotset_engine_params& params, const CallerDevice* device, hotset_engine** out) {
  OptionSet options;
  HOTSET_RETURN_IF_ERROR(options_of(params.options, options));
  options.engine.caller_device = device;
  if (params.model_path) {
    options.engine.model_path = params.model_path;
  } else {
    HOTSET_ASSIGN(options.engine.model_path, shipped_model_path());
  }
  if (params.progress) {
    options.engine.on_progress = [&](const LoadProgress& load) { return params.progress(params.progress_user, load.done_bytes, load.total_bytes) != 0; };
  }
  const auto open = std::make_shared<OpenEngine>();
  open->log = log_of(params);
  open->log_level = static_cast<LogLevel>(std::clamp<int32_t>(params.log_level, HOTSET_LOG_ERROR, HOTSET_LOG_DEBUG));
  open->sampler = options.sampler;
  const LogScope scope(open->log, open->log_level);
  HOTSET_ASSIGN(open->engine, params.text_only ? Engine::open_text(options.engine.model_path) : Engine::open(options.engine));
  return hand_out(tables().engines, open, out);
}

namespace {

Status open_session(const std::shared_ptr<OpenEngine>& owner, const hotset_session_params& params, hotset_session** out) {
  OptionSet options;
  options.sampler = owner->sampler;
  HOTSET_RETURN_IF_ERROR(options_of(params.options, options));
  const auto open = std::make_shared<OpenSession>();
  open->owner = owner;
  HOTSET_ASSIGN(open->session, owner->engine->create_session());
  HOTSET_RETURN_IF_ERROR(open->session->set_sampler(options.sampler));
  return hand_out(tables().sessions, open, out);
}

void stop_closed(OpenSession& session) {
  session.closed = true;
  session.session->request_stop();
}

constexpr uint32_t kTokenFlags = HOTSET_ADD_SPECIAL | HOTSET_PARSE_SPECIAL | HOTSET_SHOW_SPECIAL;

Status check_flags(uint32_t flags) {
  if ((flags & ~kTokenFlags) == 0) return ok_status();
  return error(Code::kInvalidArgument, "flags are 0x%x: no flag is 0x%x", flags, flags & ~kTokenFlags);
}

}  // namespace

extern "C" {

const char* hotset_code_name(hotset_code code) {
  if (code == HOTSET_INVALID_HANDLE) return "invalid handle";
  if (code == HOTSET_TOO_SMALL) return "too small";
  if (code < HOTSET_OK || code > HOTSET_CANCELLED) return "unknown";
  return code_name(static_cast<Code>(code));
}

const char* hotset_version(void) { return HOTSET_VERSION; }

// --- options

hotset_options* hotset_options_create(void) {
  void* handle = nullptr;
  guarded(nullptr, [&] {
    handle = tables().options.add(std::make_shared<OptionSet>());
    return ok_status();
  });
  return static_cast<hotset_options*>(handle);
}

hotset_code hotset_options_destroy(hotset_options* options) {
  return guarded(nullptr, [&] { return tables().options.take(options) ? ok_status() : no_handle("set of options"); });
}

hotset_code hotset_options_set(hotset_options* options, const char* name, const char* value, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    const auto set = tables().options.find(options);
    if (!set) return no_handle("set of options");
    if (name == nullptr) return no_argument("name");
    if (value == nullptr) return no_argument("value");
    return set_option(*set, name, value);
  });
}

hotset_code hotset_options_get(const hotset_options* options, const char* name, char* buffer, size_t capacity, size_t* length, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    const auto set = tables().options.find(options);
    if (!set) return no_handle("set of options");
    if (name == nullptr) return no_argument("name");
    const OptionSpec* option = find_option(name);
    if (!option) return hotset::error(Code::kNotFound, "there is no option '%.40s'", name);
    return write_text(option->get(*set), buffer, capacity, length);
  });
}

size_t hotset_option_count(void) { return option_table().size(); }

hotset_code hotset_option_at(size_t index, hotset_option_info* info) {
  return guarded(nullptr, [&]() -> Status {
    if (index >= option_table().size()) return error(Code::kNotFound, "there are %zu options", option_table().size());
    const OptionSpec& option = option_table()[index];
    return fill({0, option.name, option.value_name, option.help, option.group == OptionGroup::kSampler}, info, "info");
  });
}

// --- engine

hotset_code hotset_engine_open(const hotset_engine_params* params, hotset_engine** engine, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    hotset_engine_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    if (engine == nullptr) return no_argument("engine");
    return open_engine(values, nullptr, engine);
  });
}

hotset_code hotset_engine_close(hotset_engine* engine) {
  return guarded(nullptr, [&]() -> Status {
    const auto open = tables().engines.take(engine);
    if (!open) return no_handle("engine");
    const LogScope scope(open->log, open->log_level);
    const auto sessions = tables().sessions.take_all([&](const OpenSession& session) { return session.owner == open; });
    for (const auto& session : sessions) stop_closed(*session);
    return ok_status();
  });
}

hotset_code hotset_engine_get_info(hotset_engine* engine, hotset_engine_info* info, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) {
    const Engine& from = *open.engine;
    return fill({0, from.vocab_size(), from.context_tokens(), from.has_chat_template(), from.load_ns()}, info, "info");
  });
}

hotset_code hotset_engine_model_name(hotset_engine* engine, char* buffer, size_t capacity, size_t* length, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) { return write_text(open.engine->model_name(), buffer, capacity, length); });
}

hotset_code hotset_engine_device_name(hotset_engine* engine, char* buffer, size_t capacity, size_t* length, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) { return write_text(open.engine->device_name(), buffer, capacity, length); });
}

hotset_code hotset_engine_set_vram(hotset_engine* engine, uint64_t bytes, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) { return open.engine->set_vram_budget(bytes); });
}

hotset_code hotset_engine_set_ram(hotset_engine* engine, uint64_t bytes, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) { return open.engine->set_ram_budget(bytes); });
}

hotset_code hotset_engine_give_vram_back(hotset_engine* engine, uint64_t bytes, uint64_t* freed, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    HOTSET_ASSIGN(const uint64_t came_free, open.engine->give_vram_back(bytes));
    if (freed) *freed = came_free;
    return ok_status();
  });
}

// --- text

hotset_code hotset_tokenize(hotset_engine* engine, const char* text, size_t text_bytes, uint32_t flags, hotset_token* tokens, size_t capacity, size_t* count,
                            hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(text, text_bytes, "text"));
    HOTSET_RETURN_IF_ERROR(check_flags(flags));
    HOTSET_ASSIGN(const auto ids, open.engine->tokenize({text, text_bytes}, (flags & HOTSET_ADD_SPECIAL) != 0, (flags & HOTSET_PARSE_SPECIAL) != 0));
    if (count) *count = ids.size();
    if (capacity < ids.size()) return hotset::error(kTooSmall, "there is room for %zu tokens, and the text has %zu", capacity, ids.size());
    if (tokens == nullptr && !ids.empty()) return no_argument("tokens");
    std::copy(ids.begin(), ids.end(), tokens);
    return ok_status();
  });
}

hotset_code hotset_detokenize(hotset_engine* engine, const hotset_token* tokens, size_t count, uint32_t flags, char* buffer, size_t capacity, size_t* length,
                              hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(tokens, count, "tokens"));
    HOTSET_RETURN_IF_ERROR(check_flags(flags));
    HOTSET_ASSIGN(const std::string text, open.engine->detokenize({tokens, count}, (flags & HOTSET_SHOW_SPECIAL) != 0));
    return write_text(text, buffer, capacity, length);
  });
}

hotset_code hotset_is_end_of_text(hotset_engine* engine, hotset_token token, int32_t* is_end, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    if (is_end == nullptr) return no_argument("is_end");
    *is_end = open.engine->is_end_of_generation(token);
    return ok_status();
  });
}

hotset_code hotset_apply_chat_template(hotset_engine* engine, const hotset_message* messages, size_t count, char* buffer, size_t capacity, size_t* length,
                                       hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(messages, count, "messages"));
    std::vector<ChatMessage> chat;
    for (size_t i = 0; i < count; ++i) {
      if (messages[i].role == nullptr || messages[i].content == nullptr) {
        return hotset::error(Code::kInvalidArgument, "message %zu has no role or no content", i);
      }
      chat.push_back({messages[i].role, messages[i].content});
    }
    HOTSET_ASSIGN(const std::string text, open.engine->apply_chat_template(chat, true));
    return write_text(text, buffer, capacity, length);
  });
}

hotset_code hotset_apply_chat_template_json(hotset_engine* engine, const char* messages, const char* tools, const char* variables, char* buffer, size_t capacity,
                                            size_t* length, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    if (messages == nullptr) return no_argument("messages");
    HOTSET_ASSIGN(const std::string text, open.engine->apply_chat_template_json(messages, tools ? tools : "", variables ? variables : ""));
    return write_text(text, buffer, capacity, length);
  });
}

// --- session

hotset_code hotset_session_open(hotset_engine* engine, const hotset_session_params* params, hotset_session** session, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    const auto owner = tables().engines.find(engine);
    if (!owner) return no_handle("engine");
    hotset_session_params values = HOTSET_SESSION_PARAMS_INIT;
    if (params) HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    if (session == nullptr) return no_argument("session");
    const LogScope scope(owner->log, owner->log_level);
    return open_session(owner, values, session);
  });
}

hotset_code hotset_session_close(hotset_session* session) {
  return guarded(nullptr, [&]() -> Status {
    const auto open = tables().sessions.take(session);
    if (!open) return no_handle("session");
    const LogScope scope(open->owner->log, open->owner->log_level);
    stop_closed(*open);
    return ok_status();
  });
}

hotset_code hotset_session_feed(hotset_session* session, const hotset_token* tokens, size_t count, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(tokens, count, "tokens"));
    return open.session->feed({tokens, count}, {});
  });
}

hotset_code hotset_session_feed_each(hotset_session* session, const hotset_token* tokens, size_t count, hotset_position_function function, void* user,
                                     hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    HOTSET_RETURN_IF_ERROR(check_array(tokens, count, "tokens"));
    if (function == nullptr) return no_argument("function");
    return open.session->feed({tokens, count},
                              [&](uint32_t position, std::span<const float> logits) { function(user, position, logits.data(), logits.size()); });
  });
}

hotset_code hotset_session_logits(hotset_session* session, const float** logits, size_t* count, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (logits == nullptr) return no_argument("logits");
    const std::span<const float> values = open.session->logits();
    if (values.empty()) return hotset::error(Code::kInvalidArgument, "there are no logits yet: feed tokens first");
    *logits = values.data();
    if (count) *count = values.size();
    return ok_status();
  });
}

hotset_code hotset_session_sample(hotset_session* session, hotset_token* token, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (token == nullptr) return no_argument("token");
    if (open.session->logits().empty()) return hotset::error(Code::kInvalidArgument, "there are no logits yet: feed tokens first");
    const TokenId picked = open.session->sample();
    if (picked == kNoToken) return no_token_left();
    *token = picked;
    return ok_status();
  });
}

hotset_code hotset_session_set_logits_function(hotset_session* session, hotset_logits_function function, void* user, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) {
    LogitsFilter filter;
    if (function) filter = [function, user](std::span<float> logits) { function(user, logits.data(), logits.size()); };
    open.session->set_logits_filter(std::move(filter));
    return ok_status();
  });
}

hotset_code hotset_session_generate(hotset_session* session, const hotset_generate_params* params, hotset_stop_reason* reason, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    hotset_generate_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    HOTSET_RETURN_IF_ERROR(check_array(values.prompt, values.prompt_count, "prompt"));
    TextSink sink;
    if (values.text) sink = [&](std::string_view text) { return values.text(values.text_user, text.data(), text.size()) != 0; };
    HOTSET_ASSIGN(const StopReason stopped, open.session->generate({values.prompt, values.prompt_count}, values.max_tokens, sink));
    if (reason) *reason = static_cast<hotset_stop_reason>(stopped);
    return ok_status();
  });
}

hotset_code hotset_session_rewind(hotset_session* session, uint32_t position, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (position > open.session->position()) {
      return hotset::error(Code::kInvalidArgument, "position %u is beyond the %u tokens of the timeline", position, open.session->position());
    }
    open.session->rewind(position);
    return ok_status();
  });
}

hotset_code hotset_session_position(hotset_session* session, uint32_t* position, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (position == nullptr) return no_argument("position");
    *position = open.session->position();
    return ok_status();
  });
}

hotset_code hotset_session_stop(hotset_session* session) {
  return with_session_any_time(session, nullptr, [&](OpenSession& open) {
    open.session->request_stop();
    return ok_status();
  });
}

hotset_code hotset_session_explain(hotset_session* session, char* buffer, size_t capacity, size_t* length, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) { return write_text(open.session->explain(), buffer, capacity, length); });
}

hotset_code hotset_session_trace(hotset_session* session, const char* path, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) { return open.session->trace_to(path ? path : "", TraceContent::kRouting); });
}

hotset_code hotset_session_trace_links(hotset_session* session, const char* path, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) { return open.session->trace_to(path ? path : "", TraceContent::kRoutingAndLinks); });
}

}  // extern "C"
