// Kinds of tokenizers other than byte-level ones: small vocabularies with results worked out by hand.
#include <doctest/doctest.h>

#include "runtime/text/charsmap.h"
#include "runtime/text/token_trie.h"
#include "tests/text/vocabularies.h"

using namespace hotset;
using Ids = std::vector<TokenId>;

namespace {

constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6;

std::unique_ptr<Tokenizer> make(Vocabulary vocabulary) {
  auto tokenizer = Tokenizer::create(std::move(vocabulary));
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return std::move(tokenizer).value();
}

void add(Vocabulary& v, const char* text, float score, int32_t type = kNormal) {
  v.tokens.emplace_back(text);
  v.scores.push_back(score);
  v.types.push_back(type);
}

void add_bytes(Vocabulary& v) {
  char name[8];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    add(v, name, 0, kByte);
  }
}

// 0 unknown, 1 <s>, 2 </s>, 3.. bytes, then pieces.
Vocabulary sentencepiece(const char* model) {
  Vocabulary v;
  v.model = model;
  v.bos = 1;
  v.eos = 2;
  v.unk = 0;
  add(v, "<unk>", 0, kUnknown);
  add(v, "<s>", 0, kControl);
  add(v, "</s>", 0, kControl);
  add_bytes(v);
  return v;
}

constexpr TokenId kFirstPiece = 259;
TokenId byte_id(int byte) { return 3 + byte; }

Vocabulary score_vocabulary() {
  Vocabulary v = sentencepiece("llama");
  for (const char* text : {"\u2581", "a", "b", "c"}) add(v, text, -10);  // 259..262
  add(v, "ab", -2);         // 263
  add(v, "bc", -1);         // 264
  add(v, "abc", -3);        // 265
  add(v, "\u2581a", -4);    // 266
  add(v, "q\u2581", -5);    // 267: "q" alone is no token
  add(v, "<added>", 0, kUserDefined);  // 268
  return v;
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool add_special = false) {
  const auto ids = tokenizer.encode(text, add_special, true);
  REQUIRE_MESSAGE(ids.ok(), ids.status().message());
  return *ids;
}

}  // namespace

TEST_CASE("neighbours merge by score, whatever is not a token falls back to bytes") {
  const auto tokenizer = make(score_vocabulary());
  // "bc" scores above "ab", and "a" with "bc" is "abc"; but the blank before it comes too late.
  CHECK(encode(*tokenizer, "abc") == Ids{259, 265});
  CHECK(encode(*tokenizer, "a") == Ids{266});
  CHECK(encode(*tokenizer, "abab") == Ids{259, 263, 263});
  CHECK(encode(*tokenizer, "q b") == Ids{259, 267, 261});
  CHECK(encode(*tokenizer, "qb") == Ids{259, byte_id('q'), 261});
  CHECK(encode(*tokenizer, "\u00E9") == Ids{259, byte_id(0xC3), byte_id(0xA9)});
  CHECK(encode(*tokenizer, "a<added>a</s>a") == Ids{266, 268, 266, 2, 266});
  CHECK(encode(*tokenizer, "a", true) == Ids{1, 266});
  CHECK(encode(*tokenizer, "").empty());
  CHECK(tokenizer->decode(encode(*tokenizer, "abc q b"), false).value() == "abc q b");
}

TEST_CASE("a file may do without the blank before a text") {
  Vocabulary v = score_vocabulary();
  v.add_space_prefix = false;
  CHECK(encode(*make(v), "abc") == Ids{265});
  CHECK(make(v)->decode(Ids{266}, false).value() == " a");
}

TEST_CASE("without bytes the unknown token stands for a run of characters") {
  Vocabulary v = score_vocabulary();
  for (size_t i = 3; i < kFirstPiece; ++i) {
    v.tokens[i] = "piece " + std::to_string(i);
    v.types[i] = kNormal;
  }
  CHECK(encode(*make(v), "xyza") == Ids{259, 0, 260});
  v.unk = kNoToken;
  CHECK_FALSE(make(v)->encode("xyz", false, false).ok());
}

TEST_CASE("a list of merges over characters keeps newlines apart") {
  Vocabulary v = sentencepiece("gemma4");
  for (const char* text : {"\u2581", "a", "b", "\n", "\n\n", "\u2581a", "ab"}) add(v, text, 0);  // 259..265
  v.merges = {"\u2581 a", "a b"};
  v.add_bos = false;
  const auto tokenizer = make(v);
  CHECK(encode(*tokenizer, "ab ab") == Ids{265, 264, 261});
  CHECK(encode(*tokenizer, "a\n\nb\n") == Ids{260, 263, 261, 262});
  CHECK(encode(*tokenizer, "\n\n\n") == Ids{262, 262, 262});
  CHECK(encode(*tokenizer, "x") == Ids{byte_id('x')});
  CHECK(tokenizer->adds_bos());  // files that say no are wrong
  CHECK(tokenizer->decode(Ids{264, 261}, false).value() == " ab");
}

TEST_CASE("a unigram model takes the cut that scores highest") {
  Vocabulary v = sentencepiece("t5");
  for (const char* text : {"\u2581", "a", "b"}) add(v, text, -6);  // 259..261
  add(v, "ab", -3);       // 262
  add(v, "ba", -4);       // 263
  add(v, "\u2581ab", -8);  // 264
  const auto tokenizer = make(v);
  CHECK(encode(*tokenizer, "ab") == Ids{264});             // -8 beats -6 - 3
  CHECK(encode(*tokenizer, "aba") == Ids{264, 260});       // -8 - 6 beats -6 - 6 - 4 and -6 - 3 - 6
  CHECK(encode(*tokenizer, "  ab   b ") == Ids{264, 259, 261});
  CHECK(encode(*tokenizer, "z") == Ids{259, byte_id('z')});
  CHECK(encode(*tokenizer, "ab", true) == Ids{264, 2});
  CHECK(encode(*tokenizer, " ").empty());
  CHECK(tokenizer->decode(Ids{264, 259, 261}, false).value() == "ab b");
}

