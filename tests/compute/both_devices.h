// One body of a test on the CPU and on the Vulkan device.
#pragma once

#include <doctest/doctest.h>

#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

namespace hotset::test {

// Calls body(rig) with a CpuRig, then with a GpuRig where there is a Vulkan device.
template <class Body>
void on_both_devices(Body body) {
  {
    CAPTURE("cpu");
    CpuRig rig(3);
    body(rig);
  }
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  CAPTURE(rig->device->limits().subgroup_size);
  body(*rig);
}

// Rows of floats inside wider ones: what lies between is noise that nobody may touch.
struct RowBuffer {
  Buffer buffer;
  std::vector<float> before;  // all of it
  uint32_t stride = 0;
  uint32_t offset = 0;

  // `n` rows of `cols` floats, `offset` floats into rows of cols + offset + 3 (rounded up to `multiple`).
  template <class Rig>
  RowBuffer(Rig& rig, uint32_t n, uint32_t cols, uint32_t seed, uint32_t offset_floats = 0, uint32_t multiple = 1, float size = 1)
      : stride((cols + offset_floats + 3 + multiple - 1) / multiple * multiple), offset(offset_floats) {
    before = random_floats(size_t{n} * stride, seed, size);
    buffer = rig.upload(before);
  }

  Rows rows(uint32_t from = 0) const { return {buffer.address() + (uint64_t{from} * stride + offset) * sizeof(float), stride}; }
  const float* old_row(uint32_t t) const { return before.data() + size_t{t} * stride + offset; }
  float* row(uint32_t t) { return reinterpret_cast<float*>(buffer.mapped().data()) + size_t{t} * stride + offset; }
  std::vector<float> now() { return {row(0) - offset, row(0) - offset + before.size()}; }
  void restore() { std::copy(before.begin(), before.end(), row(0) - offset); }

  // Whether all but columns first .. first + cols of the rows is as it was.
  bool only_changed(uint32_t first, uint32_t cols) {
    const auto all = now();
    for (size_t i = 0; i < all.size(); ++i) {
      const uint32_t col = static_cast<uint32_t>(i % stride);
      const bool inside = col >= offset + first && col < offset + first + cols;
      if (!inside && all[i] != before[i]) return false;
    }
    return true;
  }
};

}  // namespace hotset::test
