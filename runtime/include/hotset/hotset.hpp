// hotset.hpp: hotset.h for C++20, header only. What it does, and every rule, is said there.
//
// Objects close their handle when they go, or when another is assigned to them; they can be moved, not copied, and one that was moved from
// has no handle. A call that fails throws hotset::api::error. What a callback throws ends the call and comes out of it; only what a log
// function throws is dropped.
#pragma once

#include <hotset/hotset.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotset::api {

class error : public std::runtime_error {
 public:
  error(hotset_code code, const std::string& message) : std::runtime_error(message.empty() ? hotset_code_name(code) : message), code_(code) {}
  hotset_code code() const noexcept { return code_; }

 private:
  hotset_code code_;
};

namespace detail {

// Throws what the call said, or what a callback threw meanwhile.
template <class Call>
void run(Call call, const std::exception_ptr* thrown = nullptr) {
  hotset_error said = HOTSET_ERROR_INIT;
  const hotset_code code = call(&said);
  if (thrown && *thrown) std::rethrow_exception(*thrown);
  if (code != HOTSET_OK) throw error(code, said.message);
}

// A call that writes to a buffer: again with more room, as long as what it writes grows.
template <class Buffer, class Call>
Buffer filled(Buffer buffer, Call call) {
  size_t needed = 0;
  hotset_error said = HOTSET_ERROR_INIT;
  hotset_code code = HOTSET_OK;
  while ((code = call(buffer, &needed, &said)) == HOTSET_TOO_SMALL) buffer.resize(needed);
  if (code != HOTSET_OK) throw error(code, said.message);
  buffer.resize(needed);
  return buffer;
}

template <class Call>
std::string text(Call call) {
  constexpr size_t most_texts = 500;  // bytes: most are shorter, and made once
  return filled(std::string(most_texts, '\0'), [&](std::string& text, size_t* needed, hotset_error* e) {
    return call(text.data(), text.size() + 1, needed, e);
  });
}

template <class Handle, hotset_code (*close)(Handle*)>
class owned {
 public:
  owned() = default;
  owned(owned&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  owned& operator=(owned&& other) noexcept {
    Handle* const taken = std::exchange(other.handle, nullptr);
    if (handle) close(handle);
    handle = taken;
    return *this;
  }
  ~owned() {
    if (handle) close(handle);
  }
  Handle* handle = nullptr;
};

// A callback of progress that may throw.
struct progress_call {
  std::function<bool(uint64_t done_bytes, uint64_t total_bytes)> call;
  std::exception_ptr thrown;

  static int32_t run(void* user, uint64_t done_bytes, uint64_t total_bytes) {
    auto& from = *static_cast<progress_call*>(user);
    try {
      return from.call(done_bytes, total_bytes);
    } catch (...) {
      from.thrown = std::current_exception();
      return 0;
    }
  }
};

// A call that writes a report.
template <class Call>
std::string report(Call call) {
  std::string text;
  const hotset_text_function append = [](void* user, const char* piece, size_t bytes) -> int32_t {
    try {
      static_cast<std::string*>(user)->append(piece, bytes);
      return 1;
    } catch (...) {
      return 0;
    }
  };
  run([&](hotset_error* e) { return call(append, &text, e); });
  return text;
}

}  // namespace detail

inline const char* version() { return hotset_version(); }

using progress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;  // false cancels

// Every option there is.
inline std::vector<hotset_option_info> option_list() {
  std::vector<hotset_option_info> list;
  for (size_t i = 0; i < hotset_option_count(); ++i) {
    list.push_back(HOTSET_OPTION_INFO_INIT);
    detail::run([&](hotset_error*) { return hotset_option_at(i, &list.back()); });
  }
  return list;
}

class options {
 public:
  options() {
    owned_.handle = hotset_options_create();
    if (!owned_.handle) throw error(HOTSET_OUT_OF_MEMORY, {});
  }
  options& set(const std::string& name, const std::string& value) {
    detail::run([&](hotset_error* e) { return hotset_options_set(handle(), name.c_str(), value.c_str(), e); });
    return *this;
  }
  std::string get(const std::string& name) const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) { return hotset_options_get(handle(), name.c_str(), b, c, l, e); });
  }
  hotset_options* handle() const { return owned_.handle; }

 private:
  detail::owned<hotset_options, hotset_options_destroy> owned_;
};

