#include "runtime/app/chat.h"

#include <doctest/doctest.h>

#include "tests/app/fake_chat_model.h"

using namespace hotset;
using hotset::test::FakeChatModel;

namespace {

bool ignore(std::string_view) { return true; }

}  // namespace

TEST_CASE("chat: the timeline keeps what the next prompt begins with") {
  FakeChatModel model(1000);
  Chat chat(model, "kind", 0);
  model.next_answer = "hello";
  chat.answer("hi", ignore);
  CHECK(model.timeline == "s:kind;u:hi;a:hello");
  model.next_answer = "fine";
  chat.answer("how?", ignore);
  CHECK(model.timeline == "s:kind;u:hi;a:hello;u:how?;a:fine");
  // The second prompt is fed from the first answer on.
  CHECK(model.prompts == std::vector<std::string>{"s:kind;u:hi;a:", "hello;u:how?;a:"});
}

TEST_CASE("chat: an answer that was cut short is remembered as it stands") {
  FakeChatModel model(1000);
  Chat chat(model, "", 2);
  model.next_answer = "hello";
  CHECK(chat.answer("hi", ignore) == HOTSET_STOP_LENGTH);
  chat.answer("go on", ignore);
  CHECK(model.prompts.back() == "he;u:go on;a:");
}

TEST_CASE("chat: reasoning is shown and not remembered") {
  FakeChatModel model(1000, "<think></think>");
  Chat chat(model, "", 0);
  model.next_answer = "<think>\nhm\n</think>\n\nhello ";
  std::string shown;
  const auto show = [&](std::string_view text) {
    shown += text;
    return true;
  };
  chat.answer("hi", show);
  CHECK(shown == "hm\n\nhello ");
  chat.answer("more", ignore);
  CHECK(model.timeline == "u:hi;a:hello ;u:more;a:<think>\nhm\n</think>\n\nhello ");
}

TEST_CASE("chat: the oldest exchanges give way, the system message stays") {
  FakeChatModel model(48);
  Chat chat(model, "kind", 0);
  model.next_answer = "0123456789";
  for (const char* message : {"first", "second", "third"}) chat.answer(message, ignore);
  CHECK(model.timeline == "s:kind;u:third;a:0123456789");
}

TEST_CASE("chat: a message larger than the context is an error and is not remembered") {
  FakeChatModel model(48);
  Chat chat(model, "", 0);
  model.next_answer = "yes";
  CHECK_THROWS_AS(chat.answer(std::string(100, 'x'), ignore), api::error);
  chat.answer("hi", ignore);
  CHECK(model.timeline == "u:hi;a:yes");
}

TEST_CASE("chat: common prefix") {
  const std::vector<hotset_token> none, one = {1}, two = {1, 2}, other = {2, 2};
  CHECK(common_prefix(none, two) == 0);
  CHECK(common_prefix(one, two) == 1);
  CHECK(common_prefix(two, two) == 2);
  CHECK(common_prefix(two, other) == 0);
}
