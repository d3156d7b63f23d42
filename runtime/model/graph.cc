#include "runtime/model/graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace hotset {
namespace {

// "64 x 32 x 8", without the ones at the end.
std::string shape_text(const std::array<uint64_t, 4>& dims) {
  size_t shown = dims.size();
  while (shown > 1 && dims[shown - 1] == 1) --shown;
  std::string text = std::to_string(dims[0]);
  for (size_t i = 1; i < shown; ++i) text += " x " + std::to_string(dims[i]);
  return text;
}

constexpr Glu kPlain = {.f = Activation::kNone};

}  // namespace

Graph::Graph(const GgufFile& file, const ModelConfig& config, const DescribeOptions& options) : file_(file), options_(options) {
  spec_.config = config;
  spec_.embd = config.embedding;
  spec_.vocab = config.vocab_size;
}

void Graph::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void Graph::require(bool fine, const std::string& what) {
  if (!fine) fail(error(Code::kUnsupported, "%s with %s cannot be run", printable(config().architecture).c_str(), what.c_str()));
}

bool Graph::has_key(const char* suffix) const { return file_.find(key(suffix)) != nullptr; }
uint32_t Graph::number(const char* suffix, uint32_t absent) { return take(file_.get_u32_or(key(suffix), absent), absent); }
float Graph::real(const char* suffix, float absent) { return finite(suffix, take(file_.get_f32_or(key(suffix), absent), absent)); }
bool Graph::flag(const char* suffix, bool absent) { return take(file_.get_bool_or(key(suffix), absent), absent); }

std::vector<int64_t> Graph::numbers(const char* suffix) {
  const GgufValue* value = file_.find(key(suffix));
  if (value == nullptr) return {};
  if (value->is_array() && value->element_type() == GgufType::kBool) {
    const std::vector<bool> bools = take(value->to_bools(), {});
    return {bools.begin(), bools.end()};
  }
  return take(value->to_ints(), {});
}

std::vector<float> Graph::reals(const char* suffix) {
  std::vector<float> all = has_key(suffix) ? take(file_.get_floats(key(suffix)), {}) : std::vector<float>();
  for (const float number : all) finite(suffix, number);
  return all;
}

float Graph::finite(const char* suffix, float number) {
  if (!std::isfinite(number)) fail(error(Code::kCorrupt, "key '%s' is not a finite number", printable(key(suffix)).c_str()));
  return number;
}

float Graph::layer_real(const char* suffix, uint32_t layer, float absent) {
  const GgufValue* value = file_.find(key(suffix));
  if (value == nullptr || !value->is_array()) return real(suffix, absent);
  const std::vector<float> all = reals(suffix);
  if (layer < all.size()) return all[layer];
  fail(error(Code::kCorrupt, "key '%s' lists %zu layers, the model has more", printable(key(suffix)).c_str(), all.size()));
  return absent;
}

uint32_t Graph::layer_number(const char* suffix, uint32_t layer, uint32_t absent) {
  const GgufValue* value = file_.find(key(suffix));
  if (value == nullptr || !value->is_array()) return number(suffix, absent);
  const std::vector<int64_t> all = numbers(suffix);
  if (layer < all.size() && all[layer] >= 0 && all[layer] <= std::numeric_limits<uint32_t>::max()) return static_cast<uint32_t>(all[layer]);
  fail(error(Code::kCorrupt, "key '%s' has no fit number for layer %u", printable(key(suffix)).c_str(), layer));
  return absent;
}

void Graph::begin_layer(uint32_t layer) { layer_ = layer; }
void Graph::end_layers() { layer_ = Value::kNone; }

std::string Graph::name(const std::string& part) const {
  return layer_ == Value::kNone ? part : "blk." + std::to_string(layer_) + "." + part;
}

bool Graph::has(const std::string& part) const { return tensor(part) != nullptr; }
const TensorInfo* Graph::tensor(const std::string& part) const { return file_.find_tensor(name(part)); }

