// The router: scores of experts -> the chosen ids and their weights.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/compute/cpu/activation_function.h"
#include "runtime/compute/cpu/rank.h"
#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {
namespace {

uint64_t key_of(float score, uint32_t id) { return rank_key(rank_of(score), id); }

// The best keys so far, falling.
struct Best {
  uint64_t keys[shaders::kMaxTopK];
  uint32_t count = 0;
  uint32_t wanted;

  explicit Best(uint32_t wanted_count) : wanted(wanted_count) {}
  void offer(uint64_t key) {
    if (count == wanted && key < keys[count - 1]) return;
    uint32_t at = count < wanted ? count++ : count - 1;
    for (; at > 0 && keys[at - 1] < key; --at) keys[at] = keys[at - 1];
    keys[at] = key;
  }
  uint32_t id(uint32_t place) const { return ~static_cast<uint32_t>(keys[place]); }
};
static_assert(shaders::kMaxRouteGroups <= shaders::kMaxTopK);

}  // namespace

// One token's numbers, in a thread's memory; the arrays are [experts].
struct RouteStage::Token {
  uint64_t index;
  const float* logits;
  const float* gates;   // what weights are made of
  const float* choice;  // what experts and groups are chosen by
};

RouteStage::Token RouteStage::look_at(uint64_t index, const StageContext& context) const {
  auto* own = reinterpret_cast<float*>(context.own);
  float *logits = own, *gates = own + shape.experts, *biased = gates + shape.experts;
  const float* row = scores + index * shape.experts;
  if (logit_bias != nullptr) {
    context.floats.add(row, logit_bias, logits, shape.experts);
    row = logits;
  }
  if (shape.gating == Gating::kSoftmax) {
    float most = -std::numeric_limits<float>::infinity();
    for (uint32_t i = 0; i < shape.experts; ++i) most = row[i] > most ? row[i] : most;
    const float total = context.floats.exps(row, most, gates, shape.experts);
    for (uint32_t i = 0; i < shape.experts; ++i) gates[i] /= total;
  } else if (shape.gating == Gating::kSigmoid) {
    for (uint32_t i = 0; i < shape.experts; ++i) gates[i] = activate(Activation::kSigmoid, 1, row[i]);
  } else {
    for (uint32_t i = 0; i < shape.experts; ++i) gates[i] = std::sqrt(activate(Activation::kSoftplus, 1, row[i]));
  }
  if (choice_bias == nullptr) return {index, row, gates, row};
  context.floats.add(gates, choice_bias, biased, shape.experts);
  return {index, row, gates, biased};
}

// Bits of the groups that may be chosen from.
uint32_t RouteStage::open_groups(const Token& token) const {
  if (shape.groups == 1) return 1;
  const uint32_t count = shape.experts / shape.groups;
  Best groups(shape.groups_used);
  for (uint32_t group = 0; group < shape.groups; ++group) {
    Best two(std::min(2u, count));
    for (uint32_t i = group * count; i < (group + 1) * count; ++i) two.offer(key_of(token.choice[i], i));
    float score = token.choice[two.id(0)];
    if (choice_bias != nullptr && count > 1) score += token.choice[two.id(1)];
    groups.offer(key_of(score, group));
  }
  uint32_t open = 0;
  for (uint32_t place = 0; place < shape.groups_used; ++place) open |= 1u << groups.id(place);
  return open;
}

void RouteStage::choose(const Token& token, uint32_t* chosen) const {
  if (token_experts != nullptr) {
    const uint32_t* listed = token_experts + uint64_t{tokens[token.index]} * shape.used;
    for (uint32_t s = 0; s < shape.used; ++s) chosen[s] = std::min(listed[s], shape.experts - 1);
    return;
  }
  const uint32_t open = open_groups(token), count = shape.experts / shape.groups;
  Best best(shape.used);
  for (uint32_t group = 0; group < shape.groups; ++group) {
    if ((open >> group & 1) == 0) continue;
    for (uint32_t i = group * count; i < (group + 1) * count; ++i) best.offer(key_of(token.choice[i], i));
  }
  for (uint32_t s = 0; s < shape.used; ++s) chosen[s] = best.id(s);
}

void RouteStage::weigh(const Token& token, const uint32_t* chosen, float* out) const {
  float sum = 0;
  for (uint32_t s = 0; s < shape.used; ++s) {
    out[s] = token.gates[chosen[s]];
    sum += out[s];
  }
  const float divisor = shape.renormalise ? std::max(sum, shape.least_sum) : 1.0f;
  for (uint32_t s = 0; s < shape.used; ++s) {
    out[s] = out[s] / divisor * shape.scale;
    if (expert_scales != nullptr) out[s] *= expert_scales[chosen[s]];
  }
}

void RouteStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t t = first; t < end; ++t) {
    const Token token = look_at(t, context);
    uint32_t* chosen = ids + t * shape.used;
    choose(token, chosen);
    for (uint32_t s = 0; s < shape.used; ++s) chosen[s] /= shape.id_divisor;
    weigh(token, chosen, weights + t * shape.used);
    if (table == nullptr) continue;
    for (uint32_t s = 0; s < shape.used; ++s) {
      addresses[s] = table[chosen[s]];
      if (addresses[s] == 0 && context.control.stop == 0) context.control.stop = stop_value;
    }
  }
}

}  // namespace hotset::cpu
