// How families rearrange weights between Hugging Face's conventions and GGUF's: each form is a function that adds pieces to a tensor.
#pragma once

#include "platform/status.h"
#include "runtime/engine/convert/hf_config.h"
#include "runtime/engine/convert/planned_tensor.h"

namespace hotset {

// What forms need to know of the model; 0 where the config does not say.
struct FormSizes {
  uint64_t heads = 0;
  uint64_t kv_heads = 0;
  uint64_t plain_dim = 0;  // of a latent attention's head, without rotation
  uint64_t value_dim = 0;  // of a latent attention's head
  uint64_t linear_key_heads = 0;
  uint64_t linear_value_heads = 0;
  uint64_t linear_key_dim = 0;
  uint64_t linear_value_dim = 0;
};

FormSizes form_sizes(const HfConfig& config);

// Adds what `source` gives to `out`, and sets dims where they are empty. Errors: shapes that do not suit the form.
using Form = Status (*)(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);

namespace forms {

Status as_is(const FormSizes&, const StoredWeight& source, PlannedTensor& out);       // every dimension kept

Status vector(const FormSizes&, const StoredWeight& source, PlannedTensor& out);      // as one dimension
Status matrix(const FormSizes&, const StoredWeight& source, PlannedTensor& out);      // without dimensions of 1 in the middle
Status plus_one(const FormSizes&, const StoredWeight& source, PlannedTensor& out);    // x + 1
Status minus_exp(const FormSizes&, const StoredWeight& source, PlannedTensor& out);   // -exp(x)

// Rotated pairs (i, i + dim / 2) of each head become neighbours.
Status query_pairs(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
Status key_pairs(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);

// The two parts of kv_b of latent attention, [heads][plain_dim + value_dim][latent]: [heads][latent][plain_dim] and
// [heads][value_dim][latent].
Status latent_keys(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
Status latent_values(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);

// Gate and up of all experts in one weight: rows that alternate (gpt-oss; unpacked ones are stored transposed), or halves.
Status even_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out);
Status odd_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out);
Status first_half(const FormSizes&, const StoredWeight& source, PlannedTensor& out);
Status second_half(const FormSizes&, const StoredWeight& source, PlannedTensor& out);
// Packed experts as they are, unpacked ones transposed (gpt-oss).
Status down_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out);

// Qwen3-Next: q, k, v and z of a key head lie together.
Status joined_qkv(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
Status joined_gate(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
// Qwen3.5: value heads of a key head lie together; GGUF has the first of each key head, then the second...
Status tiled_qkv(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
Status tiled_rows(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);      // a row or value_dim rows a head
Status tiled_columns(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);
Status tiled_minus_exp(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out);

}  // namespace forms
}  // namespace hotset