const TensorInfo* Graph::find(const std::string& part, std::initializer_list<uint64_t> dims, bool whole_numbers) {
  const TensorInfo* found = tensor(part);
  need(part);
  if (found == nullptr) return nullptr;
  std::array<uint64_t, 4> wanted = {1, 1, 1, 1};
  std::copy(dims.begin(), dims.end(), wanted.begin());
  if (found->dims == wanted) {
    const Status type = found->check_type();
    if (type.ok() && (found->type == BlockType::kI32) == whole_numbers) return found;
    fail(type.ok() ? error(Code::kUnsupported, "the tensor '%s' is %s, which cannot be run", name(part).c_str(), block_type_name(found->type)) : type);
    return nullptr;
  }
  fail(error(Code::kCorrupt, "the tensor '%s' is %s, the metadata wants %s", name(part).c_str(), shape_text(found->dims).c_str(),
             shape_text(wanted).c_str()));
  return nullptr;
}

void Graph::need(const std::string& part) {
  if (!has(part)) fail(error(Code::kCorrupt, "the tensor '%s' is missing", name(part).c_str()));
}

const TensorInfo* Graph::vector(const std::string& part, uint32_t size) {
  const TensorInfo* found = find(part, {size});
  if (found != nullptr && found->type != BlockType::kF32) {
    fail(error(Code::kUnsupported, "the tensor '%s' is %s, expected F32", name(part).c_str(), block_type_name(found->type)));
  }
  return use(found);
}

const TensorInfo* Graph::vector_if(const std::string& part, uint32_t size) { return has(part) ? vector(part, size) : nullptr; }

MatrixSpec Graph::matrix(const std::string& part, uint32_t rows, uint32_t cols) {
  return {use(find(part, {cols, rows})), 0, rows, cols};
}

MatrixSpec Graph::matrices(const std::string& part, uint32_t heads, uint32_t rows, uint32_t cols) {
  return {use(find(part, {cols, rows, heads})), 0, rows * heads, cols};
}

const TensorInfo* Graph::stack(const std::string& part, uint32_t experts, uint32_t rows, uint32_t cols) {
  return rows == 0 ? find(part, {cols, experts}) : find(part, {cols, rows, experts});
}

const TensorInfo* Graph::table(const std::string& part, uint32_t rows, uint32_t cols) { return find(part, {cols, rows}, true); }

std::vector<float> Graph::floats(const TensorInfo* tensor) {
  if (tensor == nullptr) return {};
  Status read = tensor->check_type();
  std::vector<float> out(read.ok() ? tensor->elements() : 0);
  std::vector<std::byte> bytes(tensor->size_bytes);
  if (read.ok()) read = file_.read(*tensor, 0, bytes);
  if (read.ok()) read = dequantize(tensor->type, bytes, out);
  if (!read.ok()) fail(read);
  return out;
}

const TensorInfo* Graph::use(const TensorInfo* tensor) {
  if (tensor != nullptr) spec_.tensors.push_back(tensor);
  return tensor;
}

Value Graph::value(uint32_t width) {
  spec_.values.push_back({width});
  return {static_cast<uint32_t>(spec_.values.size() - 1), 0, width};
}

Value Graph::mask(uint32_t heads, uint32_t every) {
  spec_.values.push_back({heads, 32 * every});
  return {static_cast<uint32_t>(spec_.values.size() - 1), 0, heads};
}

Value Graph::whole(const Value& x) {
  if (!x.exists() || (x.first == 0 && x.width == spec_.values[x.id].width)) return x;
  const Value out = value(x.width);
  copy(x, out);
  return out;
}

StateId Graph::cache(uint32_t width, uint32_t every) {
  spec_.states.push_back({StateKind::kCache, width, every});
  return static_cast<StateId>(spec_.states.size() - 1);
}

StateId Graph::fixed_state(uint32_t floats) {
  spec_.states.push_back({StateKind::kFixed, floats, 1});
  spec_.recurrent = true;
  return static_cast<StateId>(spec_.states.size() - 1);
}

