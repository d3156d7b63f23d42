// Sums over a workgroup whose size is WORKGROUP, a multiple of SUBGROUP: the same value in every lane.
//
// A workgroup of one subgroup needs neither shared memory nor a barrier.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(constant_id = 0) const uint WORKGROUP = 8;
layout(constant_id = 1) const uint SUBGROUP = 8;
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

shared float subgroup_sums[WORKGROUP / SUBGROUP];

float workgroup_sum(float value) {
  float sum = subgroupAdd(value);
  if (WORKGROUP == SUBGROUP) return sum;
  if (gl_SubgroupInvocationID == 0) subgroup_sums[gl_SubgroupID] = sum;
  barrier();
  sum = 0;
  for (uint i = 0; i < WORKGROUP / SUBGROUP; ++i) sum += subgroup_sums[i];
  barrier();  // the array may be used again
  return sum;
}
