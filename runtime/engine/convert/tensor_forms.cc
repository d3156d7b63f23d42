#include "runtime/engine/convert/tensor_forms.h"

#include <algorithm>

#include "runtime/format/gguf_value.h"

namespace hotset {
namespace {

Status unsuited(const StoredWeight& source) {
  std::string shape;
  for (const uint64_t dim : source.shape()) shape += (shape.empty() ? "" : " x ") + std::to_string(dim);
  return error(Code::kCorrupt, "the weights '%s' of the shape %s do not suit the config", printable(source.name()).c_str(), shape.c_str());
}

std::vector<uint64_t> reversed(const std::vector<uint64_t>& shape) {
  if (shape.empty()) return {1};
  return {shape.rbegin(), shape.rend()};
}

void set_dims(PlannedTensor& out, std::vector<uint64_t> dims) {
  if (out.dims.empty()) out.dims = std::move(dims);
}

Status add_all(const StoredWeight& source, const RowOrder& order, PlannedTensor& out) {
  out.pieces.push_back({source, source.rows(), order});
  return ok_status();
}

Status pairs_of_heads(const StoredWeight& source, uint64_t heads, PlannedTensor& out) {
  if (heads == 0 || source.rows() % (2 * heads) != 0 || source.shape().size() > 2) return unsuited(source);
  const uint64_t dim = source.rows() / heads;
  set_dims(out, reversed(source.shape()));
  return add_all(source, {.a_step = dim, .b_count = dim / 2, .b_step = 1, .c_count = 2, .c_step = dim / 2}, out);
}

bool is_packed(const StoredWeight& source) { return source.form() == StoredWeight::Form::kMxfp4 || source.form() == StoredWeight::Form::kInt4; }

// Every second row, or of transposed experts every second column.
Status alternating(const StoredWeight& weight, uint64_t first, PlannedTensor& out) {
  const auto& shape = weight.shape();
  if (shape.size() == 2 && !is_packed(weight) && shape[1] % 2 == 0) {  // [experts][2 ff]: biases
    set_dims(out, {shape[1] / 2, shape[0]});
    const StoredWeight elements = weight.as_elements();
    out.pieces.push_back({elements, elements.rows() / 2, {.first = first, .a_step = 2}});
    return ok_status();
  }
  if (shape.size() != 3) return unsuited(weight);
  const uint64_t both = is_packed(weight) ? shape[1] : shape[2];
  if (both % 2 != 0) return unsuited(weight);
  if (is_packed(weight)) {
    set_dims(out, {shape[2], both / 2, shape[0]});
    out.pieces.push_back({weight, weight.rows() / 2, {.first = first, .a_step = 2}});
    return ok_status();
  }
  set_dims(out, {shape[1], both / 2, shape[0]});
  for (uint64_t e = 0; e < shape[0]; ++e) out.pieces.push_back({weight, both / 2, {.first = first, .a_step = 2}, shape[1], e * shape[1]});
  return ok_status();
}

// A half of each expert's rows.
Status half_of(const StoredWeight& source, bool second, PlannedTensor& out) {
  const auto& shape = source.shape();
  if (shape.size() != 3 || shape[1] % 2 != 0) return unsuited(source);
  const uint64_t half = shape[1] / 2;
  set_dims(out, {shape[2], half, shape[0]});
  out.pieces.push_back({source, shape[0] * half, {.first = second ? half : 0, .a_step = shape[1], .b_count = half, .b_step = 1}});
  return ok_status();
}

struct Linear {
  uint64_t key_heads;
  uint64_t ratio;  // value heads of a key head
  uint64_t key_dim;
  uint64_t value_dim;
  uint64_t keys() const { return key_heads * key_dim; }
  uint64_t values() const { return key_heads * ratio * value_dim; }
  uint64_t joined() const { return 2 * key_dim + 2 * ratio * value_dim; }
};

Result<Linear> linear_of(const FormSizes& s, const StoredWeight& source) {
  const bool known = s.linear_key_heads != 0 && s.linear_value_heads % s.linear_key_heads == 0 && s.linear_value_heads != 0 && s.linear_key_dim != 0 &&
                     s.linear_value_dim != 0;
  if (!known) return unsuited(source);
  return Linear{s.linear_key_heads, s.linear_value_heads / s.linear_key_heads, s.linear_key_dim, s.linear_value_dim};
}

// Value head h of the tensor, `rows` rows each, is the ratio * (h % key_heads) + h / key_heads one of the source.
RowOrder tiled_order(const Linear& l, uint64_t first, uint64_t rows) {
  return {.first = first, .a_step = rows, .b_count = l.key_heads, .b_step = rows * l.ratio, .c_count = rows, .c_step = 1};
}

Status tile_rows(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  HOTSET_ASSIGN(const Linear l, linear_of(s, source));
  const uint64_t heads = l.key_heads * l.ratio;
  if (source.rows() != heads && source.rows() != l.values()) return unsuited(source);
  set_dims(out, reversed(source.shape()));
  return add_all(source, tiled_order(l, 0, source.rows() / heads), out);
}

// q, k and v rows of a convolution or a projection.
Status tile_mixed(const Linear& l, const StoredWeight& source, PlannedTensor& out) {
  if (source.rows() != 2 * l.keys() + l.values()) return unsuited(source);
  out.pieces.push_back({source, 2 * l.keys(), {}});
  out.pieces.push_back({source, l.values(), tiled_order(l, 2 * l.keys(), l.value_dim)});
  return ok_status();
}

}  // namespace

FormSizes form_sizes(const HfConfig& config) {
  const auto count = [&](const char* name) -> uint64_t { return config.count(name).value_or(0); };
  FormSizes sizes;
  sizes.heads = count("num_attention_heads");
  sizes.kv_heads = config.count("num_key_value_heads").value_or(static_cast<uint32_t>(sizes.heads));
  sizes.plain_dim = count("qk_nope_head_dim");
  sizes.value_dim = count("v_head_dim");
  sizes.linear_key_heads = count("linear_num_key_heads");
  sizes.linear_value_heads = count("linear_num_value_heads");
  sizes.linear_key_dim = count("linear_key_head_dim");
  sizes.linear_value_dim = count("linear_value_head_dim");
  return sizes;
}

namespace forms {

Status as_is(const FormSizes&, const StoredWeight& source, PlannedTensor& out) {
  set_dims(out, reversed(source.shape()));
  return add_all(source, {}, out);
}

Status vector(const FormSizes&, const StoredWeight& source, PlannedTensor& out) {
  if (is_packed(source)) return unsuited(source);
  const StoredWeight elements = source.as_elements();
  set_dims(out, {elements.rows()});
  return add_all(elements, {}, out);
}

Status matrix(const FormSizes&, const StoredWeight& source, PlannedTensor& out) {
  set_dims(out, {source.cols(), source.rows()});
  return add_all(source, {}, out);
}

Status plus_one(const FormSizes&, const StoredWeight& source, PlannedTensor& out) {
  out.change = Change::kAddOne;
  set_dims(out, reversed(source.shape()));
  return add_all(source, {}, out);
}

Status minus_exp(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out) {
  out.change = Change::kMinusExp;
  return vector(sizes, source, out);
}

Status query_pairs(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out) { return pairs_of_heads(source, sizes.heads, out); }
Status key_pairs(const FormSizes& sizes, const StoredWeight& source, PlannedTensor& out) { return pairs_of_heads(source, sizes.kv_heads, out); }

Status latent_keys(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  const uint64_t head_rows = s.plain_dim + s.value_dim;
  if (s.plain_dim == 0 || s.value_dim == 0 || s.heads == 0 || source.shape().size() != 2 || source.rows() != s.heads * head_rows) return unsuited(source);
  set_dims(out, {s.plain_dim, source.cols(), s.heads});
  for (uint64_t head = 0; head < s.heads; ++head) out.pieces.push_back({source, source.cols(), {}, s.plain_dim, head * head_rows});
  return ok_status();
}

Status latent_values(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  const uint64_t head_rows = s.plain_dim + s.value_dim;
  if (s.plain_dim == 0 || s.value_dim == 0 || s.heads == 0 || source.shape().size() != 2 || source.rows() != s.heads * head_rows) return unsuited(source);
  set_dims(out, {source.cols(), s.value_dim, s.heads});
  out.pieces.push_back({source, s.heads * s.value_dim, {.first = s.plain_dim, .a_step = head_rows, .b_count = s.value_dim, .b_step = 1}});
  return ok_status();
}

Status even_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out) { return alternating(source, 0, out); }
Status odd_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out) { return alternating(source, 1, out); }
Status first_half(const FormSizes&, const StoredWeight& source, PlannedTensor& out) { return half_of(source, false, out); }
Status second_half(const FormSizes&, const StoredWeight& source, PlannedTensor& out) { return half_of(source, true, out); }