uint32_t Graph::rope_table(const RopeSpec& rope) {
  const auto found = std::find(spec_.ropes.begin(), spec_.ropes.end(), rope);
  const uint32_t index = static_cast<uint32_t>(found - spec_.ropes.begin());
  if (found == spec_.ropes.end()) spec_.ropes.push_back(rope);
  return index;
}

uint32_t Graph::position_scale(const PositionScale& scale) {
  const auto found = std::find(spec_.position_scales.begin(), spec_.position_scales.end(), scale);
  const uint32_t index = static_cast<uint32_t>(found - spec_.position_scales.begin());
  if (found == spec_.position_scales.end()) spec_.position_scales.push_back(scale);
  return index;
}

uint32_t Graph::constant(std::vector<float> values) {
  const auto found = std::find(spec_.constants.begin(), spec_.constants.end(), values);
  const uint32_t index = static_cast<uint32_t>(found - spec_.constants.begin());
  if (found == spec_.constants.end()) spec_.constants.push_back(std::move(values));
  return index;
}

Value Graph::embed() {
  const Value out = value(spec_.embd);
  push(EmbedStep{matrix("token_embd.weight", spec_.vocab, spec_.embd), out});
  return out;
}

Value Graph::norm(const Value& x, const std::string& part) {
  NormShape shape;
  shape.kind = config().rms_norm ? NormKind::kRms : NormKind::kLayer;
  shape.cols = x.width;
  shape.eps = config().norm_epsilon;
  const TensorInfo* weight = vector(part + ".weight", x.width);
  return norm(x, shape, weight, vector_if(part + ".bias", x.width));
}

Value Graph::norm(const Value& x, const NormShape& shape, const TensorInfo* weight, const TensorInfo* bias) {
  const Value out = value(x.width);
  norm_into(x, shape, weight, bias, out);
  return out;
}

void Graph::norm_into(const Value& x, const NormShape& shape, const TensorInfo* weight, const TensorInfo* bias, const Value& out) {
  push(NormStep{shape, x, weight, bias, out});
}

Value Graph::multiply(const Value& x, const MatrixSpec& matrix) {
  const Value out = value(matrix.rows);
  // Products by head take rows of any width, those of whole values only groups of 32.
  constexpr uint32_t kRowGroup = 32;
  if (matrix.cols % kRowGroup != 0) heads_into({.heads = 1, .rows = matrix.rows, .cols = matrix.cols}, matrix, x, out);
  else push(MatmulStep{{{matrix, out}}, whole(x), {}});
  return out;
}

void Graph::finish_linear(const std::string& part, const Value& out) {
  if (has(part + ".scale")) multiply_by(out, {.vector = vector(part + ".scale", 1), .period = 1});
  add_vector(out, vector_if(part + ".bias", out.width));
}

Value Graph::linear(const Value& x, const std::string& part, uint32_t rows) {
  const Value out = multiply(x, matrix(part + ".weight", rows, x.width));
  finish_linear(part, out);
  return out;
}

std::vector<Value> Graph::linear_each(const Value& x, std::initializer_list<std::pair<const char*, uint32_t>> parts) {
  MatmulStep step;
  step.x = whole(x);
  std::vector<Value> outs;
  for (const auto& [part, rows] : parts) {
    outs.push_back(value(rows));
    step.products.push_back({matrix(std::string(part) + ".weight", rows, x.width), outs.back()});
  }
  push(step);
  size_t next = 0;
  for (const auto& [part, rows] : parts) finish_linear(part, outs[next++]);
  return outs;
}

void Graph::linear_add(const Value& x, const std::string& part, const Value& out) {
  if (has(part + ".scale")) {
    add(linear(x, part, out.width), out);
    return;
  }
  push(MatmulStep{{{matrix(part + ".weight", out.width, x.width), out}}, whole(x), out});
  add_vector(out, vector_if(part + ".bias", out.width));
}

Value Graph::heads(const HeadsShape& shape, const MatrixSpec& matrix, const Value& x) {
  const Value out = value(shape.heads * shape.rows);
  heads_into(shape, matrix, x, out);
  return out;
}

