// OpsCpu: the parts that families are composed of: norms, maps, rotation, rows of caches, products by head.
#include "platform/check.h"
#include "runtime/compute/cpu/ops_cpu.h"

namespace hotset {

void OpsCpu::norm(const NormShape&, const Rows&, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::map(const Glu&, float, const Operand&, const Operand&, const Operand&, const Rows&, uint32_t, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::rope(const RopeShape&, const Rows&, uint64_t, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::store_rows(KvElement, const Rows&, uint64_t, uint32_t, uint32_t, uint32_t, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::matmul_heads(const HeadsShape&, const Weight&, const Rows&, const Rows&, uint32_t) { HOTSET_CHECK(false); }

}  // namespace hotset
