// The C functions and their C++ wrapper on the shipped model: they say what the engine says.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <cmath>
#include <cstring>

#include "runtime/engine/option_table.h"
#include "tests/api/small_engine.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::small_on_cpu;

namespace {

std::string story(api::session& session, std::span<const hotset_token> prompt, uint32_t tokens) {
  std::string text;
  session.generate(prompt, tokens, [&](std::string_view piece) {
    text += piece;
    return true;
  });
  return text;
}

}  // namespace

TEST_CASE("c api: options are those of the table, by name") {
  CHECK(hotset_option_count() == hotset::option_table().size());
  api::options options;
  for (size_t i = 0; i < hotset_option_count(); ++i) {
    hotset_option_info info = HOTSET_OPTION_INFO_INIT;
    REQUIRE(hotset_option_at(i, &info) == HOTSET_OK);
    CAPTURE(info.name);
    CHECK(std::strlen(info.help) > 10);
    const std::string value = options.get(info.name);
    options.set(info.name, value);
    CHECK(options.get(info.name) == value);
  }
  CHECK(options.set("vram", "1G").get("vram") == "1073741824");
  hotset_option_info info = HOTSET_OPTION_INFO_INIT;
  CHECK(hotset_option_at(hotset_option_count(), &info) == HOTSET_NOT_FOUND);
}

TEST_CASE("c api: a story, its tokens, its logits") {
  std::vector<std::string> log;
  uint64_t last_done = 0;
  const api::engine engine(
      {}, small_on_cpu(),
      [&](uint64_t done, uint64_t total) {
        CHECK(done <= total);
        CHECK(done >= last_done);
        last_done = done;
        return true;
      },
      [&](int32_t, std::string_view line) { log.emplace_back(line); });
  CHECK(last_done > 0);
  const hotset_engine_info info = engine.info();
  CHECK(info.context_tokens == 96);
  CHECK(info.load_ns > 0);
  CHECK_FALSE(engine.model_name().empty());
  CHECK_FALSE(engine.device_name().empty());

  const auto prompt = engine.tokenize("Once upon a time");
  CHECK(engine.detokenize(prompt).find("Once upon a time") != std::string::npos);
  api::session session(engine);
  const std::string told = story(session, prompt, 16);
  CHECK(told.size() > 16);
  CHECK(session.position() == prompt.size() + 16);
  CHECK(session.stats().decode_tokens == 16);
  CHECK(session.explain().size() > 20);

  // The same by hand.
  session.rewind(0);
  session.feed(prompt);
  std::vector<hotset_token> tokens;
  for (int i = 0; i < 16; ++i) {
    const auto logits = session.logits();
    CHECK(logits.size() == info.vocab_size);
    const hotset_token token = session.sample();
    CHECK(logits[static_cast<size_t>(token)] == *std::max_element(logits.begin(), logits.end()));
    tokens.push_back(token);
    session.feed({&token, 1});
  }
  CHECK(engine.detokenize(tokens) == told);
}

TEST_CASE("c api: a logits function sees every pick, and what it forbids is not picked") {
  const api::engine engine({}, small_on_cpu());
  const auto prompt = engine.tokenize("Once upon a time");
  api::session session(engine);
  session.feed(prompt);
  const hotset_token first = session.sample();
  int calls = 0;
  session.set_logits_function([&](std::span<float> logits) {
    ++calls;
    logits[static_cast<size_t>(first)] = -INFINITY;
  });
  CHECK(session.sample() != first);
  CHECK(session.logits()[static_cast<size_t>(first)] > -INFINITY);  // the model's own stay as they are
  session.rewind(0);
  session.generate(prompt, 8, [](std::string_view) { return true; });
  CHECK(calls == 9);
  session.set_logits_function({});
  session.rewind(0);
  session.feed(prompt);
  CHECK(session.sample() == first);
}

TEST_CASE("c api: callbacks end what is under way, and what they throw comes out of the call") {
  CHECK_THROWS_AS(api::engine({}, small_on_cpu(), [](uint64_t, uint64_t) { return false; }), api::error);
  CHECK_THROWS_AS(api::engine({}, small_on_cpu(), [](uint64_t, uint64_t) -> bool { throw std::length_error("no"); }), std::length_error);
  const api::engine engine({}, small_on_cpu());
  const auto prompt = engine.tokenize("Once upon a time");
  api::session session(engine);
  CHECK(session.generate(prompt, 0, [&, n = 0](std::string_view) mutable { return ++n < 5; }) == HOTSET_STOP_REQUESTED);
  CHECK_THROWS_AS(session.generate({}, 8, [](std::string_view) -> bool { throw std::length_error("no"); }), std::length_error);
  session.set_logits_function([](std::span<float>) { throw std::length_error("no"); });
  CHECK_THROWS_AS(session.generate({}, 1, {}), std::length_error);
  session.set_logits_function({});
  session.rewind(0);
  CHECK(session.generate(prompt, 0, [&](std::string_view) {
    session.stop();
    return true;
  }) == HOTSET_STOP_REQUESTED);
  session.rewind(0);
  CHECK(session.generate(prompt, 3, {}) == HOTSET_STOP_LENGTH);
  session.rewind(0);
  CHECK(session.generate(prompt, 0, {}) != HOTSET_STOP_LENGTH);  // until the end of the text or of the context
}
