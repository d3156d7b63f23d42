// OpsCpu: recurrences over tokens: convolutions, linear attention, selective scans.
#include "platform/check.h"
#include "runtime/compute/cpu/ops_cpu.h"

namespace hotset {

void OpsCpu::conv(const ConvShape&, const Rows&, uint64_t, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::linear_attention(const LinearAttentionShape&, const Rows&, const Rows&, const Rows&, const Rows&, const Rows&, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

void OpsCpu::selective_scan(const SelectiveScanShape&, const Rows&, const Rows&, const Rows&, const Rows&, uint64_t, uint64_t, uint64_t, const Rows&, uint32_t) { HOTSET_CHECK(false); }

}  // namespace hotset