struct message {
  std::string role, content;
};

class engine {
 public:
  using progress = api::progress;
  using log = std::function<void(int32_t level, std::string_view line)>;

  // An empty `model_path`: the model that ships with the library.
  explicit engine(const std::string& model_path = {}, const options& with = {}, progress on_progress = {}, log on_log = {},
                  int32_t log_level = HOTSET_LOG_INFO)
      : log_(std::make_unique<log>(std::move(on_log))) {
    hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
    params.options = with.handle();
    params.log_level = log_level;
    open(params, model_path, std::move(on_progress));
  }
  // The tokenizer and the chat template alone.
  static engine text_only(const std::string& model_path = {}) {
    engine text(nothing{});
    hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
    params.text_only = 1;
    text.open(params, model_path, {});
    return text;
  }

  // Takes what a C function opened, as hotset_engine_open_vulkan does.
  explicit engine(hotset_engine* opened) { owned_.handle = opened; }

  engine(engine&&) noexcept = default;
  engine& operator=(engine&& other) noexcept {
    owned_ = std::move(other.owned_);  // first: what is closed may still log
    log_ = std::move(other.log_);
    return *this;
  }

  hotset_engine_info info() const {
    hotset_engine_info info = HOTSET_ENGINE_INFO_INIT;
    detail::run([&](hotset_error* e) { return hotset_engine_get_info(handle(), &info, e); });
    return info;
  }
  std::string model_name() const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) { return hotset_engine_model_name(handle(), b, c, l, e); });
  }
  std::string device_name() const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) { return hotset_engine_device_name(handle(), b, c, l, e); });
  }
  void set_vram(uint64_t bytes) {
    detail::run([&](hotset_error* e) { return hotset_engine_set_vram(handle(), bytes, e); });
  }
  void set_ram(uint64_t bytes) {
    detail::run([&](hotset_error* e) { return hotset_engine_set_ram(handle(), bytes, e); });
  }

  uint64_t give_vram_back(uint64_t bytes) {
    uint64_t freed = 0;
    detail::run([&](hotset_error* e) { return hotset_engine_give_vram_back(handle(), bytes, &freed, e); });
    return freed;
  }

  // `flags`: HOTSET_ADD_SPECIAL, HOTSET_PARSE_SPECIAL.
  std::vector<hotset_token> tokenize(std::string_view text, uint32_t flags = HOTSET_ADD_SPECIAL) const {
    return detail::filled(std::vector<hotset_token>(text.size() + 2), [&](std::vector<hotset_token>& tokens, size_t* count, hotset_error* e) {
      return hotset_tokenize(handle(), text.data(), text.size(), flags, tokens.data(), tokens.size(), count, e);
    });
  }
  // `flags`: HOTSET_SHOW_SPECIAL.
  std::string detokenize(std::span<const hotset_token> tokens, uint32_t flags = 0) const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) {
      return hotset_detokenize(handle(), tokens.data(), tokens.size(), flags, b, c, l, e);
    });
  }
  bool is_end_of_text(hotset_token token) const {
    int32_t is_end = 0;
    detail::run([&](hotset_error* e) { return hotset_is_end_of_text(handle(), token, &is_end, e); });
    return is_end != 0;
  }
  std::string apply_chat_template(std::span<const message> messages) const {
    std::vector<hotset_message> plain;
    for (const message& m : messages) plain.push_back({m.role.c_str(), m.content.c_str()});
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) {
      return hotset_apply_chat_template(handle(), plain.data(), plain.size(), b, c, l, e);
    });
  }
  // JSON: an array; an array or nothing; an object or nothing.
  std::string apply_chat_template(const std::string& messages, const std::string& tools, const std::string& variables = {}) const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) {
      return hotset_apply_chat_template_json(handle(), messages.c_str(), tools.empty() ? nullptr : tools.c_str(),
                                             variables.empty() ? nullptr : variables.c_str(), b, c, l, e);
    });
  }
  size_t embedding_size() const {
    size_t count = 0;
    detail::run([&](hotset_error* e) { return hotset_engine_embedding_size(handle(), &count, e); });
    return count;
  }
  void save_hot_set(const std::string& path) {
    detail::run([&](hotset_error* e) { return hotset_engine_save_hot_set(handle(), path.c_str(), e); });
  }
  hotset_engine* handle() const { return owned_.handle; }

 private:
  struct nothing {};
  explicit engine(nothing) : log_(std::make_unique<log>()) {}

  void open(hotset_engine_params& params, const std::string& model_path, progress on_progress) {
    detail::progress_call loading{std::move(on_progress), {}};
    params.model_path = model_path.empty() ? nullptr : model_path.c_str();
    if (loading.call) {
      params.progress_user = &loading;
      params.progress = &detail::progress_call::run;
    }
    if (*log_) {
      params.log_user = log_.get();
      params.log = [](void* user, int32_t level, const char* line) {
        try {
          (*static_cast<log*>(user))(level, line);
        } catch (...) {
        }
      };
    }
    detail::run([&](hotset_error* e) { return hotset_engine_open(&params, &owned_.handle, e); }, &loading.thrown);
  }

  std::unique_ptr<log> log_;  // where the library calls it
  detail::owned<hotset_engine, hotset_engine_close> owned_;
};

