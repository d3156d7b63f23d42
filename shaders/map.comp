// out[t][i] = scale * f(clamp(a)) * (clamp(b) + offset) + c, each operand by its own index. x = a run of columns, y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/activation.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ACTIVATION = 0;
layout(constant_id = 2) const bool PLAIN = true;  // every operand reads element i for element i
layout(push_constant, scalar) uniform Push { MapPush p; };

float operand(uint64_t address, uint index, uint token, uint i) {
  const uint at = PLAIN ? i : i / p.groups[index] % p.periods[index];
  return Floats(address + 4ul * token * p.strides[index]).v[at];
}

void main() {
  const uint i = gl_GlobalInvocationID.x, token = gl_WorkGroupID.y;
  if (stopped(p.control) || i >= p.cols) return;
  const float a = operand(p.a, 0, token, i);
  float value = activate(ACTIVATION, p.glu.alpha, clamp(a, p.glu.gate_low, p.glu.gate_high));
  if (p.b != 0) value *= up_factor(ACTIVATION, p.glu, operand(p.b, 1, token, i));
  value *= p.scale;
  if (p.c != 0) value += operand(p.c, 2, token, i);
  Floats(p.out_ + 4ul * token * p.out_stride).v[i] = value;
}
