// Dot products of rows of quantised weights with x, a lane at a time: the inside of every mat-vec kernel.
//
// LANES lanes share a row; lane l of them takes steps l, l + LANES, ... A step is W words of quants and all the weights
// that they hold parts of. One lane a row needs no reduction, and all lanes of the subgroup then want the same x: each
// loads a share of it and hands it round. With more lanes a row, neighbours load neighbouring words.
#include "shaders/blocks.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// Specialisation constants 0..5 of every mat-vec kernel: runtime/compute/tuning.h.
layout(constant_id = 0) const uint LANES = 1;
layout(local_size_x_id = 1, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 2) const uint SUBGROUP = 8;
layout(constant_id = 3) const uint STEP_WORDS = 8;
layout(constant_id = 4) const bool WIDE = false;  // load 64 bits at once in place of 128
layout(constant_id = 5) const uint ROWS = 2;      // of a lane

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Longs { u64vec2 v[]; };

const uint kRows = 4;  // rows of one call at most

// Per type: words in a run of quants, runs of x (32 or 16 apart) that a word serves.
uint run_words(const uint type) { return type == kQ4_0 || type == kMXFP4 ? 4 : 8; }
uint parts(const uint type) { return type == kQ6_K ? 4 : type == kQ4_0 || type == kMXFP4 || type == kQ4_K || type == kQ5_K ? 2 : 1; }
uint step_words(const uint type) { return min(STEP_WORDS, run_words(type)); }
// Words whose weights share a scale.
uint group_words(const uint type) { return type == kQ6_K ? min(step_words(type), 4) : step_words(type); }
uint step_cols(const uint type) { return 4 * step_words(type) * parts(type); }

vec4 x_of[32];    // x of this step, [part][word]
float x_sum[32];  // of each group of one scale

uint x_index(const uint type, uint step, uint i) {
  const uint w = step_words(type), steps = run_words(type) / w;
  return step / steps * parts(type) * run_words(type) + i / w * run_words(type) + step % steps * w + i % w;
}

float sum_of(vec4 v) { return v.x + v.y + v.z + v.w; }

void load_x(const uint type, uint64_t x, uint step) {
  const uint count = step_cols(type) / 4, group = group_words(type);
  Vec4s from = Vec4s(x);
  const bool shared_sums = LANES == 1 && group <= SUBGROUP;
  if (LANES > 1) {
    [[unroll]] for (uint i = 0; i < count; ++i) x_of[i] = from.v[x_index(type, step, i)];
  } else {
    [[unroll]] for (uint first = 0; first < count; first += SUBGROUP) {
      const vec4 mine = from.v[x_index(type, step, (first + gl_SubgroupInvocationID) % count)];
      [[unroll]] for (uint i = 0; i < min(SUBGROUP, count); ++i) x_of[first + i] = subgroupShuffle(mine, i);
      float sum = sum_of(mine);
      [[unroll]] for (uint apart = 1; apart < group; apart *= 2) sum += subgroupShuffleXor(sum, apart);
      if (shared_sums) {
        [[unroll]] for (uint i = 0; i < min(SUBGROUP, count); i += group) x_sum[(first + i) / group] = subgroupShuffle(sum, i);
      }
    }
  }
  if (shared_sums) return;
  [[unroll]] for (uint g = 0; g < count / group; ++g) {
    x_sum[g] = 0;
    [[unroll]] for (uint i = 0; i < group; ++i) x_sum[g] += sum_of(x_of[g * group + i]);
  }
}

#include "shaders/dot_types.glsl"

bool is_plain(const uint type) { return type == kF32 || type == kF16 || type == kBF16; }

// sums[r] += row r . x for r < count, the same in all lanes of the row. All lanes of the subgroup call it.
void dot_rows(const uint type, const uint count, const uint64_t rows[kRows], uint64_t x, uint cols, inout float sums[kRows]) {
  // Plain rows of any length: what is left of whole steps goes one by one; vectors need rows of whole quads.
  const uint steps = is_plain(type) && cols % 4 != 0 ? 0 : cols / step_cols(type);
  const uint lane = gl_SubgroupInvocationID % LANES;
  float mine[kRows];
  [[unroll]] for (uint r = 0; r < count; ++r) mine[r] = 0;
  for (uint step = lane; step < steps; step += LANES) {
    load_x(type, x, step);
    [[unroll]] for (uint r = 0; r < count; ++r) mine[r] += dot_step(type, rows[r], step);
  }
  if (is_plain(type)) {
    for (uint k = steps * step_cols(type) + lane; k < cols; k += LANES) {
      [[unroll]] for (uint r = 0; r < count; ++r) mine[r] = fma(weight_at(type, rows[r], k), Floats(x).v[k], mine[r]);
    }
  }
  [[unroll]] for (uint r = 0; r < count; ++r) {
    for (uint apart = LANES / 2; apart > 0; apart /= 2) mine[r] += subgroupShuffleXor(mine[r], apart);
    sums[r] += mine[r];
  }
}

// Which row, counted in the workgroup, this lane works on; whether it is the one to write.
uint lane_row() { return (gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID) / LANES; }
uint lane_rows() { return gl_WorkGroupSize.x / LANES; }
bool is_writer() { return gl_SubgroupInvocationID % LANES == 0; }
