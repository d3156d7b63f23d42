// Scores of experts -> the chosen ids, their weights and where their records lie. One subgroup a token (x = token).
//
// Each pick is the next in the order (falling score, rising id): no list of the chosen is kept. NaN ranks below all.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;  // = the subgroup's size
layout(push_constant, scalar) uniform Push { RoutePush p; };

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Ids { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) writeonly buffer Found { uint64_t v[]; };

// Unsigned numbers in the order of the floats: the sign decides which half, and negative ones run backwards.
uint rank_of(float score) {
  const uint bits = floatBitsToUint(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  if ((bits & 0x7fffffffu) == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

void note_address(uint slot, uint id) {
  const uint64_t address = Addresses(p.table).v[id];
  Found(p.addresses).v[slot] = address;
  if (address == 0) atomicCompSwap(ControlBlock(p.control).v.stop, 0, p.stop_value);
}

void main() {
  if (stopped(p.control)) return;
  const uint lane = gl_SubgroupInvocationID;
  Floats scores = Floats(p.scores + 4ul * gl_WorkGroupID.x * p.experts);
  Ids ids = Ids(p.ids + 4ul * gl_WorkGroupID.x * p.used);
  Floats weights = Floats(p.weights + 4ul * gl_WorkGroupID.x * p.used);
  float most = uintBitsToFloat(0xff800000u), total = 0, chosen = 0;
  for (uint i = lane; i < p.experts; i += gl_WorkGroupSize.x) most = max(most, scores.v[i]);
  most = subgroupMax(most);
  for (uint i = lane; i < p.experts; i += gl_WorkGroupSize.x) total += exp(scores.v[i] - most);
  total = subgroupAdd(total);
  uint last_rank = 0xffffffffu, last_id = 0;
  for (uint slot = 0; slot < p.used; ++slot) {
    uint rank = 0, id = p.experts - 1;
    for (uint i = lane; i < p.experts; i += gl_WorkGroupSize.x) {
      const uint here = rank_of(scores.v[i]);
      const bool open = here < last_rank || (here == last_rank && i > last_id);
      if (open && (here > rank || (here == rank && i < id))) {
        rank = here;
        id = i;
      }
    }
    last_rank = subgroupMax(rank);
    last_id = subgroupMin(rank == last_rank ? id : p.experts - 1);
    const float weight = exp(scores.v[last_id] - most) / total;
    chosen += weight;
    if (lane == 0) {
      ids.v[slot] = last_id;
      weights.v[slot] = weight;
      if (p.table != 0) note_address(slot, last_id);
    }
  }
  if (lane != 0) return;
  const float divisor = p.renormalise != 0 ? chosen : 1.0;
  for (uint slot = 0; slot < p.used; ++slot) weights.v[slot] = weights.v[slot] / divisor * p.scale;
}
