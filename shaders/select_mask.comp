// Scores -> bits of the positions whose blocks are the best (SelectShape in runtime/compute/ops.h). x = mask, y = token of the tile.
//
// A block's key is its rank, then how far it lies from the end of the numbers, so that no two are equal: the least key chosen is found
// byte by byte, each time by counting the keys that agree with it so far.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/rank.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(push_constant, scalar) uniform Push { SelectPush p; };

layout(buffer_reference, scalar, buffer_reference_align = 4) writeonly buffer Bits { uint v[]; };

shared uint counts[256];

uint64_t scores;   // of this token and mask
uint seen;         // positions
uint seen_blocks;

uint64_t key_of(uint block) {
  const uint rank = block + p.own_blocks >= seen_blocks ? 0xffffffffu : rank_of(Floats(scores).v[block]);
  return uint64_t(rank) << 32 | ~block;
}

void count_bytes(int shift, uint64_t prefix) {
  for (uint i = gl_LocalInvocationID.x; i < 256; i += gl_WorkGroupSize.x) counts[i] = 0;
  barrier();
  for (uint block = gl_LocalInvocationID.x; block < seen_blocks; block += gl_WorkGroupSize.x) {
    const uint64_t key = key_of(block);
    if (shift == 56 || key >> (shift + 8) == prefix >> (shift + 8)) atomicAdd(counts[uint(key >> shift) & 255u], 1);
  }
  barrier();
}

// With fewer blocks than seen_blocks to choose.
uint64_t least_chosen() {
  uint64_t prefix = 0;
  uint wanted = p.top_k;
  for (int shift = 56; shift >= 0; shift -= 8) {
    count_bytes(shift, prefix);
    uint digit = 255;
    while (counts[digit] < wanted) wanted -= counts[digit--];
    prefix |= uint64_t(digit) << shift;
    const bool all = counts[digit] == wanted;
    barrier();  // the counts are counted anew
    if (all) break;
  }
  return prefix;
}

void main() {
  const Control control = ControlBlock(p.control).v;
  if (control.stop != 0) return;
  const uint token = p.first_token + gl_WorkGroupID.y, masks = gl_NumWorkGroups.x;
  seen = min((control.position + token + 1) / p.every, p.context_tokens);
  seen_blocks = (seen + p.block - 1) / p.block;
  scores = p.scores + 4ul * (uint64_t(gl_WorkGroupID.y) * masks + gl_WorkGroupID.x) * p.blocks;
  const uint64_t least = seen_blocks > p.top_k ? least_chosen() : 0;
  const uint64_t row = p.mask + 4ul * (uint64_t(token) * masks + gl_WorkGroupID.x) * p.mask_words;
  const bool spread = p.spread_tokens != 0;
  const uint each = spread ? p.every : 1, end = spread ? min(control.position + token + 1, p.spread_tokens) : seen;
  for (uint word = gl_LocalInvocationID.x; word < p.mask_words; word += gl_WorkGroupSize.x) {
    uint bits = 0;
    for (uint position = 32 * word; position < min(32 * word + 32, end); ++position) {
      const uint at = position / each;
      if (least == 0 || at >= seen || key_of(at / p.block) >= least) bits |= 1u << position % 32;
    }
    Bits(row).v[word] = bits;
  }
}
