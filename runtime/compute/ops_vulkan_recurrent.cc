// OpsVulkan: recurrences over tokens: convolutions, linear attention, selective scans.
#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"

namespace hotset {

void OpsVulkan::conv(const ConvShape&, const Rows&, uint64_t, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::linear_attention(const LinearAttentionShape&, const Rows&, const Rows&, const Rows&, const Rows&, const Rows&, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsVulkan::selective_scan(const SelectiveScanShape&, const Rows&, const Rows&, const Rows&, const Rows&, uint64_t, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

}  // namespace hotset
