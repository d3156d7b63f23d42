// Scores of experts -> the chosen ids, their weights and where their records lie (RouteShape in runtime/compute/ops.h). One
// subgroup a token (x = token).
//
// Each pick is the next in the order (falling rank, rising id): no list of the chosen is kept. NaN ranks below all.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "shaders/blocks.glsl"
#include "shaders/activation.glsl"
#include "shaders/rank.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;  // = the subgroup's size
layout(constant_id = 1) const uint GATING = 0;
layout(constant_id = 2) const uint FORM = 0;  // kRoute... bits
layout(constant_id = 3) const uint GROUPS = 1;
layout(constant_id = 4) const uint GROUPS_USED = 1;
layout(constant_id = 5) const uint ID_DIVISOR = 1;
layout(push_constant, scalar) uniform Push { RoutePush p; };

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Ids { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) writeonly buffer Found { uint64_t v[]; };

const uint kSoftmaxGating = 0;
const uint kSigmoidGating = 1;

shared uint group_ranks[kMaxRouteGroups];

// Of this token.
uint64_t row;  // its scores
float most = uintBitsToFloat(0xff800000u), total = 0;
uint open_groups = 0xffffffffu;

void note_address(uint slot, uint id) {
  const uint64_t address = Addresses(p.table).v[id];
  Found(p.addresses).v[slot] = address;
  if (address == 0) atomicCompSwap(ControlBlock(p.control).v.stop, 0, p.stop_value);
}

float logit_of(uint i) {
  const float score = Floats(row).v[i];
  return (FORM & kRouteLogitBias) != 0 ? score + Floats(p.logit_bias).v[i] : score;
}

float gate_of(uint i) {
  const float logit = logit_of(i);
  if (GATING == kSoftmaxGating) return exp(logit - most) / total;
  return GATING == kSigmoidGating ? 1 / (1 + exp(-logit)) : sqrt(softplus(logit));
}

float biased_gate(uint i) { return (FORM & kRouteChoiceBias) != 0 ? gate_of(i) + Floats(p.choice_bias).v[i] : gate_of(i); }

uint choice_rank(uint i) { return rank_of((FORM & kRouteChoiceBias) != 0 ? biased_gate(i) : logit_of(i)); }

bool is_open(uint i) { return GROUPS == 1 || (open_groups >> i / (p.experts / GROUPS) & 1) != 0; }

void sum_exponentials() {
  for (uint i = gl_SubgroupInvocationID; i < p.experts; i += gl_WorkGroupSize.x) most = max(most, logit_of(i));
  most = subgroupMax(most);
  for (uint i = gl_SubgroupInvocationID; i < p.experts; i += gl_WorkGroupSize.x) total += exp(logit_of(i) - most);
  total = subgroupAdd(total);
}

// Of the best of a group; where a bias is added for the choice, of the sum of its two best.
uint rank_of_group(uint group) {
  const uint count = p.experts / GROUPS, first = group * count;
  uint best = first, best_rank = choice_rank(first), second = first, second_rank = 0;
  for (uint i = first + 1; i < first + count; ++i) {
    const uint rank = choice_rank(i);
    if (rank > best_rank) {
      second = best;
      second_rank = best_rank;
      best = i;
      best_rank = rank;
    } else if ((best == first && second == first) || rank > second_rank) {
      second = i;
      second_rank = rank;
    }
  }
  if ((FORM & kRouteChoiceBias) == 0) return best_rank;
  return rank_of(biased_gate(best) + (count > 1 ? biased_gate(second) : 0));
}

// Leaves the best GROUPS_USED groups open.
void choose_groups() {
  for (uint group = gl_SubgroupInvocationID; group < GROUPS; group += gl_WorkGroupSize.x) group_ranks[group] = rank_of_group(group);
  barrier();
  open_groups = 0;
  for (uint slot = 0; slot < GROUPS_USED; ++slot) {
    uint best = GROUPS;
    for (uint group = 0; group < GROUPS; ++group) {
      if ((open_groups >> group & 1) == 0 && (best == GROUPS || group_ranks[group] > group_ranks[best])) best = group;
    }
    open_groups |= 1u << best;
  }
}

// The best open expert behind (last_rank, last_id), which it then becomes.
void choose_next(inout uint last_rank, inout uint last_id) {
  uint rank = 0, id = p.experts - 1;
  for (uint i = gl_SubgroupInvocationID; i < p.experts; i += gl_WorkGroupSize.x) {
    if (!is_open(i)) continue;
    const uint here = choice_rank(i);
    const bool open = here < last_rank || (here == last_rank && i > last_id);
    if (open && (here > rank || (here == rank && i < id))) {
      rank = here;
      id = i;
    }
  }
  last_rank = subgroupMax(rank);
  last_id = subgroupMin(rank == last_rank ? id : p.experts - 1);
}

void main() {
  if (stopped(p.control)) return;
  const uint lane = gl_SubgroupInvocationID;
  row = p.scores + 4ul * gl_WorkGroupID.x * p.experts;
  Ids ids = Ids(p.ids + 4ul * gl_WorkGroupID.x * p.used);
  Floats weights = Floats(p.weights + 4ul * gl_WorkGroupID.x * p.used);
  if (GATING == kSoftmaxGating) sum_exponentials();
  if (GROUPS > 1) choose_groups();
  uint last_rank = 0xffffffffu, choice = 0;
  float chosen = 0;
  for (uint slot = 0; slot < p.used; ++slot) {
    if ((FORM & kRouteTokenTable) == 0) choose_next(last_rank, choice);
    else choice = min(Words(p.token_experts).v[Words(p.tokens).v[gl_WorkGroupID.x] * p.used + slot], p.experts - 1);
    const uint id = choice / ID_DIVISOR;
    const float weight = gate_of(id);
    chosen += weight;
    if (lane == 0) {
      ids.v[slot] = id;
      weights.v[slot] = weight;
      if (p.table != 0) note_address(slot, id);
    }
  }
  if (lane != 0) return;
  const float divisor = p.renormalise != 0 ? max(chosen, p.least_sum) : 1.0;
  for (uint slot = 0; slot < p.used; ++slot) {
    weights.v[slot] = weights.v[slot] / divisor * p.scale;
    if ((FORM & kRouteExpertScales) != 0) weights.v[slot] *= Floats(p.expert_scales).v[ids.v[slot]];
  }
}