// One thread at a time, but for stop().
class session {
 public:
  using logits_function = std::function<void(std::span<float> logits)>;
  using text_function = std::function<bool(std::string_view text)>;
  using routing_function = std::function<void(uint32_t position, uint32_t layer, std::span<const uint16_t> experts, std::span<const uint8_t> in_vram)>;
  using position_function = std::function<void(uint32_t position, std::span<const float> logits)>;

  explicit session(const engine& of) {
    detail::run([&](hotset_error* e) { return hotset_session_open(of.handle(), nullptr, &owned_.handle, e); });
  }
  session(const engine& of, const options& sampler) {
    hotset_session_params params = HOTSET_SESSION_PARAMS_INIT;
    params.options = sampler.handle();
    detail::run([&](hotset_error* e) { return hotset_session_open(of.handle(), &params, &owned_.handle, e); });
  }

  void feed(std::span<const hotset_token> tokens) {
    run([&](hotset_error* e) { return hotset_session_feed(handle(), tokens.data(), tokens.size(), e); });
  }
  // The same, and hands over the logits of every position in order.
  void feed(std::span<const hotset_token> tokens, position_function on_position) {
    struct {
      position_function call;
      std::exception_ptr thrown;
    } sink{std::move(on_position), {}};
    const auto take = [](void* user, uint32_t position, const float* logits, size_t count) {
      auto& to = *static_cast<decltype(sink)*>(user);
      if (to.thrown) return;
      try {
        to.call(position, {logits, count});
      } catch (...) {
        to.thrown = std::current_exception();
      }
    };
    run([&](hotset_error* e) { return hotset_session_feed_each(handle(), tokens.data(), tokens.size(), take, &sink, e); }, &sink.thrown);
  }
  // Valid until the next call.
  std::span<const float> logits() const {
    const float* values = nullptr;
    size_t count = 0;
    detail::run([&](hotset_error* e) { return hotset_session_logits(handle(), &values, &count, e); });
    return {values, count};
  }
  hotset_token sample() {
    hotset_token token = 0;
    run([&](hotset_error* e) { return hotset_session_sample(handle(), &token, e); });
    return token;
  }
  // An empty one ends it.
  void set_logits_function(logits_function function) {
    auto kept = std::make_unique<hook<logits_function>>(std::move(function), handle());
    detail::run([&](hotset_error* e) {
      return hotset_session_set_logits_function(handle(), kept->call ? &session::call_filter : nullptr, kept.get(), e);
    });
    filter_ = std::move(kept);
  }

