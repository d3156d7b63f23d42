// What a session says of itself through the C functions: figures of every age of the struct, guesses, history, logits of each position.
#include <doctest/doctest.h>

#include <cstring>
#include <hotset/hotset.hpp>
#include <numeric>

#include "tests/api/small_engine.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::small_engine;

TEST_CASE("figures: what the struct says adds up") {
  api::session session(small_engine());
  session.generate(small_engine().tokenize("Once upon a time"), 9, {});
  const hotset_stats stats = session.stats();
  CHECK(stats.decode_tokens == 9);
  CHECK(stats.expert_lookups >= stats.decode_lookups);
  CHECK(stats.expert_hits <= stats.expert_lookups);
  CHECK(stats.load_ns == small_engine().info().load_ns);
  CHECK(stats.ram_peak_bytes >= stats.ram_used_bytes);
  CHECK(stats.ram_used_bytes > 0);
  CHECK(stats.logits_hash != 0);
  CHECK(std::memchr(stats.limiting_link, 0, sizeof stats.limiting_link) != nullptr);
  CHECK(session.guesses().empty());  // nothing is on disk
}

TEST_CASE("figures: equal runs have equal hashes of logits") {
  const auto prompt = small_engine().tokenize("Once upon a time");
  api::session one(small_engine()), same(small_engine()), other(small_engine());
  one.feed(prompt);
  same.feed(prompt);
  other.feed(std::span(prompt).first(2));
  CHECK(one.stats().logits_hash == same.stats().logits_hash);
  CHECK(one.stats().logits_hash != other.stats().logits_hash);
}

TEST_CASE("figures: a program that knows fewer of them gets those and no byte more") {
  api::session session(small_engine());
  session.generate(small_engine().tokenize("Once upon a time"), 3, {});
  for (const size_t known : {offsetof(hotset_stats, expert_lookups), offsetof(hotset_stats, ram_lookups), offsetof(hotset_stats, limiting_link)}) {
    hotset_stats stats;
    std::memset(&stats, 0x5a, sizeof stats);
    stats.size = known;
    REQUIRE(hotset_session_get_stats(session.handle(), &stats, nullptr) == HOTSET_OK);
    CHECK(stats.size == known);
    CHECK(stats.decode_tokens == 3);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&stats);
    CHECK(std::count(bytes + known, bytes + sizeof stats, 0x5a) == static_cast<std::ptrdiff_t>(sizeof stats - known));
  }
}

