#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// Ids and weights of one token, in double.
std::pair<std::vector<uint32_t>, std::vector<double>> route_one(const RouteShape& shape, std::span<const float> scores) {
  std::vector<uint32_t> order(shape.experts);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(shape.used);
  const double most = static_cast<double>(*std::max_element(scores.begin(), scores.end()));
  double total = 0, chosen = 0;
  for (const float score : scores) total += std::exp(static_cast<double>(score) - most);
  std::vector<double> weights;
  for (const uint32_t id : order) chosen += weights.emplace_back(std::exp(static_cast<double>(scores[id]) - most) / total);
  for (double& weight : weights) weight *= static_cast<double>(shape.scale) / (shape.renormalise ? chosen : 1);
  return {order, weights};
}

void check_route(GpuRig& rig, const RouteShape& shape, const std::vector<float>& scores) {
  const uint32_t n = static_cast<uint32_t>(scores.size() / shape.experts);
  Buffer in = rig.upload(scores), ids = rig.buffer(uint64_t{n} * shape.used * 4), weights = rig.buffer(uint64_t{n} * shape.used * 4);
  REQUIRE(rig.run([&](Ops& ops) { ops.route(shape, rig.tensor(in), rig.tensor(ids), rig.tensor(weights), n); }).ok());
  for (uint32_t t = 0; t < n; ++t) {
    const auto [want_ids, want_weights] = route_one(shape, std::span(scores).subspan(size_t{t} * shape.experts, shape.experts));
    for (uint32_t s = 0; s < shape.used; ++s) {
      CHECK(rig.view<uint32_t>(ids)[t * shape.used + s] == want_ids[s]);
      CHECK(static_cast<double>(rig.view<float>(weights)[t * shape.used + s]) == doctest::Approx(want_weights[s]).epsilon(3e-6));
    }
  }
}

}  // namespace

TEST_CASE("route: the best k in order, with their weights") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  for (const auto& [experts, used] : {std::pair{4u, 1u}, {32u, 2u}, {60u, 4u}, {128u, 8u}, {1024u, 32u}}) {
    CAPTURE(experts);
    const std::vector<float> scores = random_floats(size_t{3} * experts, experts, 4);
    check_route(*rig, {experts, used, true, 1.0f}, scores);
    check_route(*rig, {experts, used, false, 2.5f}, scores);
  }
}

TEST_CASE("route: among equals the lower id comes first, and large scores do not overflow") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  std::vector<float> scores(40, 1.0f);
  scores[17] = scores[33] = 2.0f;
  scores[5] = 0.0f;
  scores[6] = -0.0f;
  check_route(*rig, {40, 8}, scores);
  check_route(*rig, {8, 8}, {0.0f, -0.0f, 1000.0f, 999.0f, -1000.0f, 0.0f, 500.0f, -3e38f});
}

TEST_CASE("route: NaN scores still give ids in range") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  Buffer in = rig->upload(std::vector<float>(16, std::nanf(""))), ids = rig->buffer(32), weights = rig->buffer(32);
  REQUIRE(rig->run([&](Ops& ops) { ops.route({16, 8}, rig->tensor(in), rig->tensor(ids), rig->tensor(weights), 1); }).ok());
  for (uint32_t s = 0; s < 8; ++s) CHECK(rig->view<uint32_t>(ids)[s] == s);
}

TEST_CASE("route: addresses come from the table, and a missing one stops the pass") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  std::vector<float> scores(16, 0.0f);
  scores[3] = 2;
  scores[9] = 1;
  std::vector<uint64_t> table(16);
  for (size_t i = 0; i < table.size(); ++i) table[i] = 0x100000000ull * (i + 1);
  Buffer in = rig->upload(scores), known = rig->upload(table), ids = rig->buffer(8), weights = rig->buffer(8), addresses = rig->buffer(16);
  const Tensor found = rig->tensor(addresses);
  const auto run = [&](uint32_t stop_value) {
    return rig->run([&](Ops& ops) {
      ops.route({16, 2}, rig->tensor(in), rig->tensor(ids), rig->tensor(weights), 1, known.address(), &found, stop_value);
    });
  };
  REQUIRE(run(5).ok());
  CHECK(rig->view<uint64_t>(addresses)[0] == table[3]);
  CHECK(rig->view<uint64_t>(addresses)[1] == table[9]);
  CHECK(rig->control_block().stop == 0);
  rig->view<uint64_t>(known)[9] = 0;
  REQUIRE(run(5).ok());
  CHECK(rig->control_block().stop == 5);
  CHECK(rig->view<uint32_t>(ids)[1] == 9);
  REQUIRE(run(6).ok());
  CHECK(rig->control_block().stop == 5);  // the first stays
}
