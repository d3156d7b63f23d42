// What a device cannot do is chosen around or is an error, never undefined.
#include <doctest/doctest.h>

#include "tests/compute/gpu_rig.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

TEST_CASE("kernels that shuffle eight values are not chosen for subgroups of fewer lanes") {
  DeviceLimits limits;
  limits.software = true;
  limits.subgroup_size = 4;  // llvmpipe on CPUs with 128-bit vectors
  CHECK_FALSE(tuning::batch(limits).shuffle_queries);
  CHECK(tuning::batch(limits).shared_tiles);
  limits.subgroup_size = 8;
  CHECK(tuning::batch(limits).shuffle_queries);
  CHECK_FALSE(tuning::batch(limits).shared_tiles);
}

TEST_CASE("a grid larger than the device takes is an error of the segment") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const uint32_t tokens = rig->device->limits().max_workgroups_y + 1;
  if (tokens == 0) HOTSET_SKIP("this device takes any grid");
  const Buffer buffer = rig->buffer(4096);
  const Tensor small = rig->tensor(buffer);
  const Status status = rig->run([&](Ops& ops) { ops.embed({BlockType::kF32, 1, 32, small.address}, small.address, small, tokens); });
  CHECK(status.code() == Code::kUnsupported);
  CHECK(status.message().find("workgroups") != std::string::npos);
  CHECK(rig->run([&](Ops& ops) { ops.embed({BlockType::kF32, 1, 32, small.address}, small.address + 1024, small, 1); }).ok());
}
