#include "tests/tools/synthetic_vocabulary.h"

#include <string>
#include <vector>

namespace hotset::test {
namespace {

enum TokenType : int32_t { kNormal = 1, kControl = 3, kUnused = 5 };

constexpr const char* kMerges[] = {
    "t h", "th e", "i n", "e r", "a n", "o n", "r e", "o u", "Ġ a", "Ġ t", "Ġ w", "Ġ s", "Ġ the", "an d",
    "in g", "Ġ and",
};
constexpr const char* kChatTemplate =
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

std::string utf8(uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
}

// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in byte order.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    tokens.push_back(utf8(printable ? byte : next++));
  }
  return tokens;
}

}  // namespace

void add_synthetic_vocabulary(uint32_t size, GgufWriter& writer) {
  std::vector<std::string> tokens = byte_tokens();
  std::vector<std::string> merges;
  for (const std::string merge : kMerges) {
    merges.push_back(merge);
    tokens.push_back(std::string(merge).erase(merge.find(' '), 1));
  }
  std::vector<int32_t> types(tokens.size(), kNormal);
  for (uint32_t i = 0; tokens.size() + 3 < size; ++i) tokens.push_back("<unused" + std::to_string(i) + ">");
  types.resize(tokens.size(), kUnused);
  for (const char* control : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) tokens.push_back(control);
  types.resize(tokens.size(), kControl);
  writer.add_string("tokenizer.ggml.model", "gpt2");
  writer.add_string("tokenizer.ggml.pre", "qwen2");
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_strings("tokenizer.ggml.merges", merges);
  writer.add_u32("tokenizer.ggml.eos_token_id", size - 3);
  writer.add_u32("tokenizer.ggml.eot_token_id", size - 1);
  writer.add_u32("tokenizer.ggml.padding_token_id", size - 3);
  writer.add_bool("tokenizer.ggml.add_bos_token", false);
  writer.add_string("tokenizer.chat_template", kChatTemplate);
}

}  // namespace hotset::test
