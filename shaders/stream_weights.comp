// Weights between residual streams (StreamShape in runtime/compute/ops.h). One lane a token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint STREAMS = 4;
layout(push_constant, scalar) uniform Push { StreamWeightsPush p; };

float keep[STREAMS][STREAMS];  // [from][to]

float number(uint64_t row, uint part, uint index) {
  return fma(Floats(row).v[index], Floats(p.scale).v[part], Floats(p.bias).v[index]);
}

void soften(uint from) {
  float top = keep[from][0], total = 0;
  for (uint to = 1; to < STREAMS; ++to) top = max(top, keep[from][to]);
  for (uint to = 0; to < STREAMS; ++to) {
    keep[from][to] = exp(keep[from][to] - top);
    total += keep[from][to];
  }
  for (uint to = 0; to < STREAMS; ++to) keep[from][to] = keep[from][to] / total + p.eps;
}

void even_out(bool over_from) {
  for (uint i = 0; i < STREAMS; ++i) {
    float total = p.eps;
    for (uint j = 0; j < STREAMS; ++j) total += over_from ? keep[j][i] : keep[i][j];
    for (uint j = 0; j < STREAMS; ++j) {
      if (over_from) keep[j][i] /= total;
      else keep[i][j] /= total;
    }
  }
}

void main() {
  if (stopped(p.control) || gl_GlobalInvocationID.x >= p.n) return;
  const uint64_t row = p.mixes + 4ul * (uint64_t(gl_GlobalInvocationID.x) * p.mix_stride);
  const uint64_t to = p.out_ + 4ul * (uint64_t(gl_GlobalInvocationID.x) * p.out_stride);
  for (uint i = 0; i < STREAMS * STREAMS; ++i) keep[i / STREAMS][i % STREAMS] = number(row, 2, 2 * STREAMS + i);
  for (uint s = 0; s < STREAMS; ++s) {
    Floats(to).v[s] = 1 / (1 + exp(-number(row, 0, s))) + p.eps;
    Floats(to).v[STREAMS + s] = 2 / (1 + exp(-number(row, 1, STREAMS + s)));
    soften(s);
  }
  even_out(true);
  for (uint i = 1; i < p.iterations; ++i) {
    even_out(false);
    even_out(true);
  }
  for (uint i = 0; i < STREAMS * STREAMS; ++i) Floats(to).v[2 * STREAMS + i] = keep[i / STREAMS][i % STREAMS];
}
