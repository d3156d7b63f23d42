// The sampler of a session, changed on the way: what takes effect and when, what is refused, what a state keeps.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <algorithm>

#include "tests/api/tokens.h"
#include "tests/temp_folder.h"

namespace api = hotset::api;
using hotset::test::go_on;
using hotset::test::told;

namespace {

const api::engine& engine() {
  static const api::engine made({}, api::options().set("device", "cpu").set("ctx", "64").set("temp", "0"));
  return made;
}

api::options greedy() {
  api::options options;
  options.set("temp", "0");
  return options;
}

api::options drawn(const char* seed) {
  api::options options;
  options.set("temp", "1.5").set("seed", seed).set("top-k", "0").set("top-p", "1");
  return options;
}

std::vector<hotset_token> prompt() { return engine().tokenize("Once upon a time there was a"); }

}  // namespace

TEST_CASE("sampler: other settings are those of the next token, and of every one after it") {
  api::session session(engine());
  const auto likeliest = told(session, prompt(), 12);
  session.rewind(0);
  session.feed(prompt());
  REQUIRE(session.sample() == likeliest[0]);
  bool another = false;
  for (const char* seed : {"1", "2", "3", "4", "5", "6", "7", "8"}) {
    session.set_sampler(drawn(seed));
    another = another || session.sample() != likeliest[0];
  }
  CHECK(another);
  session.set_sampler(greedy());
  CHECK(session.sample() == likeliest[0]);
  CHECK(go_on(session, 6) == std::vector(likeliest.begin(), likeliest.begin() + 6));
  session.set_sampler(drawn("5"));
  const auto rest = go_on(session, 6);
  CHECK(rest != std::vector(likeliest.begin() + 6, likeliest.end()));
}

TEST_CASE("sampler: a seed gives its tokens again, and another one others") {
  api::session session(engine());
  const auto with_seed = [&](const char* seed) {
    session.set_sampler(drawn(seed));
    return told(session, prompt(), 12);
  };
  const auto first = with_seed("5");
  CHECK(with_seed("6") != first);
  CHECK(with_seed("5") == first);
  api::session opened_with(engine(), drawn("5"));
  CHECK(told(opened_with, prompt(), 12) == first);
}

TEST_CASE("sampler: the repeat penalty looks back on tokens that were fed before it was set") {
  api::session session(engine());
  session.feed(prompt());
  const auto is_fed = [&](hotset_token token) { return std::ranges::count(session.tokens(), token) > 0; };
  for (int i = 0; i < 40 && !is_fed(session.sample()); ++i) go_on(session, 1);
  REQUIRE(is_fed(session.sample()));
  session.set_sampler(greedy().set("repeat-penalty", "100").set("repeat-last-n", "64"));
  CHECK_FALSE(is_fed(session.sample()));
}

TEST_CASE("sampler: settings that cannot be are refused, and those before go on") {
  api::options options = drawn("9");
  CHECK(hotset_options_set(options.handle(), "temp", "-1", nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_options_set(options.handle(), "top-p", "1.5", nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_options_set(options.handle(), "seed", "x", nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_options_set(options.handle(), "repeat-penalty", "0", nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(options.get("temp") == "1.5");
  api::session session(engine(), options);
  const auto expected = told(session, prompt(), 12);
  session.set_sampler(options);
  session.rewind(0);
  session.feed(prompt());
  auto half = go_on(session, 6);
  api::options none = drawn("1");
  none.set("top-p", "0");  // no token is left
  hotset_error said = HOTSET_ERROR_INIT;
  CHECK(hotset_session_set_sampler(session.handle(), none.handle(), &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(std::string(said.message).find("top-p") != std::string::npos);
  CHECK(hotset_session_set_sampler(session.handle(), reinterpret_cast<hotset_options*>(session.handle()), nullptr) == HOTSET_INVALID_HANDLE);
  CHECK(hotset_session_set_sampler(session.handle(), nullptr, nullptr) == HOTSET_OK);  // changes nothing
  for (const hotset_token token : go_on(session, 6)) half.push_back(token);
  CHECK(half == expected);
}

TEST_CASE("sampler: what was set is saved with the state, and set again where the state is loaded") {
  const hotset::test::TempFolder folder;
  api::session session(engine());
  session.set_sampler(drawn("7"));
  told(session, prompt(), 4);
  session.save(folder.file("state"));
  const auto bytes = session.save_bytes();
  const auto expected = go_on(session, 12);
  api::session other(engine());
  other.load_bytes(bytes);
  CHECK(go_on(other, 12) == expected);
  other.set_sampler(greedy());
  other.load(folder.file("state"));
  CHECK(go_on(other, 12) == expected);
  other.load_bytes(bytes);
  other.set_sampler(greedy());
  CHECK(go_on(other, 12) != expected);
}
