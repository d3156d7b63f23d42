// FamilyMap: how a family of checkpoints becomes a GGUF: which weight is which tensor, and what its config says. Constant data.
#pragma once

#include <array>
#include <span>
#include <string>

#include "platform/status.h"
#include "runtime/engine/convert/hf_config.h"
#include "runtime/engine/convert/metadata.h"
#include "runtime/engine/convert/tensor_forms.h"

namespace hotset {

// {L} stands for the layer and {E} for the expert; the experts of a layer are stacked. A weight may be named by several rules, and a
// weight that is not there makes no tensor.
struct TensorRule {
  const char* from;
  const char* to;
  Form form = forms::as_is;
};

struct FamilyMap {
  const char* model_types;   // of config.json: "deepseek_v3|kimi_k2"
  const char* architecture;  // of the GGUF
  std::array<std::span<const TensorRule>, 6> rules;
  // What this family says in words of its own, after common_metadata. Error: a variant that cannot be converted.
  Status (*adjust)(const HfConfig& config, Metadata& metadata) = nullptr;
};

// Error (kUnsupported): names the model type and those there are.
Result<const FamilyMap*> find_family_map(const HfConfig& config);

// The rules' way of writing names: "blk.3.attn_q.weight".
std::string name_of(std::string_view pattern, uint64_t layer, uint64_t expert);

}  // namespace hotset
