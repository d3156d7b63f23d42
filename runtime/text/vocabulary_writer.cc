#include "runtime/text/vocabulary_writer.h"

namespace hotset {
namespace {

void write_id(GgufWriter& writer, const char* key, TokenId id) {
  if (id != kNoToken) writer.add_u32(key, static_cast<uint32_t>(id));
}

void write_flag(GgufWriter& writer, const char* key, std::optional<bool> flag) {
  if (flag) writer.add_bool(key, *flag);
}

}  // namespace

void write_vocabulary(const Vocabulary& v, GgufWriter& writer) {
  writer.add_string("tokenizer.ggml.model", v.model);
  writer.add_string("tokenizer.ggml.pre", v.pre);
  writer.add_strings("tokenizer.ggml.tokens", v.tokens);
  if (!v.scores.empty()) writer.add_f32s("tokenizer.ggml.scores", v.scores);
  if (!v.types.empty()) writer.add_i32s("tokenizer.ggml.token_type", v.types);
  if (!v.merges.empty()) writer.add_strings("tokenizer.ggml.merges", v.merges);
  write_id(writer, "tokenizer.ggml.bos_token_id", v.bos);
  write_id(writer, "tokenizer.ggml.eos_token_id", v.eos);
  write_id(writer, "tokenizer.ggml.eot_token_id", v.eot);
  write_id(writer, "tokenizer.ggml.unknown_token_id", v.unk);
  write_id(writer, "tokenizer.ggml.padding_token_id", v.pad);
  if (!v.ends.empty()) write_id(writer, "tokenizer.ggml.eom_token_id", v.ends[0]);
  write_flag(writer, "tokenizer.ggml.add_bos_token", v.add_bos);
  write_flag(writer, "tokenizer.ggml.add_eos_token", v.add_eos);
  write_flag(writer, "tokenizer.ggml.add_space_prefix", v.add_space_prefix);
}

}  // namespace hotset
