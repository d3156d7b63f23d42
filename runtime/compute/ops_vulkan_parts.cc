// OpsVulkan: the parts that families are composed of: norms, maps, rotation, rows of caches, products by head.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/glu_numbers.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

const WeightShader kHeads = {"matmul_heads", shaders::matmul_heads, shaders::matmul_heads_all};
const WeightShader kHeadsTransposed = {"matmul_heads_transposed", shaders::matmul_heads_transposed, shaders::matmul_heads_transposed_all};
static_assert(sizeof(shaders::MatmulHeadsPush) <= shaders::kBooksPushOffset);

// Lanes of a GPU that share the sums of a transposed product: heads and outputs alone are too few to fill it in decode.
constexpr uint32_t kTransposedShare = 8;

constexpr uint32_t groups_of(uint32_t count, uint32_t size) { return (count + size - 1) / size; }

// From the first float of the first row to the last one used, `cols` into the last row.
Tensor range_of(const Rows& rows, uint32_t n, uint64_t cols) {
  return {rows.address, (uint64_t{n - 1} * rows.stride + cols) * sizeof(float)};
}

Tensor range_of(const Operand& operand, uint32_t n, uint32_t cols) {
  if (operand.address == 0) return {};
  const uint32_t period = operand.period == 0 ? UINT32_MAX : operand.period;
  return range_of(Rows{operand.address, operand.stride}, n, std::min((cols - 1) / operand.group, period - 1) + 1);
}

// Whether element i is read for element i.
bool is_plain(const Operand& operand, uint32_t cols) {
  return operand.address == 0 || (operand.group == 1 && (operand.period == 0 || operand.period >= cols));
}

}  // namespace

void OpsVulkan::norm(const NormShape& shape, const Rows& x, uint64_t weight, uint64_t bias, const Rows& out, uint32_t n) {
  const uint32_t workgroup = tuning::row_workgroup(device_.limits(), shape.cols);
  const Program* made = program({"norm", shaders::norm, {workgroup, device_.limits().subgroup_size, static_cast<uint32_t>(shape.kind)}});
  if (!made) return;
  const uint64_t cols = uint64_t{shape.groups} * shape.cols;
  const uint64_t weights = (uint64_t{shape.groups - 1} * shape.weight_stride + shape.cols) * sizeof(float);
  order({range_of(x, n, cols), {weight, weight == 0 ? 0 : weights}, {bias, bias == 0 ? 0 : weights}}, {range_of(out, n, cols)});
  const shaders::NormPush push = {control_, x.address, weight, bias, out.address, x.stride, out.stride, shape.cols, shape.weight_stride, shape.eps};
  dispatch(*made, push, shape.groups, n);
}

void OpsVulkan::map(const Glu& glu, float scale, const Operand& a, const Operand& b, const Operand& c, const Rows& out, uint32_t n, uint32_t cols) {
  HOTSET_CHECK(a.address != 0 && cols > 0 && n > 0);
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const bool plain = is_plain(a, cols) && is_plain(b, cols) && is_plain(c, cols);
  const Program* made = program({"map", shaders::map, {workgroup, static_cast<uint32_t>(glu.f), plain}});
  if (!made) return;
  order({range_of(a, n, cols), range_of(b, n, cols), range_of(c, n, cols)}, {range_of(out, n, cols)});
  shaders::MapPush push = {};
  push.control = control_;
  push.a = a.address;
  push.b = b.address;
  push.c = c.address;
  push.out_ = out.address;
  const Operand* operands[] = {&a, &b, &c};
  for (size_t i = 0; i < std::size(operands); ++i) {
    push.strides[i] = operands[i]->stride;
    push.groups[i] = operands[i]->group;
    push.periods[i] = operands[i]->period == 0 ? UINT32_MAX : operands[i]->period;
  }
  push.out_stride = out.stride;
  push.cols = cols;
  push.scale = scale;
  push.glu = glu_numbers(glu);
  dispatch(*made, push, groups_of(cols, workgroup), n);
}