  // `on_text`: false ends it. `max_tokens` 0: until the context is full.
  hotset_stop_reason generate(std::span<const hotset_token> prompt, uint32_t max_tokens, text_function on_text) {
    struct {
      text_function call;
      std::exception_ptr thrown;
    } sink{std::move(on_text), {}};
    hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
    params.prompt = prompt.data();
    params.prompt_count = prompt.size();
    params.max_tokens = max_tokens;
    params.text_user = &sink;
    if (sink.call) {
      params.text = [](void* user, const char* text, size_t bytes) -> int32_t {
        auto& to = *static_cast<decltype(sink)*>(user);
        if (to.thrown) return 0;
        try {
          return to.call({text, bytes});
        } catch (...) {
          to.thrown = std::current_exception();
          return 0;
        }
      };
    }
    hotset_stop_reason reason = 0;
    run([&](hotset_error* e) { return hotset_session_generate(handle(), &params, &reason, e); }, &sink.thrown);
    return reason;
  }

  void show_special(bool shown) {
    detail::run([&](hotset_error* e) { return hotset_session_show_special(handle(), shown, e); });
  }
  void rewind(uint32_t position) {
    detail::run([&](hotset_error* e) { return hotset_session_rewind(handle(), position, e); });
  }
  uint32_t position() const {
    uint32_t position = 0;
    detail::run([&](hotset_error* e) { return hotset_session_position(handle(), &position, e); });
    return position;
  }
  // `values`: engine::embedding_size() of them.
  void embed(std::span<const hotset_token> tokens, hotset_pooling pooling, std::span<float> values) {
    run([&](hotset_error* e) {
      return hotset_session_embed(handle(), tokens.data(), tokens.size(), pooling, values.data(), values.size(), e);
    });
  }
  // An empty one ends it.
  void set_routing_function(routing_function function) {
    auto kept = std::make_unique<hook<routing_function>>(std::move(function), handle());
    detail::run([&](hotset_error* e) {
      return hotset_session_set_routing_function(handle(), kept->call ? &session::call_routing : nullptr, kept.get(), e);
    });
    routing_ = std::move(kept);
  }

  std::vector<hotset_token> tokens() const {
    return detail::filled(std::vector<hotset_token>(), [&](std::vector<hotset_token>& tokens, size_t* count, hotset_error* e) {
      return hotset_session_tokens(handle(), tokens.data(), tokens.size(), count, e);
    });
  }

  session fork() {
    session made;
    detail::run([&](hotset_error* e) { return hotset_session_fork(handle(), &made.owned_.handle, e); });
    return made;
  }
  void save(const std::string& path) {
    detail::run([&](hotset_error* e) { return hotset_session_save(handle(), path.c_str(), e); });
  }
  void load(const std::string& path) {
    detail::run([&](hotset_error* e) { return hotset_session_load(handle(), path.c_str(), e); });
  }
  std::vector<std::byte> save_bytes() {
    return detail::filled(std::vector<std::byte>(), [&](std::vector<std::byte>& bytes, size_t* size, hotset_error* e) {
      return hotset_session_save_bytes(handle(), bytes.data(), bytes.size(), size, e);
    });
  }
  void set_sampler(const options& sampler) {
    detail::run([&](hotset_error* e) { return hotset_session_set_sampler(handle(), sampler.handle(), e); });
  }
  void load_bytes(std::span<const std::byte> bytes) {
    detail::run([&](hotset_error* e) { return hotset_session_load_bytes(handle(), bytes.data(), bytes.size(), e); });
  }

