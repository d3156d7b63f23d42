// How operations become stages.
#include <algorithm>

#include "platform/bytes.h"
#include "platform/check.h"
#include "runtime/compute/cpu/record.h"

namespace hotset {

using cpu::Activations;
using cpu::bytes_of_row;
using cpu::kMostPieces;
using cpu::kProductsPerValue;
using cpu::pointer;

namespace {

constexpr uint32_t kBatchUnitRows = 64;

}  // namespace

void OpsCpu::embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n) {
  push(cpu::EmbedStage{table, pointer<const uint32_t>(tokens), pointer<float>(out), n}, n == 1 ? 0 : uint64_t{n} * table.cols);
}

void OpsCpu::rms_norm(const Tensor& x, uint64_t weight, const Tensor& out, uint32_t n, uint32_t cols, float eps) {
  push(cpu::NormStage{pointer<const float>(x), pointer<const float>(weight), pointer<float>(out), n, cols, eps}, n == 1 ? 0 : uint64_t{n} * cols);
}

Activations OpsCpu::prepare(BlockType type, uint64_t x, uint32_t n, uint32_t cols, uint64_t& offset, uint64_t addresses) {
  const bool as_is = cpu::same_activation(type, BlockType::kF32) && x % 64 == 0 && cols % 16 == 0;
  if (as_is) return {pointer<const float>(x), 0, uint64_t{cols} * sizeof(float)};
  const Activations made = {nullptr, offset, cpu::activation_bytes(type, cols)};
  offset += n * made.stride_bytes;
  shared_bytes_ = std::max(shared_bytes_, offset);
  push(cpu::PrepareStage{type, pointer<const float>(x), pointer<const uint64_t>(addresses), n, cols, made}, n == 1 ? 0 : uint64_t{n} * cols);
  return made;
}

void OpsCpu::multiply(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase, const Tensor* residual) {
  HOTSET_CHECK(!products.empty() && products.size() <= cpu::MultiplyStage::kMaxProducts && (residual == nullptr || products.size() == 1));
  cpu::MultiplyStage stage = {};
  stage.count = static_cast<uint32_t>(products.size());
  stage.n = n;
  stage.unit_rows = phase == Phase::kDecode ? cpu::kUnitRows : kBatchUnitRows;
  stage.token_block = std::min(n, cpu::MultiplyStage::kMaxTokenBlock);
  stage.residual = residual != nullptr ? pointer<const float>(*residual) : nullptr;
  uint64_t values = 0, offset = 0;
  for (uint32_t i = 0; i < stage.count; ++i) {
    const Weight& weight = products[i].weight;
    HOTSET_CHECK(weight.cols == products[0].weight.cols);
    stage.products[i] = {weight, bytes_of_row(weight.type, weight.cols), pointer<float>(products[i].out), {}};
    uint32_t same = 0;
    while (!cpu::same_activation(products[same].weight.type, weight.type)) ++same;
    stage.products[i].activations = same < i ? stage.products[same].activations : prepare(weight.type, x.address, n, weight.cols, offset);
    values += uint64_t{n} * weight.rows * weight.cols / kProductsPerValue;
  }
  push(stage, values, cpu::MultiplyStage::kOwnBytes);
}

void OpsCpu::matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual) {
  const MatrixProduct product = {w, out};
  multiply({&product, 1}, x, n, phase, residual);
}

void OpsCpu::matmul_each(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, Phase phase) {
  while (!products.empty()) {
    size_t count = 1;
    while (count < std::min<size_t>(products.size(), cpu::MultiplyStage::kMaxProducts) && products[count].weight.cols == products[0].weight.cols) ++count;
    multiply(products.first(count), x, n, phase, nullptr);
    products = products.subspan(count);
  }
}

void OpsCpu::store_kv(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, uint64_t q_norm, uint64_t k_norm,
                      uint64_t rope, const KvCacheView& cache, uint32_t n) {
  const cpu::StoreKvStage stage = {shape,
                                   pointer<float>(q),
                                   pointer<const float>(k),
                                   pointer<const float>(v),
                                   pointer<const float>(q_norm),
                                   pointer<const float>(k_norm),
                                   pointer<const float>(rope),
                                   cache,
                                   n};
  const uint64_t values = uint64_t{n} * (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  push(stage, n == 1 ? 0 : values, stage.own_bytes());
}

void OpsCpu::attention(const AttentionShape& shape, const Tensor& q, const KvCacheView& cache, const Tensor& out, const Tensor&, uint32_t n,
                       Phase phase, const AttentionInputs& inputs) {
  HOTSET_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 && n > 0);
  HOTSET_CHECK(shape.beside_every == 0 || (shape.kv_heads == 1 && inputs.beside != 0 && shape.key_stride == shape.value_stride));
  const cpu::AttendShape attend = {shape, inputs, pointer<const float>(q), cache, pointer<float>(out), 0, n, phase == Phase::kDecode};
  shared_bytes_ = std::max(shared_bytes_, attend.parts_bytes());
  const cpu::AttendStage stage = {attend};
  const uint64_t values = uint64_t{n} * shape.heads * (shape.head_dim + shape.value_dim) * shape.context_tokens / kProductsPerValue;
  push(stage, values, stage.own_bytes());
  if (attend.most_splits() > 1 && attend.split) push(cpu::MergeStage{attend}, values);
}

