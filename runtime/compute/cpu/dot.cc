#include "runtime/compute/cpu/dot.h"

#include <array>

#include "platform/bytes.h"
#include "platform/check.h"
#include "platform/cpu_features.h"
#include "runtime/compute/cpu/activation.h"
#include "runtime/compute/cpu/kernel_sets.h"

namespace hotset::cpu {

uint64_t activation_bytes(BlockType weight_type, uint32_t cols) {
  HOTSET_CHECK(cols % block_elements(weight_type) == 0);
  switch (activation_form(weight_type)) {
    case ActivationForm::kFloat: return align_up(uint64_t{cols} * sizeof(float), 64);
    case ActivationForm::kSmall: return uint64_t{small_groups(cols)} * sizeof(SmallActivation);
    case ActivationForm::kSuper: return uint64_t{cols / SuperActivation::kValues} * sizeof(SuperActivation);
  }
  return 0;
}

bool same_activation(BlockType a, BlockType b) { return activation_form(a) == activation_form(b); }

namespace {

struct Sets {
  std::array<const Kernels*, 3> sets = {&kPortableKernels};
  size_t count = 1;
};

Sets usable_sets() {
  Sets usable;
  [[maybe_unused]] const auto add = [&](bool runs, const Kernels& set) {
    if (runs) usable.sets[usable.count++] = &set;
  };
#if defined(__x86_64__)
  add(cpu_features().avx2, kAvx2Kernels);
  add(cpu_features().avx512_vnni, kAvx512Kernels);
#elif defined(__aarch64__)
  add(cpu_features().neon_dotprod, kNeonKernels);
#endif
  return usable;
}

}  // namespace

std::span<const Kernels* const> all_kernels() {
  static const Sets kUsable = usable_sets();
  return std::span(kUsable.sets).first(kUsable.count);
}

const Kernels& kernels() { return *all_kernels().back(); }

}  // namespace hotset::cpu