Status down_rows(const FormSizes&, const StoredWeight& source, PlannedTensor& out) {
  const auto& shape = source.shape();
  if (shape.size() != 3) return unsuited(source);
  if (is_packed(source)) {
    set_dims(out, reversed(shape));
    return add_all(source, {}, out);
  }
  set_dims(out, {shape[1], shape[2], shape[0]});
  for (uint64_t e = 0; e < shape[0]; ++e) out.pieces.push_back({source, shape[2], {}, shape[1], e * shape[1]});
  return ok_status();
}

Status joined_qkv(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  HOTSET_ASSIGN(const Linear l, linear_of(s, source));
  if (source.rows() != l.key_heads * l.joined()) return unsuited(source);
  set_dims(out, {source.cols(), 2 * l.keys() + l.values()});
  const uint64_t wide = l.ratio * l.value_dim;
  out.pieces.push_back({source, l.keys(), {.first = 0, .a_step = l.joined(), .b_count = l.key_dim, .b_step = 1}});
  out.pieces.push_back({source, l.keys(), {.first = l.key_dim, .a_step = l.joined(), .b_count = l.key_dim, .b_step = 1}});
  out.pieces.push_back({source, l.values(), {.first = 2 * l.key_dim, .a_step = l.joined(), .b_count = wide, .b_step = 1}});
  return ok_status();
}

