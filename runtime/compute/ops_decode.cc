// Operations of the decode phase, and those that both phases share.
#include "platform/check.h"
#include "runtime/compute/ops.h"
#include "runtime/compute/tuning.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

constexpr uint32_t groups_of(uint32_t count, uint32_t size) { return (count + size - 1) / size; }

uint32_t row_bytes_of(BlockType type, uint32_t cols) {
  const auto bytes = row_bytes(type, cols);
  HOTSET_CHECK(bytes.ok() && *bytes <= UINT32_MAX);
  return static_cast<uint32_t>(*bytes);
}

Tensor bytes_of(const Weight& w) { return {w.address, uint64_t{w.rows} * row_bytes_of(w.type, w.cols)}; }

Tensor floats(const Tensor& tensor, uint64_t count) { return {tensor.address, count * sizeof(float)}; }

}  // namespace

void Ops::embed(const Weight& table, uint64_t tokens, const Tensor& out, uint32_t n) {
  const uint32_t workgroup = tuning::elementwise_workgroup(device_.limits());
  const Program* made = program({"embed", shaders::embed, {static_cast<uint32_t>(table.type), workgroup}});
  if (!made) return;
  order({bytes_of(table), {tokens, n * sizeof(uint32_t)}}, {floats(out, uint64_t{n} * table.cols)});
  const shaders::EmbedPush push = {control_, table.address, tokens, out.address, table.cols, row_bytes_of(table.type, table.cols)};
  recorder_.dispatch(*made, push, groups_of(groups_of(table.cols, 32), workgroup), n);
}

}  // namespace hotset
