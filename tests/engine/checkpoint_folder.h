// Turns a fixture (a GGUF) back into the checkpoint folder that it could have been made of, by rules written down apart from those of the
// conversion.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/format/gguf.h"

namespace hotset::test {

struct CheckpointStyle {
  std::string model_type;
  std::map<std::string, std::string> names;    // tensors of a layer that are called otherwise: "ffn_gate_inp.weight" -> "mlp.router.weight"
  std::map<std::string, std::string> settings;  // members of config.json that are: "num_experts" -> "n_routed_experts"
  nlohmann::json more = nlohmann::json::object();  // of config.json
  bool paired = false;       // q and k as llama has them
  bool norms_less_one = false;
  bool gpt_oss = false;      // experts joined, in MXFP4
};

// All numbers as F32, in two files under an index. HOTSET_CHECKs what the fixtures are known to hold.
void write_checkpoint(const GgufFile& model, const CheckpointStyle& style, const std::string& folder);

}  // namespace hotset::test
