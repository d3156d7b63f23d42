// The C functions that save, load and fork a session.
#include "runtime/api/calls.h"

using namespace hotset;

extern "C" {

hotset_code hotset_session_tokens(hotset_session* session, hotset_token* tokens, size_t capacity, size_t* count, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    const std::span<const TokenId> fed = open.session->tokens();
    if (count) *count = fed.size();
    if (capacity < fed.size()) return hotset::error(kTooSmall, "there is room for %zu tokens, and the timeline has %zu", capacity, fed.size());
    if (tokens == nullptr && !fed.empty()) return no_argument("tokens");
    std::copy(fed.begin(), fed.end(), tokens);
    return ok_status();
  });
}

hotset_code hotset_session_fork(hotset_session* session, hotset_session** fork, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (fork == nullptr) return no_argument("fork");
    const auto made = std::make_shared<OpenSession>();
    made->owner = open.owner;
    HOTSET_ASSIGN(made->session, open.session->fork());
    return hand_out(tables().sessions, made, fork);
  });
}

hotset_code hotset_session_save(hotset_session* session, const char* path, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) { return path ? open.session->save_state(path) : no_argument("path"); });
}

hotset_code hotset_session_load(hotset_session* session, const char* path, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) { return path ? open.session->load_state(path) : no_argument("path"); });
}

hotset_code hotset_session_set_sampler(hotset_session* session, const hotset_options* options, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (options == nullptr) return ok_status();
    OptionSet set;
    HOTSET_RETURN_IF_ERROR(options_of(options, set));
    return open.session->set_sampler(set.sampler);
  });
}

hotset_code hotset_session_save_bytes(hotset_session* session, void* buffer, size_t capacity, size_t* size, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    HOTSET_ASSIGN(const uint64_t bytes, open.session->state_bytes());
    if (bytes > SIZE_MAX) return hotset::error(Code::kOutOfMemory, "%llu bytes of state fit no buffer here", static_cast<unsigned long long>(bytes));
    if (size) *size = static_cast<size_t>(bytes);
    if (capacity < bytes) return hotset::error(kTooSmall, "%zu bytes have no room for a state of %llu", capacity, static_cast<unsigned long long>(bytes));
    if (buffer == nullptr) return no_argument("buffer");
    return open.session->save_state(std::span(static_cast<std::byte*>(buffer), static_cast<size_t>(bytes)));
  });
}

hotset_code hotset_session_load_bytes(hotset_session* session, const void* buffer, size_t size, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    if (buffer == nullptr) return no_argument("buffer");
    HOTSET_RETURN_IF_ERROR(check_array(static_cast<const std::byte*>(buffer), size, "buffer"));
    return open.session->load_state(std::span(static_cast<const std::byte*>(buffer), size));
  });
}

}  // extern "C"
