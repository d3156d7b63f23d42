// Causal convolution of each channel over the last KERNEL tokens. A lane has a channel; x = a run of them, y = kConvTokens tokens.
// Only the lanes of the first tokens read the state, and they bring it up to date when they are done.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/activation.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint KERNEL = 4;
layout(constant_id = 2) const uint ACTIVATION = 0;
layout(push_constant, scalar) uniform Push { ConvPush p; };

// Row `at` of x; those before the first are the state's, which is zero when the sequence begins here.
float input_at(int at, uint channel, bool begins) {
  if (at >= 0) return Floats(p.x + 4ul * uint(at) * p.x_stride).v[channel];
  if (begins) return 0;
  return Floats(p.state + 4ul * uint(at + int(KERNEL) - 1) * p.channels).v[channel];
}

void main() {
  const Control control = ControlBlock(p.control).v;
  const uint channel = gl_GlobalInvocationID.x, first = gl_WorkGroupID.y * kConvTokens;
  if (control.stop != 0 || channel >= p.channels) return;
  const bool begins = control.position == 0;
  const float bias = p.bias != 0 ? Floats(p.bias).v[channel] : 0.0;
  float taps[KERNEL], window[KERNEL];
  [[unroll]] for (uint j = 0; j < KERNEL; ++j) {
    taps[j] = Floats(p.weight + 4ul * channel * KERNEL).v[j];
    window[j] = j == 0 ? 0.0 : input_at(int(first + j) - int(KERNEL), channel, begins);
  }
  for (uint t = first; t < min(first + kConvTokens, p.n); ++t) {
    [[unroll]] for (uint j = 0; j + 1 < KERNEL; ++j) window[j] = window[j + 1];
    window[KERNEL - 1] = input_at(int(t), channel, begins);
    float sum = bias;
    [[unroll]] for (uint j = 0; j < KERNEL; ++j) sum = fma(taps[j], window[j], sum);
    Floats(p.out_ + 4ul * t * p.out_stride).v[channel] = activate(ACTIVATION, 1, sum);
  }
  if (first != 0) return;
  // Upwards, so that rows which stay are read before they are written.
  for (uint j = 0; j + 1 < KERNEL; ++j) {
    const float value = input_at(int(p.n + j + 1) - int(KERNEL), channel, begins);
    Floats(p.state + 4ul * j * p.channels).v[channel] = value;
  }
}
