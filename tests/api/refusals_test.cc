// What a program asks for and cannot have: a code and one line that says why, and nothing is half done.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/api/small_engine.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::small_engine;
using hotset::test::small_on_cpu;

namespace {

struct Said : hotset_error {
  Said() : hotset_error(HOTSET_ERROR_INIT) {}
  bool has(const char* words) const { return std::strstr(message, words) != nullptr; }
};

// Logits functions.
void forbid_all(void*, float* logits, size_t count) { std::fill_n(logits, count, -INFINITY); }
void spoil_all(void*, float* logits, size_t count) { std::fill_n(logits, count, NAN); }
void forbid_but_seven(void*, float* logits, size_t count) {
  for (size_t i = 0; i < count; ++i) logits[i] = i == 7 ? 0 : -INFINITY;
}

}  // namespace

TEST_CASE("refusals: a grammar that allows no token ends the pick, and nothing is generated") {
  const auto prompt = small_engine().tokenize("Once upon a time");
  api::session session(small_engine());
  session.feed(prompt);
  hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
  params.max_tokens = 4;
  for (const hotset_logits_function function : {forbid_all, spoil_all}) {
    REQUIRE(hotset_session_set_logits_function(session.handle(), function, nullptr, nullptr) == HOTSET_OK);
    hotset_token token = -9;
    Said said;
    CHECK(hotset_session_sample(session.handle(), &token, &said) == HOTSET_INVALID_ARGUMENT);
    CHECK(said.has("leaves no token"));
    CHECK(token == -9);
    CHECK(hotset_session_generate(session.handle(), &params, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
    CHECK(session.position() == prompt.size());
  }
  REQUIRE(hotset_session_set_logits_function(session.handle(), forbid_but_seven, nullptr, nullptr) == HOTSET_OK);
  CHECK(session.sample() == 7);
}

TEST_CASE("refusals: flags that are none, and counts that no memory holds") {
  hotset_engine* const engine = small_engine().handle();
  api::session session(small_engine());
  hotset_token token = 40;
  const hotset_message message = {"user", "hello"};
  size_t count = 0;
  Said said;
  CHECK(hotset_tokenize(engine, "a", 1, 8, &token, 1, &count, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(said.has("0x8"));
  CHECK(hotset_detokenize(engine, &token, 1, 0x80000001u, nullptr, 0, &count, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(said.has("0x80000000"));
  const size_t below_zero = SIZE_MAX;
  CHECK(hotset_tokenize(engine, "a", below_zero, 0, &token, 1, &count, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_detokenize(engine, &token, below_zero, 0, nullptr, 0, &count, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_apply_chat_template(engine, &message, below_zero, nullptr, 0, &count, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_feed(session.handle(), &token, below_zero, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_load_bytes(session.handle(), "a", below_zero, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(said.has("more than memory holds"));
}

TEST_CASE("refusals: tools that are no list of them") {
  for (const char* tools : {"junk", "3", "{}", "["}) {
    CAPTURE(tools);
    hotset_parser* parser = nullptr;
    Said said;
    CHECK(hotset_parser_open(small_engine().handle(), "", tools, &parser, &said) == HOTSET_INVALID_ARGUMENT);
    CHECK(said.has("tools"));
    CHECK(parser == nullptr);
  }
  CHECK_NOTHROW(api::parser(small_engine(), "", "[]"));
}

TEST_CASE("refusals: a RAM budget of nothing is not all of it") {
  for (const char* bytes : {"0", "0%", "1"}) {
    CAPTURE(bytes);
    api::options options = small_on_cpu();
    options.set("ram", bytes);
    Said said;
    hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
    params.options = options.handle();
    hotset_engine* engine = nullptr;
    CHECK(hotset_engine_open(&params, &engine, &said) == HOTSET_OVER_BUDGET);
    CHECK(engine == nullptr);
  }
}

TEST_CASE("refusals: every value that an option takes is one that a session opens with") {
  api::options options;
  CHECK_THROWS_AS(options.set("top-p", "0"), api::error);
  for (const auto& [name, value] : {std::pair{"top-p", "0.001"}, {"temp", "100"}, {"min-p", "1"}, {"repeat-penalty", "0.01"}, {"repeat-last-n", "0"}}) {
    CAPTURE(name);
    api::options sampler;
    sampler.set(name, value);
    CHECK_NOTHROW(api::session(small_engine(), sampler));
  }
}

TEST_CASE("refusals: a message is one line of whole characters") {
  api::options options;
  Said said;
  CHECK(hotset_options_set(options.handle(), "te\nmp\t", "1", &said) == HOTSET_NOT_FOUND);
  CHECK(said.has("'te mp '"));
  // Of a program that left room for a few bytes.
  const std::string name = "zw\xc3\xb6lf";
  REQUIRE(hotset_options_set(options.handle(), name.c_str(), "1", &said) == HOTSET_NOT_FOUND);
  const auto cut = static_cast<size_t>(std::strchr(said.message, '\xc3') - said.message);
  for (size_t room = 1; room < 40; ++room) {
    std::vector<unsigned char> bytes(sizeof(hotset_error), 0x5a);
    auto* const small = reinterpret_cast<hotset_error*>(bytes.data());
    small->size = offsetof(hotset_error, message) + room;
    REQUIRE(hotset_options_set(options.handle(), name.c_str(), "1", small) == HOTSET_NOT_FOUND);
    const size_t length = std::strlen(small->message);
    CHECK(length <= room - 1);
    CHECK(length != cut + 1);
    CHECK(std::strncmp(small->message, said.message, length) == 0);
    CHECK(bytes[offsetof(hotset_error, message) + room] == 0x5a);
  }
}

TEST_CASE("refusals: an exception of a callback is named, and is not for want of memory") {
  const auto prompt = small_engine().tokenize("Once upon a time");
  api::session session(small_engine());
  session.feed(prompt);
  const hotset_token token = session.sample();
  const uint32_t before = session.position();
  const hotset_routing_function routing = [](void*, uint32_t, uint32_t, const uint16_t*, const uint8_t*, size_t) { throw std::runtime_error("of mine"); };
  REQUIRE(hotset_session_set_routing_function(session.handle(), routing, nullptr, nullptr) == HOTSET_OK);
  Said said;
  CHECK(hotset_session_feed(session.handle(), &token, 1, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(said.has("a callback threw an exception: of mine"));
  CHECK(session.position() == before);
  REQUIRE(hotset_session_set_routing_function(session.handle(), nullptr, nullptr, nullptr) == HOTSET_OK);
  const hotset_text_function text = [](void*, const char*, size_t) -> int32_t { throw 7; };
  CHECK(hotset_report_known(HOTSET_TEXT, text, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(said.has("a callback threw"));
  // After the exception the session tells what one does that met none.
  api::session other(small_engine());
  other.feed(prompt);
  other.feed({&token, 1});
  session.feed({&token, 1});
  CHECK(std::ranges::equal(session.logits(), other.logits()));
}

TEST_CASE("refusals: an exception of a log function is dropped") {
  api::options options = small_on_cpu();
  options.set("ram", "2M");  // it says how much that is
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options.handle();
  int lines = 0;
  params.log_user = &lines;
  params.log = [](void* user, int32_t, const char*) {
    ++*static_cast<int*>(user);
    throw std::runtime_error("no");
  };
  hotset_engine* engine = nullptr;
  Said said;
  CHECK_MESSAGE(hotset_engine_open(&params, &engine, &said) == HOTSET_OK, said.message);
  CHECK(lines > 0);
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
}
