// A token played out event by event on modelled links, to judge the link model's formulas and choices.
//
// It shares no formula with offload/link_model: every expert is a chain of transfers and kernels, each engine (GPU, bus,
// CPU, disk) does one at a time in order, and those that run together share the RAM's bandwidth max-min fairly. Time
// goes from the end of one piece of work to the next.
#pragma once

#include <cstdint>
#include <vector>

#include "offload/link_model.h"

namespace hotset::test {

// One way to serve misses, as MissPlan.
struct Setting {
  MissMode mode = MissMode::kWait;
  bool split = false;  // the copied share is found for each layer by trying all
  bool use_cache = true;
};

// Where the experts of one layer of one token lie, and how often that came up.
struct Draw {
  uint32_t in_vram = 0;
  uint32_t in_ram = 0;
  uint32_t on_disk = 0;
  uint32_t times = 0;
};

// Draws every expert of every layer of `tokens` tokens by itself.
std::vector<Draw> draw_layers(const TokenWork& work, uint32_t tokens, uint64_t seed);

// The mean time of the tokens that `draws` came from, in ns.
double simulate_tokens(const LinkRates& rates, const TokenWork& work, const Setting& setting, const std::vector<Draw>& draws);

}  // namespace hotset::test
