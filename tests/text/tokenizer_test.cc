#include "runtime/text/tokenizer.h"

#include <doctest/doctest.h>

#include <functional>
#include <thread>

#include "platform/clock.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/stream_decoder.h"
#include "tests/text/vocabularies.h"

using namespace hotset;
using Ids = std::vector<TokenId>;

namespace {

std::unique_ptr<Tokenizer> make(Vocabulary vocabulary = test::small_vocabulary()) {
  auto tokenizer = Tokenizer::create(std::move(vocabulary));
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return std::move(tokenizer).value();
}

}  // namespace

TEST_CASE("merges are taken lowest rank first") {
  const auto tokenizer = make();
  CHECK(tokenizer->encode("the", false, false).value() == Ids{257});
  CHECK(tokenizer->encode("he then in", false, false).value() == Ids{259, 260, 'n', ' ', 258});
  CHECK(tokenizer->encode("aaa", false, false).value() == Ids{265, 'a'});
  CHECK(tokenizer->encode("", true, true).value() == Ids{});
}

TEST_CASE("special tokens are taken when asked for, added ones always, the longest first") {
  const auto tokenizer = make();
  CHECK(tokenizer->encode("a<|end|>a", false, true).value() == Ids{'a', 261, 'a'});
  CHECK(tokenizer->encode("<|end|>", false, false)->size() == 7);
  CHECK(tokenizer->encode("<added>y", false, false).value() == Ids{262, 'y'});
  CHECK(tokenizer->encode("<added>xy", false, false).value() == Ids{264, 'y'});
  CHECK(tokenizer->encode("<added><|end|><|end|", false, true)->size() == 2 + 6);
}

TEST_CASE("beginning and end tokens are added where the vocabulary says so") {
  Vocabulary vocabulary = test::small_vocabulary();
  vocabulary.bos = 261;
  vocabulary.add_bos = true;
  vocabulary.add_eos = true;
  CHECK(make(vocabulary)->encode("a", true, false).value() == Ids{261, 'a', 263});
  CHECK(make(vocabulary)->encode("a", false, false).value() == Ids{'a'});
  vocabulary.bos = kNoToken;
  CHECK(make(vocabulary)->encode("a", true, false).value() == Ids{'a', 263});
}

TEST_CASE("generation ends at eos and at the names models use") {
  const auto tokenizer = make();
  CHECK(tokenizer->end_of_generation() == Ids{261, 263});
  CHECK(tokenizer->is_end_of_generation(263));
  CHECK_FALSE(tokenizer->is_end_of_generation('a'));
  CHECK_FALSE(tokenizer->is_end_of_generation(-1));
}

TEST_CASE("decoding hides special tokens unless asked and refuses foreign ids") {
  const auto tokenizer = make();
  const Ids ids = {260, 261, 262};
  CHECK(tokenizer->decode(ids, false).value() == " the<added>");
  CHECK(tokenizer->decode(ids, true).value() == " the<|end|><added>");
  for (const TokenId id : {-1, 266, 1 << 30}) CHECK_FALSE(tokenizer->decode(Ids{id}, true).ok());
}

TEST_CASE("a stream decoder never shows half a character") {
  const auto tokenizer = make();
  StreamDecoder decoder(*tokenizer);
  std::string text;
  for (const TokenId id : Ids{0xE6, 0x97, 0xA5, 261, 'a', 0xF0, 0x9F}) {
    text += decoder.next(id);
    CHECK((text == "" || text == "\xE6\x97\xA5" || text == "\xE6\x97\xA5" "a"));
  }
  CHECK(std::string(decoder.finish()) == "\xEF\xBF\xBD");
  CHECK(std::string(decoder.finish()) == "");
}

TEST_CASE("text that is not UTF-8 is refused with the place") {
  const auto tokenizer = make();
  const auto ids = tokenizer->encode("abc\xFFzz", false, false);
  REQUIRE_FALSE(ids.ok());
  CHECK(ids.status().message() == "invalid UTF-8 at byte 3 of the text");
}