  void stop() { hotset_session_stop(handle()); }
  hotset_stats stats() const {
    hotset_stats stats = HOTSET_STATS_INIT;
    detail::run([&](hotset_error* e) { return hotset_session_get_stats(handle(), &stats, e); });
    return stats;
  }
  // One for each layer with experts; none where nothing is read ahead.
  std::vector<hotset_guesses> guesses() const {
    return detail::filled(std::vector<hotset_guesses>(), [&](std::vector<hotset_guesses>& layers, size_t* count, hotset_error* e) {
      return hotset_session_get_guesses(handle(), layers.data(), layers.size(), count, e);
    });
  }
  // What it points to is valid until the next call.
  hotset_history history() const {
    hotset_history history = HOTSET_HISTORY_INIT;
    detail::run([&](hotset_error* e) { return hotset_session_get_history(handle(), &history, e); });
    return history;
  }
  std::string explain() const {
    return detail::text([&](char* b, size_t c, size_t* l, hotset_error* e) { return hotset_session_explain(handle(), b, c, l, e); });
  }
  void trace(const std::string& path) {
    detail::run([&](hotset_error* e) { return hotset_session_trace(handle(), path.empty() ? nullptr : path.c_str(), e); });
  }
  void trace_links(const std::string& path) {
    detail::run([&](hotset_error* e) { return hotset_session_trace_links(handle(), path.empty() ? nullptr : path.c_str(), e); });
  }
  hotset_session* handle() const { return owned_.handle; }

  session(session&&) noexcept = default;
  session& operator=(session&& other) noexcept {
    owned_ = std::move(other.owned_);  // first: what is closed may still be in a call
    filter_ = std::move(other.filter_);
    routing_ = std::move(other.routing_);
    return *this;
  }

 private:
  session() = default;

  // A callback that stays with the session, and what it threw in the call under way.
  template <class Function>
  struct hook {
    hook(Function function, hotset_session* session) : call(std::move(function)), of(session) {}

    // False: it has thrown.
    template <class... Arguments>
    bool operator()(Arguments... arguments) {
      try {
        if (!thrown) call(arguments...);
      } catch (...) {
        thrown = std::current_exception();
      }
      return !thrown;
    }

    Function call;
    hotset_session* of;
    std::exception_ptr thrown;
  };
  static void call_filter(void* user, float* logits, size_t count) {
    if ((*static_cast<hook<logits_function>*>(user))(std::span(logits, count))) return;
    std::fill_n(logits, count, -std::numeric_limits<float>::infinity());  // nothing is picked
  }
  static void call_routing(void* user, uint32_t position, uint32_t layer, const uint16_t* experts, const uint8_t* in_vram, size_t count) {
    auto& of = *static_cast<hook<routing_function>*>(user);
    if (!of(position, layer, std::span(experts, count), std::span(in_vram, count))) hotset_session_stop(of.of);
  }
  template <class Hook>
  static std::exception_ptr thrown_by(Hook* from) {
    return from ? std::exchange(from->thrown, nullptr) : nullptr;
  }

  // A call in which callbacks of the session may throw.
  template <class Call>
  void run(Call call, const std::exception_ptr* thrown = nullptr) {
    hotset_error said = HOTSET_ERROR_INIT;
    const hotset_code code = call(&said);
    for (const std::exception_ptr& of : {thrown ? *thrown : nullptr, thrown_by(filter_.get()), thrown_by(routing_.get())}) {
      if (of) std::rethrow_exception(of);
    }
    if (code != HOTSET_OK) throw error(code, said.message);
  }

  std::unique_ptr<hook<logits_function>> filter_;  // where the library calls it
  std::unique_ptr<hook<routing_function>> routing_;
  detail::owned<hotset_session, hotset_session_close> owned_;
};

// What a model writes, taken apart by the marks of its own template.
class parser {
 public:
  using part_function = std::function<void(hotset_part part, std::string_view text)>;

