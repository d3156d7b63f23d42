#include <doctest/doctest.h>

#include <algorithm>

#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

TEST_CASE("embed: rows of every type come out exactly") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const BlockType type : kAllTypes) {
    for (const uint32_t cols : {32u, 256u, 768u, 44u}) {
      if (cols % block_elements(type) != 0) continue;
      CAPTURE(block_type_name(type));
      CAPTURE(cols);
      const QuantRows table = random_rows(type, 9, cols, 7);
      const std::vector<uint32_t> tokens = {3, 8, 0, 3, 7};
      Buffer weights = rig->upload(table.blocks), ids = rig->upload(tokens), out = rig->buffer(tokens.size() * cols * 4);
      const Weight w = {type, 9, cols, weights.address()};
      REQUIRE(rig->run([&](Ops& ops) { ops.embed(w, ids.address(), rig->tensor(out), static_cast<uint32_t>(tokens.size())); }).ok());
      const auto got = rig->view<float>(out);
      // scale * q - min may round once (fused) where the reference rounds twice; all else is exact.
      const bool has_min = half_places(type).mins_behind != 0;
      const float slack = has_min ? 1e-7f * *std::max_element(table.values.begin(), table.values.end()) : 0;
      size_t wrong = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        const float want = table.values[tokens[i / cols] * cols + i % cols];
        wrong += std::fabs(got[i] - want) > slack;
      }
      CHECK(wrong == 0);
    }
  }
}