void Graph::heads_into(const HeadsShape& shape, const MatrixSpec& matrix, const Value& x, const Value& out) {
  push(HeadsStep{shape, matrix, x, out});
}

Value Graph::activate(Activation f, const Value& x, float factor, float alpha) {
  const Value out = value(x.width);
  push(MapStep{.glu = {.f = f, .alpha = alpha}, .scale = factor, .a = {.value = x}, .b = {}, .c = {}, .out = out});
  return out;
}

Value Graph::glu(const Glu& glu, const Value& gate, const Value& up) {
  const Value out = value(gate.width);
  push(MapStep{.glu = glu, .a = {.value = gate}, .b = {.value = up}, .c = {}, .out = out});
  return out;
}

Value Graph::sum(const Value& a, const Value& b) {
  const Value out = value(a.width);
  push(MapStep{.glu = kPlain, .a = {.value = a}, .b = {}, .c = {.value = b}, .out = out});
  return out;
}

Value Graph::product(const Value& a, const Value& b) {
  const Value out = value(a.width);
  push(MapStep{.glu = kPlain, .a = {.value = a}, .b = {.value = b}, .c = {}, .out = out});
  return out;
}

Value Graph::scaled(const Value& x, float factor) { return activate(Activation::kNone, x, factor); }

void Graph::add(const Value& x, const Value& out) { push(MapStep{.glu = kPlain, .a = {.value = x}, .b = {}, .c = {.value = out}, .out = out}); }

void Graph::scale(const Value& x, float factor) {
  if (factor != 1) push(MapStep{.glu = kPlain, .scale = factor, .a = {.value = x}, .b = {}, .c = {}, .out = x});
}

void Graph::multiply_by(const Value& x, const MapOperand& factor) { push(MapStep{.glu = kPlain, .a = {.value = x}, .b = factor, .c = {}, .out = x}); }

void Graph::add_vector(const Value& x, const TensorInfo* bias) {
  if (bias != nullptr) push(MapStep{.glu = kPlain, .a = {.value = x}, .b = {}, .c = {.vector = bias}, .out = x});
}

void Graph::copy(const Value& x, const Value& out) { push(MapStep{.glu = kPlain, .a = {.value = x}, .b = {}, .c = {}, .out = out}); }

void Graph::fill_zero(const Value& out) { push(MapStep{.glu = kPlain, .a = {.constant = constant({0}), .period = 1}, .b = {}, .c = {}, .out = out}); }

void Graph::rope(const RopeShape& shape, const Value& x, uint32_t table) {
  if (shape.dim != 0) push(RopeStep{shape, x, table});
}

uint32_t Graph::push_moe(MoeSpec moe) {
  moe.model_layer = layer_ == Value::kNone ? 0 : layer_;
  for (const TensorInfo* vector : {moe.router.tensor, moe.logit_bias, moe.choice_bias, moe.expert_scales, moe.token_experts}) use(vector);
  spec_.moes.push_back(std::move(moe));
  const uint32_t index = static_cast<uint32_t>(spec_.moes.size() - 1);
  push(MoeStep{index});
  return index;
}

void Graph::begin_head(const Value& x) {
  end_layers();
  spec_.head_input = x;
  in_head_ = true;
}

Value Graph::output(const Value& x) {
  const char* part = has("output.weight") ? "output.weight" : "token_embd.weight";
  spec_.hidden = x;
  spec_.output_step = spec_.head.size();
  const Value logits = multiply(x, matrix(part, spec_.vocab, x.width));
  if (has("output.weight")) finish_linear("output", logits);
  spec_.logits = logits;
  return logits;
}

Result<ModelSpec> Graph::finish() && {
  if (!status_.ok()) return status_;
  HOTSET_CHECK(spec_.logits.exists() && spec_.head_input.exists());
  std::vector<const TensorInfo*> once;
  for (const TensorInfo* tensor : spec_.tensors) {
    if (std::find(once.begin(), once.end(), tensor) == once.end()) once.push_back(tensor);
  }
  spec_.tensors = std::move(once);
  return std::move(spec_);
}

}  // namespace hotset