Status joined_gate(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  HOTSET_ASSIGN(const Linear l, linear_of(s, source));
  if (source.rows() != l.key_heads * l.joined()) return unsuited(source);
  const uint64_t wide = l.ratio * l.value_dim;
  set_dims(out, {source.cols(), l.values()});
  out.pieces.push_back({source, l.values(), {.first = 2 * l.key_dim + wide, .a_step = l.joined(), .b_count = wide, .b_step = 1}});
  return ok_status();
}

Status tiled_qkv(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  HOTSET_ASSIGN(const Linear l, linear_of(s, source));
  set_dims(out, {source.cols(), source.rows()});
  return tile_mixed(l, source, out);
}

Status tiled_rows(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) { return tile_rows(s, source, out); }

Status tiled_columns(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  HOTSET_ASSIGN(const Linear l, linear_of(s, source));
  if (source.cols() != l.values()) return unsuited(source);
  set_dims(out, reversed(source.shape()));
  if (l.ratio > 1) {
    out.column_group = l.value_dim;
    out.columns = tiled_order(l, 0, 1);
  }
  return add_all(source, {}, out);
}

Status tiled_minus_exp(const FormSizes& s, const StoredWeight& source, PlannedTensor& out) {
  out.change = Change::kMinusExp;
  return tile_rows(s, source, out);
}

}  // namespace forms
}  // namespace hotset
