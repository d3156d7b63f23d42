// Runs of positions -> rows (CompressShape in runtime/compute/ops.h). x = a run of channels. KEEP: y = place in the state, which takes the
// last token that belongs there; else y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool KEEP = false;
layout(push_constant, scalar) uniform Push { CompressPush p; };

const float kLowest = -3.0e38;

// Column `col` of the values (which = 0) or scores (1) of position `at`, which is the batch's or still in the state.
float input_at(uint which, uint at, uint col, uint first) {
  if (at >= first) return Floats((which == 0 ? p.values : p.scores) + 4ul * (uint64_t(at - first) * (which == 0 ? p.value_stride : p.score_stride))).v[col];
  return Floats(p.state + 4ul * (uint64_t(which) * p.positions + at % p.positions) * p.cols).v[col];
}

void keep(uint col, uint place, uint first) {
  const uint last = first + p.n - 1;
  const uint back = (last % p.positions + p.positions - place) % p.positions;
  if (col >= p.cols || back >= p.n) return;
  for (uint which = 0; which < (p.scores != 0 ? 2 : 1); ++which) {
    Floats(p.state + 4ul * (uint64_t(which) * p.positions + place) * p.cols).v[col] = input_at(which, last - back, col, first);
  }
}

void main() {
  const Control control = ControlBlock(p.control).v;
  const uint channel = gl_GlobalInvocationID.x, first = control.position;
  if (control.stop != 0) return;
  if (KEEP) {
    keep(channel, gl_WorkGroupID.y, first);
    return;
  }
  if (channel >= p.width) return;
  const uint token = gl_WorkGroupID.y, end = first + token + 1;
  float highest = kLowest, weight = 0, sum = 0;
  if (end % p.ratio == 0) {
    for (uint at = end - min(end, p.positions); at < end; ++at) {
      const uint col = channel + (p.cols > p.width && at + p.ratio >= end ? p.width : 0);
      const float score = p.scores == 0 ? 0.0 : input_at(1, at, col, first) + Floats(p.bias + 4ul * (at % p.ratio) * p.cols).v[col];
      const float top = max(highest, score), shrink = exp(highest - top), share = exp(score - top);
      highest = top;
      weight = weight * shrink + share;
      sum = fma(share, input_at(0, at, col, first), sum * shrink);
    }
  }
  Floats(p.out_ + 4ul * (uint64_t(token) * p.out_stride)).v[channel] = weight == 0 ? 0.0 : sum / weight;
}
