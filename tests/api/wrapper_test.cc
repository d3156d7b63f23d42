// hotset.hpp: objects that own handles and callbacks, and what callbacks throw.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <string>

#include "tests/api/small_engine.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::small_on_cpu;

namespace {

struct OfMine {};

}  // namespace

TEST_CASE("wrapper: what is assigned to closes what it had") {
  api::engine engine({}, small_on_cpu());
  hotset_engine* const had = engine.handle();
  api::engine other({}, small_on_cpu());
  hotset_engine* const kept = other.handle();
  engine = std::move(other);
  CHECK(engine.handle() == kept);
  CHECK(other.handle() == nullptr);
  CHECK(hotset_engine_close(had) == HOTSET_INVALID_HANDLE);

  api::session session(engine), second(engine);
  hotset_session* const first = session.handle();
  session = std::move(second);
  CHECK(hotset_session_close(first) == HOTSET_INVALID_HANDLE);
  CHECK(session.position() == 0);
}

TEST_CASE("wrapper: callbacks move with their session") {
  const api::engine engine({}, small_on_cpu());
  const auto prompt = engine.tokenize("Once upon a time");
  int picks = 0, told = 0;
  api::session moved(engine);
  {
    api::session session(engine);
    session.set_logits_function([&](std::span<float>) { ++picks; });
    session.set_routing_function([&](uint32_t, uint32_t, std::span<const uint16_t>, std::span<const uint8_t>) { ++told; });
    moved = std::move(session);
  }
  moved.generate(prompt, 4, {});
  CHECK(picks == 4);
  CHECK(told > 0);
}

TEST_CASE("wrapper: what a logits function throws ends the generation at once") {
  const api::engine engine({}, small_on_cpu());
  api::session session(engine);
  session.feed(engine.tokenize("Once upon a time"));
  const uint32_t before = session.position();
  int picks = 0;
  std::string text;
  session.set_logits_function([&](std::span<float>) {
    if (++picks == 3) throw OfMine{};
  });
  CHECK_THROWS_AS(session.generate({}, 20,
                                   [&](std::string_view piece) {
                                     text += piece;
                                     return true;
                                   }),
                  OfMine);
  CHECK(picks == 3);
  CHECK(session.position() == before + 2);
  const auto tokens = session.tokens();
  CHECK(engine.detokenize(std::span(tokens).subspan(before)) == text);
  session.set_logits_function({});
  CHECK(session.generate({}, 2, {}) == HOTSET_STOP_LENGTH);  // it was not for good
}

TEST_CASE("wrapper: what a routing function throws comes out of the call") {
  const api::engine engine({}, small_on_cpu());
  api::session session(engine);
  session.feed(engine.tokenize("Once upon a time"));
  session.set_routing_function([](uint32_t, uint32_t, std::span<const uint16_t>, std::span<const uint8_t>) { throw OfMine{}; });
  CHECK_THROWS_AS(session.generate({}, 8, {}), OfMine);
  const hotset_token token = 40;
  CHECK_THROWS_AS(session.feed({&token, 1}), OfMine);
  session.set_routing_function({});
  CHECK_NOTHROW(session.feed({&token, 1}));
}

TEST_CASE("wrapper: a function that cannot be set leaves the one before") {
  const api::engine engine({}, small_on_cpu());
  api::session session(engine);
  session.feed(engine.tokenize("Once upon a time"));
  int picks = 0;
  session.set_logits_function([&](std::span<float>) {
    ++picks;
    CHECK_THROWS_AS(session.set_logits_function({}), api::error);  // the session is in a call
  });
  session.sample();
  session.sample();
  CHECK(picks == 2);
}

TEST_CASE("wrapper: texts of any length") {
  const api::engine engine = api::engine::text_only();
  for (const size_t bytes : {size_t{1}, size_t{499}, size_t{500}, size_t{501}, size_t{5000}}) {
    const std::string words(bytes, 'a');
    CHECK(engine.detokenize(engine.tokenize(words, 0)) == words);
  }
  CHECK(engine.detokenize({}).empty());
}
