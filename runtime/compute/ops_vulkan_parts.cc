// OpsVulkan: the parts that families are composed of: norms, maps, rotation, rows of caches, products by head.
#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"

namespace hotset {

void OpsVulkan::norm(const NormShape&, const Rows&, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::map(const Glu&, float, const Operand&, const Operand&, const Operand&, const Rows&, uint32_t, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::rope(const RopeShape&, const Rows&, uint64_t, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::store_rows(KvElement, const Rows&, uint64_t, uint32_t, uint32_t, uint32_t, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::matmul_heads(const HeadsShape&, const Weight&, const Rows&, const Rows&, uint32_t) { HOTSET_CHECK(false); }

}  // namespace hotset
