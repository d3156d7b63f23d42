#include "runtime/compute/cpu/dot.h"

#include "platform/bytes.h"
#include "platform/check.h"
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

std::span<const Kernels* const> all_kernels() {
  static const Kernels* const kSets[] = {&kPortableKernels};
  return kSets;
}

const Kernels& kernels() { return *all_kernels().back(); }

}  // namespace hotset::cpu