TEST_CASE("a table of characters replaces the longest beginning it knows") {
  // A double array by hand: the root's children lie at offset 256 ^ label. "A" -> "a"; "AB" -> "xy".
  const auto unit = [](uint32_t offset, bool has_value, uint8_t label) { return offset << 10 | (has_value ? 256u : 0u) | label; };
  std::vector<uint32_t> units(1024, 0);
  units[0] = unit(256, false, 0);
  units[256 ^ 'A'] = unit((256 ^ 'A') ^ 512, true, 'A');
  units[512] = uint32_t{1} << 31 | 0;  // the value: replacement at 0
  units[512 ^ 'B'] = unit((512 ^ 'B') ^ 768, true, 'B');
  units[768] = uint32_t{1} << 31 | 2;
  const auto size = static_cast<uint32_t>(units.size() * 4);
  std::string bytes(reinterpret_cast<const char*>(&size), 4);
  bytes.append(reinterpret_cast<const char*>(units.data()), size).append("a\0xy\0", 5);
  const auto map = Charsmap::create(bytes);
  REQUIRE(map.ok());
  CHECK(map->longest("AC").replacement == "a");
  CHECK(map->longest("ABC").replacement == "xy");
  CHECK(map->longest("ABC").size_bytes == 2);
  CHECK(map->longest("b").size_bytes == 0);
  CHECK(map->longest("").size_bytes == 0);

  Vocabulary v = sentencepiece("t5");
  for (const char* text : {"\u2581", "a", "xy"}) add(v, text, -6);
  v.charsmap = bytes;
  CHECK(encode(*make(v), "AAB") == Ids{259, 260, 261});
  // Any bytes are safe: every word of the array in turn points far away.
  for (size_t i = 4; i < bytes.size(); i += 4) {
    std::string broken = bytes;
    broken.replace(i, std::min<size_t>(4, broken.size() - i), "\xFF\xFF\xFF\xFF");
    const auto bad = Charsmap::create(broken);
    if (bad.ok()) CHECK(bad->longest("ABAB").size_bytes <= 4);
  }
}

TEST_CASE("without a list of merges ids are ranks") {
  Vocabulary v = test::small_vocabulary();
  v.merges.clear();
  const auto tokenizer = make(v);
  CHECK(encode(*tokenizer, "the") == Ids{257});  // "th" (256) before "he" (259)
  CHECK(encode(*tokenizer, "he then in") == Ids{259, 260, 'n', ' ', 258});
  CHECK(encode(*tokenizer, "aaa") == Ids{265, 'a'});
}

TEST_CASE("channels of an answer are text") {
  Vocabulary v = test::small_vocabulary();
  for (const char* text : {"<|channel|>", "<|return|>", "<|call|>"}) {
    v.tokens.emplace_back(text);
    v.types.push_back(kControl);
  }
  const auto tokenizer = make(v);
  CHECK(tokenizer->encode("<|channel|><|end|>", false, false).value() == Ids{266, 261});
  CHECK_FALSE(tokenizer->is_special(266));
  CHECK(tokenizer->is_special(267));
  CHECK(tokenizer->end_of_generation() == Ids{263, 267, 268});  // <|end|> only parts messages
}

TEST_CASE("blanks after Phi-3's added tokens belong to them") {
  Vocabulary v = test::small_vocabulary();
  CHECK(encode(*make(v), "<added>  a") == Ids{262, ' ', ' ', 'a'});
  v.name = "Phi-3 mini";
  CHECK(encode(*make(v), "<added>  a") == Ids{262, 'a'});
}

TEST_CASE("tokens that are empty or not in the alphabet do no harm") {
  Vocabulary v = test::small_vocabulary();
  v.tokens[265] = "a b";
  v.merges.pop_back();
  v.tokens.emplace_back("");
  v.tokens.emplace_back("");
  v.types.insert(v.types.end(), 2, kNormal);
  const auto tokenizer = make(v);
  CHECK(tokenizer->piece(265) == "a b");
  CHECK(tokenizer->decode(Ids{266, 'a'}, true).value() == "a");
}

TEST_CASE("a trie finds every beginning") {
  const TokenTrie trie({{"abc", 3}, {"a", 1}, {"", 9}, {"abd", 4}, {"a", 7}, {"\xFF", 5}});
  CHECK(trie.longest("abcd").id == 3);
  CHECK(trie.longest("abx").size_bytes == 1);
  CHECK(trie.longest("abx").id == 1);
  CHECK(trie.longest("\xFF").id == 5);
  CHECK(trie.longest("b").size_bytes == 0);
  CHECK(trie.longest("").size_bytes == 0);
  Ids found;
  trie.for_each_prefix("abd", [&](size_t, TokenId id) { found.push_back(id); });
  CHECK(found == Ids{1, 4});
  CHECK(TokenTrie().empty());
}

TEST_CASE("no kind takes quadratic time") {
  for (const char* model : {"llama", "t5", "gemma4"}) {
    Vocabulary v = score_vocabulary();
    v.model = model;
    v.merges = {"a b"};
    const auto tokenizer = make(v);
    for (const char* unit : {"a", "abc", " ", "q", "\u00E9", "\n", "<"}) {
      std::string text;
      while (text.size() < 50'000) text += unit;
      CHECK(tokenizer->encode(text, true, true).ok());
    }
  }
}