TEST_CASE("figures: the history counts every use of an expert") {
  api::session session(small_engine());
  session.generate(small_engine().tokenize("Once upon a time"), 9, {});
  const hotset_history history = session.history();
  REQUIRE(history.layers > 0);
  CHECK(history.experts == 32);
  CHECK(history.experts_used == 2);
  const std::span uses(history.uses, size_t{history.layers} * history.experts);
  CHECK(std::accumulate(uses.begin(), uses.end(), uint64_t{0}) == 9 * history.layers * history.experts_used);
  uint64_t tokens = 0, lookups = 0;
  for (const hotset_stretch& stretch : std::span(history.stretches, history.stretch_count)) {
    tokens += stretch.tokens;
    lookups += stretch.lookups;
  }
  CHECK(tokens == 9);
  CHECK(lookups == session.stats().decode_lookups);
  CHECK(hotset_session_get_history(session.handle(), nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_get_history(nullptr, nullptr, nullptr) == HOTSET_INVALID_HANDLE);
  CHECK(hotset_session_get_guesses(nullptr, nullptr, 0, nullptr, nullptr) == HOTSET_INVALID_HANDLE);
}

TEST_CASE("figures: the logits of each position are those of feeding one by one") {
  const auto prompt = small_engine().tokenize("Once upon a time there");
  api::session whole(small_engine()), single(small_engine());
  std::vector<std::vector<float>> of_whole;
  whole.feed(prompt, [&](uint32_t position, std::span<const float> logits) {
    CHECK(position == of_whole.size());
    of_whole.emplace_back(logits.begin(), logits.end());
  });
  REQUIRE(of_whole.size() == prompt.size());
  for (size_t i = 0; i < prompt.size(); ++i) {
    single.feed(std::span(prompt).subspan(i, 1));
    const auto logits = single.logits();
    CHECK(std::equal(logits.begin(), logits.end(), of_whole[i].begin(), of_whole[i].end()));
  }
  CHECK_THROWS_AS(whole.feed({prompt.data(), 1}, [](uint32_t, std::span<const float>) { throw std::length_error("no"); }), std::length_error);
  CHECK(hotset_session_feed_each(whole.handle(), prompt.data(), 1, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
}

TEST_CASE("figures: a stop ends the call that it meets and no other") {
  const auto prompt = small_engine().tokenize("Once upon a time");
  api::session session(small_engine());
  session.stop();
  session.feed(prompt);
  CHECK(session.position() == prompt.size());
  // Met by a decode step: it comes while the one before is told of.
  session.set_routing_function([&](uint32_t, uint32_t, std::span<const uint16_t>, std::span<const uint8_t>) { session.stop(); });
  const hotset_token token = session.sample();
  session.feed({&token, 1});
  CHECK(session.generate({}, 8, {}) == HOTSET_STOP_REQUESTED);
  session.set_routing_function({});
  session.feed({&token, 1});
  CHECK(session.generate({}, 2, {}) == HOTSET_STOP_LENGTH);
}

TEST_CASE("figures: an engine for text alone has text and nothing else") {
  const auto text = api::engine::text_only();
  const std::string words = "Once upon a time there was a fox.";
  const auto tokens = text.tokenize(words);
  CHECK(tokens == small_engine().tokenize(words));
  CHECK(text.detokenize(tokens) == small_engine().detokenize(tokens));
  CHECK(text.model_name() == small_engine().model_name());
  CHECK(text.info().vocab_size == small_engine().info().vocab_size);
  CHECK(text.info().context_tokens == 0);
  const api::message hello{"user", "hello"};
  CHECK(text.apply_chat_template({&hello, 1}) == small_engine().apply_chat_template({&hello, 1}));
  hotset_session* session = nullptr;
  hotset_error said = HOTSET_ERROR_INIT;
  CHECK(hotset_session_open(text.handle(), nullptr, &session, &said) == HOTSET_UNSUPPORTED);
  CHECK(std::string(said.message).find("text alone") != std::string::npos);
  CHECK(hotset_engine_set_vram(text.handle(), 1 << 20, nullptr) == HOTSET_UNSUPPORTED);
}

TEST_CASE("figures: output is taken apart, however it is cut") {
  const std::string prompt = "<|im_start|>assistant\n";
  api::parser whole(small_engine(), prompt), bytes(small_engine(), prompt);
  std::string of_whole, of_bytes;
  const auto to = [](std::string& all) { return [&all](hotset_part part, std::string_view text) { all += std::to_string(part) + ":" + std::string(text); }; };
  const std::string text = "Once upon a time";
  whole.push(text, to(of_whole));
  whole.finish(to(of_whole));
  CHECK(of_whole == std::to_string(HOTSET_CONTENT) + ":" + text);
  for (const char c : text) {
    bytes.push({&c, 1}, [&](hotset_part part, std::string_view piece) {
      CHECK(part == HOTSET_CONTENT);
      of_bytes += piece;
    });
  }
  CHECK(of_bytes == text);
  CHECK_THROWS_AS(whole.push("more", to(of_whole)), api::error);
  CHECK_THROWS_AS(bytes.push("more", [](hotset_part, std::string_view) { throw std::length_error("no"); }), std::length_error);
  CHECK(hotset_parser_push(nullptr, "x", 1, nullptr, nullptr, nullptr) == HOTSET_INVALID_HANDLE);
  CHECK(hotset_parser_push(bytes.handle(), "x", 1, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_parser_push(bytes.handle(), nullptr, 1, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_parser_open(small_engine().handle(), nullptr, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_parser_close(nullptr) == HOTSET_INVALID_HANDLE);
}
