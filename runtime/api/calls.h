// What the C functions share: the objects behind handles, and the border at which everything becomes a code.
//
// A function is one call of guarded(), with_engine() or with_session() around a lambda that gives a Status. Any thread.
#pragma once

#include <hotset/hotset.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "platform/log.h"
#include "runtime/api/handles.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/option_table.h"

namespace hotset {

// What hotset_code has beyond Code.
constexpr auto kInvalidHandle = static_cast<Code>(HOTSET_INVALID_HANDLE);
constexpr auto kTooSmall = static_cast<Code>(HOTSET_TOO_SMALL);

struct OpenEngine {
  LogSink log;
  LogLevel log_level = LogLevel::kInfo;
  SamplerOptions sampler;
  std::unique_ptr<Engine> engine;
};

struct OpenSession {
  std::shared_ptr<OpenEngine> owner;
  std::unique_ptr<Session> session;  // destroyed before the engine that it holds
  std::atomic<bool> in_call{false};
  std::atomic<bool> closed{false};  // while a call of another thread still holds it
  std::vector<hotset_stretch> stretches;  // of the history that was asked for last
};

struct OpenParser {
  std::unique_ptr<OutputParser> parser;
  bool finished = false;
};

struct Tables {
  HandleTable<OptionSet, HandleKind::kOptions> options;
  HandleTable<OpenEngine, HandleKind::kEngine> engines;
  HandleTable<OpenSession, HandleKind::kSession> sessions;
  HandleTable<OpenParser, HandleKind::kParser> parsers;
};

// Which handles are open: the one thing that calls share.
Tables& tables();

// Writes what fits of a message, as one line of whole characters, into the caller's struct, which may be older or newer than this library.
hotset_code tell(Code code, std::string_view message, hotset_error* error);

template <class Call>
hotset_code guarded(hotset_error* error, Call call) {
  try {
    const Status status = call();
    return tell(status.code(), status.message(), error);
  } catch (const std::bad_alloc&) {
    return tell(Code::kOutOfMemory, "the system refused memory", error);
  } catch (...) {
    return tell(Code::kInvalidArgument, "a callback threw an exception: none may leave it", error);
  }
}

Status no_handle(const char* kind);
Status no_argument(const char* name);

// `call`: Status(OpenEngine&).
template <class Call>
hotset_code with_engine(hotset_engine* handle, hotset_error* error, Call call) {
  return guarded(error, [&]() -> Status {
    const auto open = tables().engines.find(handle);
    if (!open) return no_handle("engine");
    const LogScope scope(open->log, open->log_level);
    return call(*open);
  });
}

// Also while the session is in a call. `call`: Status(OpenSession&).
template <class Call>
hotset_code with_session_any_time(hotset_session* handle, hotset_error* error, Call call) {
  return guarded(error, [&]() -> Status {
    const auto open = tables().sessions.find(handle);
    if (!open) return no_handle("session");
    const LogScope scope(open->owner->log, open->owner->log_level);
    return call(*open);
  });
}

// One call of a session at a time: another thread's, or one below a callback, is refused. A stop is for the call that it meets: each begins
// without one, unless the session was closed while it came in.
template <class Call>
hotset_code with_session(hotset_session* handle, hotset_error* error, Call call) {
  return with_session_any_time(handle, error, [&](OpenSession& open) -> Status {
    if (open.in_call.exchange(true)) {
      return hotset::error(Code::kInvalidArgument, "this session is in a call: that of another thread, or the one whose callback this is");
    }
    struct Leave {
      std::atomic<bool>& in_call;
      ~Leave() { in_call = false; }
    } const leave{open.in_call};
    open.session->clear_stop();
    return open.closed ? no_handle("session") : call(open);
  });
}

Status write_text(std::string_view text, char* buffer, size_t capacity, size_t* length);

// Of a struct of the caller's, before long work whose result it is to hold.
template <class Struct>
Status check_size(const Struct& of, const char* name) {
  if (of.size >= sizeof(size_t)) return ok_status();
  return error(Code::kInvalidArgument, "%s.size is %zu: set it to sizeof", name, of.size);
}

// A struct of the caller's that is to be filled: of its size no more than both sides know.
template <class Struct>
Status fill(Struct values, Struct* out, const char* name) {
  if (out == nullptr) return no_argument(name);
  HOTSET_RETURN_IF_ERROR(check_size(*out, name));
  values.size = out->size;
  std::memcpy(out, &values, std::min(out->size, sizeof(Struct)));
  return ok_status();
}

// A struct that the caller filled: fields beyond its size are 0.
template <class Struct>
Status take(const Struct* in, Struct& values, const char* name) {
  values = {};
  if (in == nullptr) return no_argument(name);
  HOTSET_RETURN_IF_ERROR(check_size(*in, name));
  std::memcpy(&values, in, std::min(in->size, sizeof(Struct)));
  return ok_status();
}

// The options behind a handle; NULL changes nothing.
Status options_of(const hotset_options* handle, OptionSet& options);

// Whether an array of the caller's can be one: it is there, and not longer than memory.
template <class Value>
Status check_array(const Value* values, size_t count, const char* name) {
  if (values == nullptr && count > 0) return no_argument(name);
  if (count <= PTRDIFF_MAX / sizeof(Value)) return ok_status();
  return error(Code::kInvalidArgument, "%s cannot be %zu: more than memory holds", name, count);
}

// Gives `object` a handle, and the handle to `out`.
template <class Table, class Object, class Handle>
Status hand_out(Table& table, std::shared_ptr<Object> object, Handle** out) {
  void* const handle = table.add(std::move(object));
  if (handle == nullptr) return error(Code::kOutOfMemory, "more are open than there are handles: close some");
  *out = static_cast<Handle*>(handle);
  return ok_status();
}

// On this device of the caller's, or with nullptr on what the options say.
Status open_engine(const hotset_engine_params& params, const CallerDevice* device, hotset_engine** out);

}  // namespace hotset
