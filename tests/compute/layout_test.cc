// The mat-vec kernel under every division of rows among lanes: what tuning.h picks for other devices runs here too.
#include <doctest/doctest.h>

#include <cmath>

#include "shaders/shaders.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

struct Layout {
  uint32_t lanes, subgroups, step_words, wide, rows;
};

std::vector<float> product(GpuRig& rig, const Layout& layout, const Weight& w, const Buffer& x) {
  const uint32_t subgroup = rig.device->limits().subgroup_size;
  const uint32_t workgroup = subgroup * layout.subgroups;
  const Program program =
      rig.programs
          ->get({"matvec", any_rare({w.type}) ? shaders::matvec_all : shaders::matvec, {layout.lanes, workgroup, subgroup, layout.step_words, layout.wide, layout.rows, static_cast<uint32_t>(w.type), 1}})
          .value();
  Buffer out = rig.buffer(w.rows * 4);
  const shaders::MatvecPush push = {rig.control.address(), x.address(), 0, {w.address}, {out.address()}, {w.rows}, w.cols,
                                    static_cast<uint32_t>(row_bytes(w.type, w.cols).value())};
  const uint32_t per_workgroup = workgroup / layout.lanes * layout.rows;
  Recorder recorder(*rig.device, rig.programs->cache());
  REQUIRE(recorder.begin(rig.commands).ok());
  const uint32_t groups = (w.rows + per_workgroup - 1) / per_workgroup;
  const uint64_t codebooks = rig.programs->codebooks();
  recorder.push(shaders::kBooksPushOffset, std::as_bytes(std::span(&codebooks, 1)));
  recorder.dispatch(program, push, (groups + 1) / 2, 1, 2);  // as for more rows than x takes
  recorder.barrier(WorkKind::kShader, WorkKind::kHost);
  REQUIRE(recorder.end().ok());
  const TimelinePoint point = rig.device->compute().submit(std::span(&rig.commands, 1)).value();
  REQUIRE(rig.device->compute().wait(point.value).ok());
  const auto got = rig.view<float>(out);
  return {got.begin(), got.end()};
}

}  // namespace

TEST_CASE("matmul, decode: every lane layout gives the product") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  const uint32_t subgroup = rig->device->limits().subgroup_size;
  for (const BlockType type : kAllTypes) {
    for (const uint32_t cols : {256u, 768u}) {
      const uint32_t rows = 21;
      const QuantRows w = random_rows(type, rows, cols, 3);
      const std::vector<float> xs = random_floats(cols, 4);
      Buffer matrix = rig->upload(w.blocks), x = rig->upload(xs);
      for (const Layout& layout : {Layout{subgroup, 2, 2, 0, 2}, {subgroup, 1, 1, 0, 1}, {subgroup / 2, 4, 4, 0, 3}, {2, 1, 8, 1, 4}, {1, 2, 2, 0, 1}, {1, 1, 8, 0, 2}}) {
        CAPTURE(block_type_name(type));
        CAPTURE(cols);
        CAPTURE(layout.lanes);
        CAPTURE(layout.step_words);
        const std::vector<float> got = product(*rig, layout, {type, rows, cols, matrix.address()}, x);
        double worst = 0;
        for (uint32_t r = 0; r < rows; ++r) {
          double value = 0, magnitude = 1e-30;
          for (uint32_t c = 0; c < cols; ++c) {
            const double term = static_cast<double>(w.values[r * cols + c]) * static_cast<double>(xs[c]);
            value += term;
            magnitude += std::fabs(term);
          }
          const double error = std::fabs(static_cast<double>(got[r]) - value) / magnitude;
          worst = std::isfinite(got[r]) ? std::max(worst, error) : HUGE_VAL;
        }
        CHECK(worst <= 1e-6);
      }
    }
  }
}