void OpsVulkan::rope(const RopeShape& shape, const Rows& x, uint64_t table, uint32_t n) {
  HOTSET_CHECK(shape.dim % 2 == 0);
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits()), pairs = shape.dim / 2;
  const Program* made = program({"rope", shaders::rope, {workgroup, shape.adjacent_pairs, shape.inverse}});
  if (!made) return;
  const Tensor turned = range_of(x, n, uint64_t{shape.heads - 1} * shape.head_stride + shape.first + shape.dim);
  order({turned, {table, uint64_t{n} * shape.dim * sizeof(float)}}, {turned});
  const shaders::RopePush push = {control_, x.address, table, x.stride, shape.heads, shape.head_stride, shape.first, pairs};
  dispatch(*made, push, groups_of(shape.heads * pairs, workgroup), n);
}

void OpsVulkan::store_rows(KvElement element, const Rows& x, uint64_t cache, uint32_t row_stride, uint32_t context_tokens, uint32_t cols, uint32_t n,
                           uint32_t every) {
  HOTSET_CHECK(every > 0);
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const Program* made = program({"store_rows", shaders::store_rows, {workgroup, element == KvElement::kF16}});
  if (!made) return;
  const uint64_t elements = uint64_t{(context_tokens - 1) / every} * row_stride + cols;
  order({range_of(x, n, cols)}, {{cache, elements * kv_element_bytes(element)}});
  const shaders::StoreRowsPush push = {control_, x.address, cache, x.stride, row_stride, context_tokens, cols, every};
  dispatch(*made, push, groups_of(cols, workgroup), n);
}

void OpsVulkan::matmul_heads(const HeadsShape& shape, const Weight& w, const Rows& x, const Rows& out, uint32_t n) {
  HOTSET_CHECK(w.rows == shape.heads * (shape.transposed ? shape.cols : shape.rows) && w.cols == (shape.transposed ? shape.rows : shape.cols));
  // Inputs of whole fours are loaded 16 bytes at a time.
  HOTSET_CHECK(shape.transposed || shape.cols % 4 != 0 || (x.address % 16 == 0 && x.stride % 4 == 0 && shape.x_head_stride % 4 == 0));
  const auto row_size = row_bytes(w.type, w.cols);
  HOTSET_CHECK(row_size.ok() && *row_size <= UINT32_MAX);
  const uint32_t lanes = device_.limits().subgroup_size, type = static_cast<uint32_t>(w.type);
  const tuning::Matvec tuned = tuning::matvec(device_.limits(), shape.rows, shape.cols);
  const uint32_t share = device_.limits().software ? 1 : std::min(kTransposedShare, lanes);
  const uint32_t unit = block_elements(w.type) == 1 ? 1 : 32;  // outputs of a lane of the transposed kernel
  const Program* made = shape.transposed
                            ? weight_program(kHeadsTransposed, {w.type}, {lanes, share, type})
                            : weight_program(kHeads, {w.type}, {tuned.lanes, tuned.workgroup, tuned.subgroup, tuned.step_words, tuned.wide, tuned.rows, type});
  if (!made) return;
  const uint64_t last_x = uint64_t{shape.heads - 1} * shape.x_head_stride, last_out = uint64_t{shape.heads - 1} * shape.out_head_stride;
  order({{w.address, w.rows * *row_size}, range_of(x, n, last_x + shape.cols)}, {range_of(out, n, last_out + shape.rows)});
  const shaders::MatmulHeadsPush push = {control_,   w.address,  x.address,  out.address, shape.rows, shape.cols, static_cast<uint32_t>(*row_size),
                                         x.stride, shape.x_head_stride, out.stride, shape.out_head_stride};
  const uint32_t runs = shape.transposed ? groups_of(shape.rows / unit, lanes / share) : groups_of(shape.rows, tuned.rows_per_workgroup());
  dispatch(*made, push, runs, n, shape.heads);
}

}  // namespace hotset