  // `prompt`: of apply_chat_template. `tools`: as a JSON array; empty: nothing is taken for a call.
  parser(const engine& of, const std::string& prompt, const std::string& tools = {}) {
    const char* offered = tools.empty() ? nullptr : tools.c_str();
    detail::run([&](hotset_error* e) { return hotset_parser_open(of.handle(), prompt.c_str(), offered, &owned_.handle, e); });
  }
  void push(std::string_view text, const part_function& on_part) {
    given to{on_part, {}};
    detail::run([&](hotset_error* e) { return hotset_parser_push(owned_.handle, text.data(), text.size(), &given::take, &to, e); }, &to.thrown);
  }
  void finish(const part_function& on_part) {
    given to{on_part, {}};
    detail::run([&](hotset_error* e) { return hotset_parser_finish(owned_.handle, &given::take, &to, e); }, &to.thrown);
  }
  hotset_parser* handle() const { return owned_.handle; }

 private:
  struct given {
    const part_function& call;
    std::exception_ptr thrown;

    static void take(void* user, hotset_part part, const char* text, size_t bytes) {
      auto& to = *static_cast<given*>(user);
      if (to.thrown) return;
      try {
        to.call(part, {text, bytes});
      } catch (...) {
        to.thrown = std::current_exception();
      }
    }
  };
  detail::owned<hotset_parser, hotset_parser_close> owned_;
};

// --- machine and files

inline std::string devices_report(hotset_format format = HOTSET_TEXT) {
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_report_devices(format, write, to, e); });
}
// An empty path: the model that ships with the library.
inline std::string model_report(const std::string& model_path = {}, hotset_format format = HOTSET_TEXT) {
  const char* path = model_path.empty() ? nullptr : model_path.c_str();
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_report_model(path, format, write, to, e); });
}
inline std::string plan_report(const hotset_plan_params& params, hotset_format format = HOTSET_TEXT) {
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_report_plan(&params, format, write, to, e); });
}
inline std::string known_report(hotset_format format = HOTSET_TEXT) {
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_report_known(format, write, to, e); });
}
inline std::string simulation_report(const hotset_simulate_params& params, hotset_format format = HOTSET_TEXT) {
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_report_simulation(&params, format, write, to, e); });
}
inline std::string draw_heatmap(const hotset_heatmap_params& params, hotset_format format = HOTSET_TEXT) {
  return detail::report([&](hotset_text_function write, void* to, hotset_error* e) { return hotset_draw_heatmap(&params, format, write, to, e); });
}

// The progress of `params` is set here.
inline hotset_pack_report pack(hotset_pack_params params, progress on_progress = {}) {
  detail::progress_call going{std::move(on_progress), {}};
  params.progress = going.call ? &detail::progress_call::run : nullptr;
  params.progress_user = &going;
  hotset_pack_report report = HOTSET_PACK_REPORT_INIT;
  detail::run([&](hotset_error* e) { return hotset_pack(&params, &report, e); }, &going.thrown);
  return report;
}
inline hotset_convert_report convert(hotset_convert_params params, progress on_progress = {}) {
  detail::progress_call going{std::move(on_progress), {}};
  params.progress = going.call ? &detail::progress_call::run : nullptr;
  params.progress_user = &going;
  hotset_convert_report report = HOTSET_CONVERT_REPORT_INIT;
  detail::run([&](hotset_error* e) { return hotset_convert(&params, &report, e); }, &going.thrown);
  return report;
}
inline std::vector<std::string> convert_types() {
  std::vector<std::string> types;
  while (const char* type = hotset_convert_type_at(types.size())) types.emplace_back(type);
  return types;
}
inline void measure_links(const std::string& device, const std::string& disk_path, const std::string& out_path) {
  detail::run([&](hotset_error* e) {
    return hotset_measure_links(device.empty() ? nullptr : device.c_str(), disk_path.empty() ? nullptr : disk_path.c_str(), out_path.c_str(), e);
  });
}

}  // namespace hotset::api
