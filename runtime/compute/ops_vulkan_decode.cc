// Operations of the decode phase, and those that both phases share.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/expert_form.h"
#include "runtime/compute/glu_numbers.h"
#include "runtime/compute/ops_vulkan.h"
#include "runtime/compute/tuning.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

const WeightShader kEmbed = {"embed", shaders::embed, shaders::embed_all};
const WeightShader kMatvec = {"matvec", shaders::matvec, shaders::matvec_all};
const WeightShader kExpertUp = {"expert_up", shaders::expert_up, shaders::expert_up_all};
const WeightShader kExpertDown = {"expert_down", shaders::expert_down, shaders::expert_down_all};
template <class Push>
constexpr bool leaves_room = sizeof(Push) <= shaders::kBooksPushOffset;
static_assert(leaves_room<shaders::EmbedPush> && leaves_room<shaders::MatvecPush> && leaves_room<shaders::ExpertUpPush> &&
              leaves_room<shaders::ExpertDownPush> && leaves_room<shaders::MatmulPush> && leaves_room<shaders::ExpertBatchPush>);

constexpr uint32_t groups_of(uint32_t count, uint32_t size) { return (count + size - 1) / size; }

uint32_t row_bytes_of(BlockType type, uint32_t cols) {
  const auto bytes = row_bytes(type, cols);
  HOTSET_CHECK(bytes.ok() && *bytes <= UINT32_MAX);
  return static_cast<uint32_t>(*bytes);
}

Tensor bytes_of(const Weight& w) { return {w.address, uint64_t{w.rows} * row_bytes_of(w.type, w.cols)}; }

Tensor floats(const Tensor& tensor, uint64_t count) { return {tensor.address, count * sizeof(float)}; }

std::array<uint32_t, 12> constants_of(const tuning::Matvec& tuned, BlockType type, BlockType second = BlockType::kF32) {
  return {tuned.lanes,      tuned.workgroup, tuned.subgroup,              tuned.step_words,
          tuned.wide,       tuned.rows,      static_cast<uint32_t>(type), static_cast<uint32_t>(second)};
}

// The bits of kRoute...
uint32_t form_of(const RouteInputs& inputs) {
  return (inputs.logit_bias == 0 ? 0 : shaders::kRouteLogitBias) | (inputs.choice_bias == 0 ? 0 : shaders::kRouteChoiceBias) |
         (inputs.expert_scales == 0 ? 0 : shaders::kRouteExpertScales) | (inputs.token_experts == 0 ? 0 : shaders::kRouteTokenTable);
}

}  // namespace

void OpsVulkan::embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n) {
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const Program* made = weight_program(kEmbed, {table.type}, {static_cast<uint32_t>(table.type), workgroup});
  if (!made) return;
  order({bytes_of(table), {tokens, n * sizeof(uint32_t)}}, {floats(out, uint64_t{n} * table.cols)});
  const shaders::EmbedPush push = {control_, table.address, tokens, out.address, table.cols, row_bytes_of(table.type, table.cols)};
  dispatch(*made, push, groups_of(groups_of(table.cols, 32), workgroup), n);
}

void OpsVulkan::rms_norm(const Tensor& x, uint64_t weight, const Tensor& out, uint32_t n, uint32_t cols, float eps) {
  const uint32_t workgroup = tuning::row_workgroup(device_.limits(), cols);
  const Program* made = program({"rms_norm", shaders::rms_norm, {workgroup, device_.limits().subgroup_size}});
  if (!made) return;
  const uint64_t count = uint64_t{n} * cols;
  order({floats(x, count), {weight, cols * sizeof(float)}}, {floats(out, count)});
  const shaders::RmsNormPush push = {control_, x.address, weight, out.address, cols, eps};
  dispatch(*made, push, n);
}

void OpsVulkan::matmul_decode(std::span<const MatrixProduct> products, const Tensor& x, uint32_t n, const Tensor* residual) {
  HOTSET_CHECK(!products.empty() && products.size() <= shaders::kMaxProducts && (!residual || products.size() == 1));
  const Weight& first = products[0].weight;
  const tuning::Matvec tuned = tuning::matvec(device_.limits(), first.rows, first.cols);
  auto constants = constants_of(tuned, first.type);
  constants[7] = static_cast<uint32_t>(products.size());
  const Program* made = weight_program(kMatvec, {first.type}, constants);
  if (!made) return;
  const Tensor added = residual ? floats(*residual, uint64_t{n} * first.rows) : Tensor{};
  shaders::MatvecPush push = {control_, x.address, added.address, {}, {}, {}, first.cols, row_bytes_of(first.type, first.cols)};
  std::array<Tensor, shaders::kMaxProducts> matrices = {};
  std::array<Tensor, shaders::kMaxProducts> outs = {};
  uint32_t groups = 0;
  for (size_t i = 0; i < products.size(); ++i) {
    const Weight& w = products[i].weight;
    HOTSET_CHECK(w.type == first.type && w.cols == first.cols);
    push.weights[i] = w.address;
    push.out_[i] = products[i].out.address;
    push.rows[i] = w.rows;
    groups += groups_of(w.rows, tuned.rows_per_workgroup());
    matrices[i] = bytes_of(w);
    outs[i] = floats(products[i].out, uint64_t{n} * w.rows);
  }
  order({matrices[0], matrices[1], matrices[2], floats(x, uint64_t{n} * first.cols), added}, {outs[0], outs[1], outs[2]});
  // A vocabulary may need more workgroups than some devices take in x: the rest goes to z.
  const uint32_t layers = groups_of(groups, device_.limits().max_workgroups_x);
  dispatch(*made, push, groups_of(groups, layers), n, layers);
}

