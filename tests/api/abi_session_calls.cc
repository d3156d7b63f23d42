// What an AbiInterpreter does with sessions.
#include <cmath>

#include "tests/api/abi_interpreter.h"

namespace hotset::test {
namespace {

constexpr size_t kMostSessions = 4;  // open at a time
constexpr uint32_t kContext = 32;    // tokens, as AbiInterpreter::small_options sets it

AbiInterpreter* self_of(void* user) { return static_cast<AbiInterpreter*>(user); }

}  // namespace

void AbiInterpreter::open_session() {
  if (open_count(sessions_) >= kMostSessions) return;
  hotset_engine* const of = engine();
  hotset_options* const sampler = one_in(2) ? nullptr : options();
  hotset_session_params values = HOTSET_SESSION_PARAMS_INIT;
  values.options = sampler;
  Sized<hotset_session_params> params = sized(values);
  const bool none = one_in(3), no_place = one_in(24);
  const bool bad = no_place || (!none && !params.can_be());
  const bool fit = bad || none || is_none_or_open(params.values().options);
  hotset_session* session = nullptr;
  const bool ok = make("session_open", is_open(of) && fit, must_refuse(bad), [&](hotset_error* said) {
    return hotset_session_open(of, none ? nullptr : params.get(), no_place ? nullptr : &session, said);
  });
  if (ok != (session != nullptr)) complain("session_open", "a code that does not fit the handle");
  if (ok) add_session(session, of);
}

void AbiInterpreter::close_session() {
  if (!one_in(4)) return;
  hotset_session* const of = session();
  if (judge("session_close", is_open(of), Must::kSucceed, hotset_session_close(of))) open_.erase(of);
}

std::vector<hotset_token> AbiInterpreter::some_tokens(size_t most) {
  std::vector<hotset_token> tokens(one_in(2) ? 1 : number(static_cast<uint32_t>(most) + 1));
  for (hotset_token& token : tokens) token = static_cast<hotset_token>(number(200));
  if (one_in(16) && !tokens.empty()) tokens.back() = static_cast<hotset_token>(uint32_t{number(60000)} * 40000);
  return tokens;
}

void AbiInterpreter::feed() {
  hotset_session* const of = session();
  const std::vector<hotset_token> tokens = some_tokens(40);
  const bool none = one_in(24);
  make_move("session_feed", of, (none && !tokens.empty()) || tokens.size() > kContext, tokens.size(),
            [&](hotset_error* said) { return hotset_session_feed(of, none ? nullptr : tokens.data(), tokens.size(), said); });
}

void AbiInterpreter::feed_each() {
  hotset_session* const of = session();
  const std::vector<hotset_token> tokens = some_tokens(12);
  const bool no_function = one_in(12);
  const hotset_position_function function = [](void* user, uint32_t position, const float* logits, size_t count) {
    if (position >= kContext) self_of(user)->complain("session_feed_each", "a position beyond the context");
    if (count > 0 && logits[count - 1] > 1e30f) self_of(user)->complain("session_feed_each", "logits that none has");
    self_of(user)->on_strict();
  };
  make_move("session_feed_each", of, no_function, tokens.size(), [&](hotset_error* said) {
    return hotset_session_feed_each(of, tokens.data(), tokens.size(), no_function ? nullptr : function, this, said);
  });
}

void AbiInterpreter::logits_and_sample() {
  hotset_session* const of = session();
  const float* logits = nullptr;
  size_t count = SIZE_MAX;
  const bool no_place = one_in(12), no_count = one_in(2);
  const bool ok = make("session_logits", is_open(of), in_turn(of, no_place), [&](hotset_error* said) {
    return hotset_session_logits(of, no_place ? nullptr : &logits, no_count ? nullptr : &count, said);
  });
  if (ok && !no_count && (count == 0 || std::isinf(logits[count - 1]))) complain("session_logits", "none, or infinite ones");
  const bool no_token = one_in(12);
  hotset_token token = -1;
  const bool picked = make("session_sample", is_open(of), in_turn(of, no_token),
                           [&](hotset_error* said) { return hotset_session_sample(of, no_token ? nullptr : &token, said); });
  if (picked != (token >= 0)) complain("session_sample", "no token, or one of a call that failed");
}

void AbiInterpreter::set_filter() {
  hotset_session* const of = session();
  const hotset_logits_function function = [](void* user, float* logits, size_t count) { self_of(user)->on_logits(logits, count); };
  make("session_set_logits_function", is_open(of), in_turn(of),
       [&](hotset_error* said) { return hotset_session_set_logits_function(of, one_in(2) ? nullptr : function, this, said); });
}

void AbiInterpreter::set_sampler() {
  hotset_session* const of = session();
  hotset_options* const sampler = options();
  const bool refused = in_call_.contains(of);
  make("session_set_sampler", is_open(of) && (refused || is_none_or_open(sampler)), must_refuse(refused),
       [&](hotset_error* said) { return hotset_session_set_sampler(of, sampler, said); });
}

void AbiInterpreter::generate() {
  hotset_session* const of = session();
  std::vector<hotset_token> tokens = some_tokens(8);
  hotset_generate_params values = HOTSET_GENERATE_PARAMS_INIT;
  values.prompt = one_in(4) ? nullptr : tokens.data();
  values.prompt_count = tokens.size();
  values.max_tokens = number(9);
  values.text_user = this;
  values.text = [](void* user, const char*, size_t) { return self_of(user)->on_any(); };
  Sized<hotset_generate_params> params = sized(values, [](const hotset_generate_params& seen) { return !seen.text == !seen.text_user; });
  const bool none = one_in(24);
  const bool bad = none || !params.can_be() || (params.values().prompt == nullptr && params.values().prompt_count > 0);
  const Must must = in_turn(of, bad);
  const bool open = is_open(of);
  if (open) in_call_.insert(of);
  hotset_stop_reason reason = -1;
  const bool ok = make("session_generate", open, must, [&](hotset_error* said) { return hotset_session_generate(of, none ? nullptr : params.get(), &reason, said); });
  if (const auto entry = in_call_.find(of); entry != in_call_.end()) in_call_.erase(entry);
  if (ok ? reason < HOTSET_STOP_LENGTH || reason > HOTSET_STOP_REQUESTED : reason != -1) complain("session_generate", "a reason that is none");
}

void AbiInterpreter::rewind() {
  hotset_session* const of = session();
  const std::optional<uint32_t> before = position_of(of);
  const uint32_t to = one_in(8) ? UINT32_MAX : number(kContext + 2);
  const Must must = !before ? Must::kAny : to > *before ? Must::kRefuse : Must::kSucceed;
  const bool ok = make("session_rewind", is_open(of), must, [&](hotset_error* said) { return hotset_session_rewind(of, to, said); });
  if (ok && position_of(of) != to) complain("session_rewind", "the timeline ends elsewhere");
}

void AbiInterpreter::ask_session() {
  hotset_session* const of = session();
  uint32_t position = 0;
  const bool no_place = one_in(8);
  make("session_position", is_open(of), in_turn(of, no_place), [&](hotset_error* said) { return hotset_session_position(of, no_place ? nullptr : &position, said); });
  if (position > kContext) complain("session_position", "beyond the context");
  Sized<hotset_stats> stats = sized<hotset_stats>(HOTSET_STATS_INIT);
  const bool no_stats = one_in(8);
  make("session_get_stats", is_open(of), no_stats || !stats.can_be() ? Must::kRefuse : Must::kSucceed,
       [&](hotset_error* said) { return hotset_session_get_stats(of, no_stats ? nullptr : stats.get(), said); });
  check_kept("session_get_stats", stats);
  make_text("session_explain", is_open(of), in_turn(of), [&](char* buffer, size_t capacity, size_t* length, hotset_error* said) {
    return hotset_session_explain(of, buffer, capacity, length, said);
  });
  std::vector<hotset_token> tokens(number(kContext + 2), -9);
  size_t count = SIZE_MAX;
  const bool no_tokens = one_in(8);
  const bool ok = make("session_tokens", is_open(of), in_turn(of),
                       [&](hotset_error* said) { return hotset_session_tokens(of, no_tokens ? nullptr : tokens.data(), tokens.size(), &count, said); });
  if (std::count(tokens.begin(), tokens.end(), -9) != static_cast<std::ptrdiff_t>(tokens.size() - (ok ? count : 0))) complain("session_tokens", "tokens that do not count");
  if (ok && position_of(of) != count) complain("session_tokens", "not as many as the timeline has");
  if (one_in(8)) judge("session_stop", is_open(of), Must::kSucceed, hotset_session_stop(of));
}

void AbiInterpreter::look_back() {
  hotset_session* const of = session();
  std::vector<hotset_guesses> guesses(number(6));
  const bool no_guesses = one_in(8);
  size_t count = SIZE_MAX;
  make("session_get_guesses", is_open(of), in_turn(of),
       [&](hotset_error* said) { return hotset_session_get_guesses(of, no_guesses ? nullptr : guesses.data(), guesses.size(), one_in(2) ? nullptr : &count, said); });
  Sized<hotset_history> history = sized<hotset_history>(HOTSET_HISTORY_INIT);
  const bool no_history = one_in(8);
  const bool ok = make("session_get_history", is_open(of), in_turn(of, no_history || !history.can_be()),
                       [&](hotset_error* said) { return hotset_session_get_history(of, no_history ? nullptr : history.get(), said); });
  check_kept("session_get_history", history);
  if (!ok || !history.has_all()) return;
  const hotset_history told = history.values();
  uint64_t uses = 0, tokens = 0;
  for (size_t i = 0; i < size_t{told.layers} * told.experts; ++i) uses += told.uses[i];
  for (size_t i = 0; i < told.stretch_count; ++i) tokens += told.stretches[i].tokens;
  if (uses > tokens * told.layers * told.experts_used) complain("session_get_history", "more experts than tokens have used");
}

void AbiInterpreter::trace() {
  hotset_session* const of = session();
  const char* const path = out_path();
  if (one_in(2)) {
    make("session_trace", is_open(of), in_turn(of), [&](hotset_error* said) { return hotset_session_trace(of, path, said); });
  } else {
    make("session_trace_links", is_open(of), in_turn(of), [&](hotset_error* said) { return hotset_session_trace_links(of, path, said); });
  }
}

void AbiInterpreter::fork() {
  if (open_count(sessions_) >= kMostSessions) return;
  hotset_session* const of = session();
  hotset_session* made = nullptr;
  const bool no_place = one_in(12);
  const bool ok = make("session_fork", is_open(of), in_turn(of, no_place), [&](hotset_error* said) { return hotset_session_fork(of, no_place ? nullptr : &made, said); });
  if (ok != (made != nullptr)) complain("session_fork", "a code that does not fit the handle");
  if (!ok) return;
  add_session(made, owners_[of]);
  if (position_of(made) != position_of(of)) complain("session_fork", "it is not where the other is");
}

void AbiInterpreter::save_and_load_file() {
  hotset_session* const of = session();
  const char* const to = out_path();
  make("session_save", is_open(of), in_turn(of, to == nullptr), [&](hotset_error* said) { return hotset_session_save(of, to, said); });
  hotset_session* const other = session();
  const char* const from = one_in(3) ? in_path(places_.model) : to;
  make("session_load", is_open(other), in_turn(other, from == nullptr), [&](hotset_error* said) { return hotset_session_load(other, from, said); });
}

void AbiInterpreter::save_bytes() {
  hotset_session* const of = session();
  size_t size = SIZE_MAX;
  make("session_save_bytes", is_open(of), in_turn(of), [&](hotset_error* said) { return hotset_session_save_bytes(of, nullptr, 0, &size, said); });
  if (size == SIZE_MAX) return;
  std::vector<std::byte> state(one_in(12) ? size - 1 : size);
  const bool none = one_in(24);
  const bool ok = make("session_save_bytes", is_open(of), in_turn(of), [&](hotset_error* said) {
    return hotset_session_save_bytes(of, none ? nullptr : state.data(), state.size(), one_in(2) ? nullptr : &size, said);
  });
  if (ok) state_ = std::move(state);
}

void AbiInterpreter::load_bytes() {
  hotset_session* const of = session();
  std::vector<std::byte> state = state_;
  if (one_in(4)) state.resize(number(static_cast<uint32_t>(state.size() + 20)));
  for (uint32_t changes = one_in(2) ? 0 : number(4); changes > 0 && !state.empty(); --changes) {
    state[one_in(2) ? number(std::min<uint32_t>(128, static_cast<uint32_t>(state.size()))) : number(static_cast<uint32_t>(state.size()))] = std::byte{byte()};
  }
  const bool none = one_in(24);
  const std::optional<uint32_t> before = position_of(of);
  const bool ok = make("session_load_bytes", is_open(of), in_turn(of, none), [&](hotset_error* said) {
    return hotset_session_load_bytes(of, none ? nullptr : state.data(), state.size(), said);
  });
  if (!ok && before != position_of(of)) complain("session_load_bytes", "a state that was refused changed the session");
}

void AbiInterpreter::embed() {
  hotset_session* const of = session();
  size_t size = 512;
  hotset_engine_embedding_size(static_cast<hotset_engine*>(const_cast<void*>(owners_.contains(of) ? owners_[of] : nullptr)), &size, nullptr);
  const std::vector<hotset_token> tokens = some_tokens(6);
  std::vector<float> values(one_in(8) ? size - 1 : size);
  const bool none = one_in(12);
  const auto pooling = static_cast<hotset_pooling>(one_in(8) ? number(4) - 1 : number(2));
  const bool bad = pooling != HOTSET_POOL_LAST && pooling != HOTSET_POOL_MEAN;
  make_move("session_embed", of, bad || (none && values.size() == size), tokens.size(), [&](hotset_error* said) {
    return hotset_session_embed(of, tokens.data(), tokens.size(), pooling, none ? nullptr : values.data(), values.size(), said);
  });
}

void AbiInterpreter::look_at_routing() {
  hotset_session* const of = session();
  const hotset_routing_function function = [](void* user, uint32_t, uint32_t, const uint16_t* experts, const uint8_t* in_vram, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (experts[i] >= 64 || in_vram[i] > 1) self_of(user)->complain("routing function", "an expert that is none");
    }
    self_of(user)->on_strict();
  };
  make("session_set_routing_function", is_open(of), in_turn(of),
       [&](hotset_error* said) { return hotset_session_set_routing_function(of, one_in(2) ? nullptr : function, this, said); });
}

void AbiInterpreter::show_special() {
  hotset_session* const of = session();
  make("session_show_special", is_open(of), in_turn(of), [&](hotset_error* said) { return hotset_session_show_special(of, static_cast<int32_t>(number(3)) - 1, said); });
}

}  // namespace hotset::test