void OpsCpu::route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table,
                   const Tensor* addresses, uint32_t stop_value, const RouteInputs& inputs) {
  HOTSET_CHECK(can_route(shape) && (inputs.tokens == 0) == (inputs.token_experts == 0));
  HOTSET_CHECK((table == 0) == (addresses == nullptr) && (table == 0 || n == 1));
  const cpu::RouteStage stage = {shape,
                                 pointer<const float>(scores),
                                 pointer<uint32_t>(ids),
                                 pointer<float>(weights),
                                 pointer<const uint64_t>(table),
                                 addresses != nullptr ? pointer<uint64_t>(*addresses) : nullptr,
                                 pointer<const float>(inputs.logit_bias),
                                 pointer<const float>(inputs.choice_bias),
                                 pointer<const float>(inputs.expert_scales),
                                 pointer<const uint32_t>(inputs.tokens),
                                 pointer<const uint32_t>(inputs.token_experts),
                                 n,
                                 stop_value};
  // What may set Control.stop is never shared out: OpsCpu::walk.
  push(stage, n == 1 ? 0 : uint64_t{n} * shape.experts, stage.own_bytes());
}

void OpsCpu::expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& x, const Tensor& hidden) {
  HOTSET_CHECK(shape.used <= shaders::kMaxTopK);
  cpu::ExpertUpStage stage = {shape,
                              pointer<const uint64_t>(addresses),
                              pointer<const float>(weights),
                              pointer<float>(hidden),
                              bytes_of_row(shape.gate_type, shape.embd),
                              bytes_of_row(shape.up_type, shape.embd),
                              {},
                              {}};
  uint64_t offset = 0;
  if (shape.has_gate) stage.for_gate = prepare(shape.gate_type, x.address, 1, shape.embd, offset);
  const bool same = shape.has_gate && cpu::same_activation(shape.gate_type, shape.up_type);
  stage.for_up = same ? stage.for_gate : prepare(shape.up_type, x.address, 1, shape.embd, offset);
  push(stage, uint64_t{2} * shape.used * shape.ff * shape.embd / kProductsPerValue, cpu::ExpertUpStage::kOwnBytes);
}

void OpsCpu::expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out) {
  uint64_t offset = 0;
  const Activations activations = prepare(shape.down_type, hidden.address, shape.used, shape.ff, offset, addresses.address);
  const cpu::ExpertDownStage stage = {shape,
                                      pointer<const uint64_t>(addresses),
                                      pointer<const float>(weights),
                                      pointer<float>(out),
                                      bytes_of_row(shape.down_type, shape.ff),
                                      activations};
  push(stage, uint64_t{shape.used} * shape.ff * shape.embd / kProductsPerValue, cpu::ExpertDownStage::kOwnBytes);
}

void OpsCpu::expert_batch(bool goes_up, const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights,
                          const Tensor& x, const Tensor& out) {
  if (tile_count == 0) return;
  cpu::ExpertBatchStage stage = {goes_up,
                                 shape,
                                 pointer<const shaders::ExpertTile>(tiles),
                                 pointer<const uint32_t>(pairs),
                                 pointer<const float>(weights),
                                 pointer<const float>(x),
                                 pointer<float>(out),
                                 tile_count,
                                 1};
  const uint32_t wanted = static_cast<uint32_t>(kMostPieces) * pool_.threads() * cpu::ExpertBatchStage::kTogether;
  const uint32_t runs = (stage.rows() + cpu::ExpertBatchStage::kRows - 1) / cpu::ExpertBatchStage::kRows;
  if (pool_.threads() > 1) stage.shares = std::clamp((wanted + tile_count - 1) / tile_count, 1u, runs);
  push(stage, uint64_t{tile_count} * shape.embd * shape.ff, stage.own_bytes());
}

void OpsCpu::expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights, const Tensor& x,
                             const Tensor& hidden) {
  expert_batch(true, shape, tiles, tile_count, pairs, weights, x, hidden);
}

void OpsCpu::expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden,
                               const Tensor& parts) {
  expert_batch(false, shape, tiles, tile_count, pairs, {}, hidden, parts);
}

void OpsCpu::combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) {
  const cpu::CombineStage stage = {shape, pointer<const float>(weights), pointer<const float>(parts), pointer<float>(out), n};
  push(stage, uint64_t{n} * shape.used * shape.embd, stage.own_bytes());
}

void OpsCpu::add(const Tensor& x, const Tensor& out, uint32_t count) {
  push(cpu::AddStage{pointer<const float>(x), pointer<float>(out), count}, count);
}

void OpsCpu::export_stopped(const Tensor& x, const Tensor& out, uint32_t count, uint32_t stop_value) {
  push(cpu::ExportStage{pointer<const float>(x), pointer<float>(out), count, stop_value}, 0);
}

}  // namespace hotset
