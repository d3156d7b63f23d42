// Placement: what of a model goes where on a machine, and how fast its tokens come, from sizes and rates alone.
//
// Nothing is opened, allocated or measured. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "offload/link_model.h"
#include "platform/status.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/gpu_shapes.h"
#include "runtime/engine/model_shapes.h"
#include "runtime/engine/quant_mixes.h"

namespace hotset {

// The bytes of a model, whether it is a file or a published shape.
struct ModelNeeds {
  std::string title;
  std::string quant;              // empty for a file: it is what it is
  uint64_t file_bytes = 0;
  uint64_t dense_bytes = 0;       // in VRAM: all but routed experts
  uint64_t dense_read_bytes = 0;  // of those, what a token reads
  uint64_t workspace_bytes = 0;   // activations
  uint32_t layers = 0;
  uint32_t moe_layers = 0;
  uint32_t experts = 0;           // a layer
  uint32_t top_k = 0;
  uint64_t record_bytes = 0;      // of one expert, on average
  uint64_t least_slot_bytes = 0;  // the smallest expert cache (ExpertTable::class_least)
  uint32_t context_tokens = 0;    // the most it was made for
  std::function<uint64_t(uint32_t context_tokens)> kv_bytes;       // f16; with recurrent states
  std::function<uint64_t(uint32_t context_tokens)> kv_read_bytes;  // by a token at the end of the context

  uint64_t bank_bytes() const { return uint64_t{moe_layers} * experts * record_bytes; }
};
ModelNeeds needs_of(const ModelShape& shape, const QuantMix& mix);
// Error: a file that this build cannot run, and why.
Result<ModelNeeds> needs_of(const ModelReport& report);

struct PlanMachine {
  std::string name;
  LinkRates rates;
  double dense_bytes_per_s = 0;  // 0: as the experts' kernels
  uint64_t vram_bytes = 0;       // budget for all of Hotset's device memory
  uint64_t ram_bytes = 0;        // budget for experts in RAM; on unified memory it is what VRAM leaves
};

struct Placement {
  bool fits = false;
  std::string why_not;
  uint32_t context_tokens = 0;
  uint64_t least_vram_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t slot_bytes = 0;   // of experts in VRAM,
  uint64_t ram_bytes = 0;    // in RAM (copies of the former among them where all fit),
  uint64_t disk_bytes = 0;   // and in neither
  double vram_share = 0;     // of all experts
  double hit_rate = 0;       // of lookups: VRAM,
  double ram_hit_share = 0;  // and of the rest, RAM
  MissPlan misses;
  TokenEstimate token;       // at a full context
};

// The placement at a context, by a hit rate that follows from `skew` (link_model.h) or is given.
Placement place(const ModelNeeds& needs, const PlanMachine& machine, uint32_t context_tokens, double skew = 3, std::optional<double> hit_rate = {});

// The speed at which a reader is kept busy: five words a second.
constexpr double kReadingTokensPerS = 7;

struct QuantChoice {
  const QuantMix* mix = nullptr;
  ModelNeeds needs;
  Placement placement;
};
// Every mix worth taking of the shape, largest first, placed at a context.
std::vector<QuantChoice> weigh_quants(const ModelShape& shape, const PlanMachine& machine, uint32_t context_tokens);
// The first that fits and keeps a reader busy, else the fastest that fits; nullptr when none fits.
const QuantChoice* pick_quant(const std::vector<QuantChoice>& choices);

}  // namespace hotset
