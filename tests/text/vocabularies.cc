#include "tests/text/vocabularies.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "platform/file.h"
#include "runtime/format/gguf.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/vocabulary.h"
#include "tests/test_support.h"

namespace hotset::test {

Vocabulary small_vocabulary() {
  Vocabulary v;
  v.pre = "qwen2";
  for (uint32_t byte = 0; byte < 256; ++byte) v.tokens.push_back(byte_alphabet_character(static_cast<uint8_t>(byte)));
  for (const char* text : {"th", "the", "in", "he", "\u0120the", "<|end|>", "<added>", "<|endoftext|>", "<added>x", "aa"}) v.tokens.push_back(text);
  v.types.assign(v.tokens.size(), 1);
  v.types[261] = 3;
  v.types[262] = 4;
  v.types[263] = 3;
  v.types[264] = 4;
  v.merges = {"t h", "th e", "i n", "h e", "\u0120 the", "a a"};
  v.eos = 263;
  return v;
}

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& path) {
  if (!file_exists(path)) return nullptr;
  std::string plain = path;
  if (path.ends_with(".gz")) {
    plain = (std::filesystem::path(HOTSET_BINARY_DIR) / "unpacked-").string() + std::filesystem::path(path).stem().string();
    const std::string command = "gzip -dc '" + path + "' > '" + plain + "'";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  const auto file = GgufFile::open(plain);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  auto vocabulary = read_vocabulary(**file);
  REQUIRE_MESSAGE(vocabulary.ok(), vocabulary.status().message());
  auto tokenizer = Tokenizer::create(std::move(vocabulary).value());
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return std::move(tokenizer).value();
}

}  // namespace hotset::test