void OpsVulkan::route(const RouteShape& shape, const Tensor& scores, const Tensor& ids, const Tensor& weights, uint32_t n, uint64_t table,
                const Tensor* addresses, uint32_t stop_value, const RouteInputs& inputs) {
  HOTSET_CHECK(can_route(shape) && (inputs.tokens == 0) == (inputs.token_experts == 0));
  HOTSET_CHECK((table == 0) == (addresses == nullptr) && (table == 0 || n == 1));
  const Program* made = program({"route", shaders::route, {device_.limits().subgroup_size, static_cast<uint32_t>(shape.gating), form_of(inputs),
                                                           shape.groups, shape.groups_used, shape.id_divisor}});
  if (!made) return;
  const uint64_t chosen = uint64_t{n} * shape.used;
  const Tensor found = addresses ? Tensor{addresses->address, chosen * sizeof(uint64_t)} : Tensor{};
  order({floats(scores, uint64_t{n} * shape.experts), {table, table ? shape.experts * sizeof(uint64_t) : 0}, {inputs.tokens, n * sizeof(uint32_t)}},
        {floats(ids, chosen), floats(weights, chosen), found});
  const shaders::RoutePush push = {control_,          scores.address,     ids.address,          weights.address, table,
                                   found.address,     inputs.logit_bias,  inputs.choice_bias,   inputs.expert_scales,
                                   inputs.tokens,     inputs.token_experts, shape.experts,      shape.used,
                                   shape.renormalise ? 1u : 0u, shape.scale, stop_value,        shape.least_sum};
  dispatch(*made, push, n);
}

void OpsVulkan::expert_up(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& x, const Tensor& hidden) {
  tuning::Matvec tuned = tuning::matvec(device_.limits(), shape.ff, shape.embd);
  tuned.rows = std::max(1u, tuned.rows / 2);  // of gate and of up each
  auto constants = constants_of(tuned, shape.gate_type, shape.up_type);
  constants[8] = expert_activation(shape);
  constants[9] = expert_up_form(shape);
  const Program* made = weight_program(kExpertUp, {shape.gate_type, shape.up_type}, constants);
  if (!made) return;
  const Tensor factors = shape.weight_on_input ? floats(weights, shape.used) : Tensor{};
  order({{addresses.address, shape.used * sizeof(uint64_t)}, floats(x, shape.embd), factors}, {floats(hidden, uint64_t{shape.used} * shape.ff)});
  const shaders::ExpertUpPush push = {control_,
                                      addresses.address,
                                      x.address,
                                      hidden.address,
                                      factors.address,
                                      shape.embd,
                                      shape.ff,
                                      shape.gate_offset,
                                      shape.up_offset,
                                      row_bytes_of(shape.gate_type, shape.embd),
                                      row_bytes_of(shape.up_type, shape.embd),
                                      shape.gate_bias_offset,
                                      shape.up_bias_offset,
                                      glu_numbers(shape.glu)};
  dispatch(*made, push, groups_of(shape.ff, tuned.rows_per_workgroup()), shape.used);
}

void OpsVulkan::expert_down(const ExpertShape& shape, const Tensor& addresses, const Tensor& weights, const Tensor& hidden, const Tensor& out) {
  const tuning::Matvec tuned = tuning::matvec(device_.limits(), shape.embd, shape.ff);
  auto constants = constants_of(tuned, shape.down_type);
  constants[9] = expert_down_form(shape);
  const Program* made = weight_program(kExpertDown, {shape.down_type}, constants);
  if (!made) return;
  const Tensor sum = floats(out, shape.embd);
  order({{addresses.address, shape.used * sizeof(uint64_t)}, floats(weights, shape.used), floats(hidden, uint64_t{shape.used} * shape.ff), sum},
        {sum});
  const shaders::ExpertDownPush push = {control_,   addresses.address, weights.address,   hidden.address,
                                        out.address, shape.embd,       shape.ff,          shape.used,
                                        shape.down_offset, row_bytes_of(shape.down_type, shape.ff), shape.down_bias_offset};
  dispatch(*made, push, groups_of(shape.embd, tuned.rows_per_workgroup()));
}

void OpsVulkan::add(const Tensor& x, const Tensor& out, uint32_t count) {
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const Program* made = program({"add", shaders::add, {workgroup}});
  if (!made) return;
  order({floats(x, count), floats(out, count)}, {floats(out, count)});
  const shaders::AddPush push = {control_, x.address, out.address, count};
  dispatch(*made, push, groups_of(count, workgroup));
}

void OpsVulkan::export_stopped(const Tensor& x, const Tensor& out, uint32_t count, uint32_t stop_value) {
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const Program* made = program({"export_stopped", shaders::export_stopped, {workgroup}});
  if (!made) return;
  // After the operation that may stop, whose writes it does not read.
  recorder_.barrier(WorkKind::kShader, WorkKind::kShader);
  order({floats(x, count)}, {floats(out, count)});
  const shaders::ExportPush push = {control_, x.address, out.address, count, stop_value};
  dispatch(*made, push, groups_of(count, workgroup));
}

}  // namespace hotset
