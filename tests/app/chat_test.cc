#include "runtime/app/chat.h"

#include <doctest/doctest.h>

#include "tests/app/fake_engine.h"

using namespace hotset;
using hotset::test::FakeEngine;
using hotset::test::FakeSession;

namespace {

bool ignore(std::string_view) { return true; }

}  // namespace

TEST_CASE("chat: the timeline keeps what the next prompt begins with") {
  FakeEngine engine(1000);
  FakeSession session(1000);
  Chat chat(engine, session, "kind", 0);
  session.next_answer = "hello";
  REQUIRE(chat.answer("hi", ignore).ok());
  CHECK(session.timeline == "s:kind;u:hi;a:hello");
  session.next_answer = "fine";
  REQUIRE(chat.answer("how?", ignore).ok());
  CHECK(session.timeline == "s:kind;u:hi;a:hello;u:how?;a:fine");
  // The second prompt is fed from the first answer on.
  CHECK(session.prompts == std::vector<std::string>{"s:kind;u:hi;a:", "hello;u:how?;a:"});
}

TEST_CASE("chat: an answer that was cut short is remembered as it stands") {
  FakeEngine engine(1000);
  FakeSession session(1000);
  Chat chat(engine, session, "", 2);
  session.next_answer = "hello";
  const auto stop = chat.answer("hi", ignore);
  REQUIRE(stop.ok());
  CHECK(*stop == StopReason::kLength);
  REQUIRE(chat.answer("go on", ignore).ok());
  CHECK(session.prompts.back() == "he;u:go on;a:");
}

TEST_CASE("chat: reasoning is shown and not remembered") {
  struct ThinkingEngine : FakeEngine {
    using FakeEngine::FakeEngine;
    std::unique_ptr<OutputParser> create_output_parser(std::string_view prompt, std::string_view) const override {
      return OutputParser::create(detect_output_syntax("<think></think>"), prompt);
    }
  };
  ThinkingEngine engine(1000);
  FakeSession session(1000);
  Chat chat(engine, session, "", 0);
  session.next_answer = "<think>\nhm\n</think>\n\nhello ";
  CHECK(session.shows_special);  // marks may be special tokens
  std::string shown;
  const auto show = [&](std::string_view text) {
    shown += text;
    return true;
  };
  REQUIRE(chat.answer("hi", show).ok());
  CHECK(shown == "hm\n\nhello ");
  REQUIRE(chat.answer("more", ignore).ok());
  CHECK(session.timeline == "u:hi;a:hello ;u:more;a:<think>\nhm\n</think>\n\nhello ");
}

TEST_CASE("chat: the oldest exchanges give way, the system message stays") {
  FakeEngine engine(48);
  FakeSession session(48);
  Chat chat(engine, session, "kind", 0);
  session.next_answer = "0123456789";
  for (const char* message : {"first", "second", "third"}) REQUIRE(chat.answer(message, ignore).ok());
  CHECK(session.timeline == "s:kind;u:third;a:0123456789");
}

TEST_CASE("chat: a message larger than the context is an error and is not remembered") {
  FakeEngine engine(48);
  FakeSession session(48);
  Chat chat(engine, session, "", 0);
  session.next_answer = "yes";
  CHECK(!chat.answer(std::string(100, 'x'), ignore).ok());
  REQUIRE(chat.answer("hi", ignore).ok());
  CHECK(session.timeline == "u:hi;a:yes");
}

TEST_CASE("chat: common prefix") {
  const std::vector<TokenId> none, one = {1}, two = {1, 2}, other = {2, 2};
  CHECK(common_prefix(none, two) == 0);
  CHECK(common_prefix(one, two) == 1);
  CHECK(common_prefix(two, two) == 2);
  CHECK(common_prefix(two, other) == 0);
}
