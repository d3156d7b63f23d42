// What the batch and attention shaders share beyond blocks.glsl: subgroup helpers and 16-bit stores.
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "shaders/blocks.glsl"

layout(buffer_reference, scalar, buffer_reference_align = 2) buffer Halves { uint16_t v[]; };

// Sums and maxima over a subgroup in an order that depends on its size alone (subgroupAdd leaves the order to the driver).
float lanes_sum(float value) {
  for (uint step = gl_SubgroupSize / 2; step > 0; step /= 2) value += subgroupShuffle(value, gl_SubgroupInvocationID ^ step);
  return value;
}

float lanes_max(float value) {
  for (uint step = gl_SubgroupSize / 2; step > 0; step /= 2) value = max(value, subgroupShuffle(value, gl_SubgroupInvocationID ^ step));
  return value;
}