TEST_CASE("broken vocabularies are refused with one line") {
  struct Row {
    const char* what;
    std::function<void(Vocabulary&)> break_it;
    const char* message;
  };
  const Row rows[] = {
      {"no tokens", [](Vocabulary& v) { v.tokens.clear(), v.types.clear(); }, "no tokens"},
      {"short types", [](Vocabulary& v) { v.types.pop_back(); }, "token types"},
      {"long types", [](Vocabulary& v) { v.types.push_back(1); }, "token types"},
      {"type 0", [](Vocabulary& v) { v.types[3] = 0; }, "unknown type"},
      {"type 99", [](Vocabulary& v) { v.types[3] = 99; }, "unknown type"},
      {"duplicate", [](Vocabulary& v) { v.tokens[7] = v.tokens[8]; }, "the same"},
      {"bad byte token", [](Vocabulary& v) { v.types[262] = 6; }, "no byte's name"},
      {"short scores", [](Vocabulary& v) { v.scores = {1, 2}; }, "2 scores"},
      {"merge of an unknown left", [](Vocabulary& v) { v.merges[0] = "zz h"; }, "does not exist"},
      {"merge into an unknown token", [](Vocabulary& v) { v.merges[0] = "z h"; }, "does not exist"},
      {"merge of one", [](Vocabulary& v) { v.merges[0] = "th"; }, "not two tokens"},
      {"merge of nothing", [](Vocabulary& v) { v.merges[0] = ""; }, "not two tokens"},
      {"merge with an empty side", [](Vocabulary& v) { v.merges[0] = "t "; }, "not two tokens"},
      {"merge of three", [](Vocabulary& v) { v.merges[0] = "t h e"; }, "does not exist"},
      {"bos too large", [](Vocabulary& v) { v.bos = 266; }, "beginning token 266"},
      {"eos negative", [](Vocabulary& v) { v.eos = -2; }, "end token -2"},
      {"eot too large", [](Vocabulary& v) { v.eot = 1 << 30; }, "end-of-turn"},
      {"pad too large", [](Vocabulary& v) { v.pad = 1000; }, "padding"},
      {"unk too large", [](Vocabulary& v) { v.unk = 1000; }, "unknown token"},
      {"ending token too large", [](Vocabulary& v) { v.ends = {266}; }, "ending token 266"},
      {"other model", [](Vocabulary& v) { v.model = "rwkv"; }, "'rwkv'"},
      {"short table of characters", [](Vocabulary& v) { v.model = "t5"; v.charsmap = "abc"; }, "too short"},
      {"table of characters of a wrong size", [](Vocabulary& v) { v.model = "t5"; v.charsmap = {4, 1, 0, 0, 0}; }, "states"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Vocabulary vocabulary = test::small_vocabulary();
    row.break_it(vocabulary);
    const auto tokenizer = Tokenizer::create(vocabulary);
    CHECK_FALSE(tokenizer.ok());
    CHECK_MESSAGE(tokenizer.status().message().find(row.message) != std::string::npos, tokenizer.status().message());
    CHECK(tokenizer.status().message().find('\n') == std::string::npos);
  }
}

TEST_CASE("a byte without a token is unknown or an error") {
  Vocabulary vocabulary = test::small_vocabulary();
  vocabulary.tokens['q'] = "qq";  // no token for "q" any more
  CHECK(make(vocabulary)->encode("q", false, false).status().message().find("0x71") != std::string::npos);
  vocabulary.unk = 263;
  CHECK(make(vocabulary)->encode("aq", false, false).value() == Ids{'a', 263});
}

TEST_CASE("a whole word that is a token is taken directly where merges are ignored") {
  Vocabulary vocabulary = test::small_vocabulary();
  vocabulary.tokens[265] = "zzz";
  vocabulary.merges.pop_back();
  CHECK(make(vocabulary)->encode("zzz", false, false).value() == Ids{'z', 'z', 'z'});
  vocabulary.pre = "llama-bpe";
  CHECK(make(vocabulary)->encode("zzz", false, false).value() == Ids{265});
}

TEST_CASE("long words and long runs take no quadratic time") {
  const auto tokenizer = make();
  const uint64_t begin_ns = now_ns();
  CHECK(tokenizer->encode(std::string(1 << 20, 'a'), false, false)->size() == 1 << 19);
  CHECK(tokenizer->encode(std::string(1 << 20, ' '), false, false)->size() == 1 << 20);
  CHECK(tokenizer->encode(std::string(1 << 20, '\n'), false, false)->size() == 1 << 20);
  CHECK(tokenizer->encode(std::string(1 << 18, '<'), false, true)->size() == 1 << 18);
  CHECK(now_ns() - begin_ns < 10'000'000'000);
}

TEST_CASE("one tokenizer serves many threads") {
  const auto tokenizer = make();
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (int& count : good) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += tokenizer->encode(" the in<|end|>", false, true).value() == Ids{260, ' ', 258, 261} ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 200));
}
