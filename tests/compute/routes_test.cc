// Routers of all families on both devices, against one plain reference in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

struct Router {
  RouteShape shape;
  std::vector<float> logit_bias, choice_bias, expert_scales;  // empty: none
  std::vector<uint32_t> tokens;                               // [n] or empty
  std::vector<int32_t> token_experts;                         // [vocab][used]
};

struct Routed {
  std::vector<uint32_t> ids;
  std::vector<float> weights;
};

template <class Rig>
Routed run_router(Rig& rig, const Router& router, const std::vector<float>& scores) {
  const RouteShape& shape = router.shape;
  const uint32_t n = static_cast<uint32_t>(scores.size() / shape.experts);
  std::vector<Buffer> memory;
  const auto place = [&](const auto& values) -> uint64_t {
    if (values.empty()) return 0;
    memory.push_back(rig.upload(values));
    return memory.back().address();
  };
  RouteInputs inputs;
  inputs.logit_bias = place(router.logit_bias);
  inputs.choice_bias = place(router.choice_bias);
  inputs.expert_scales = place(router.expert_scales);
  inputs.tokens = place(router.tokens);
  inputs.token_experts = place(router.token_experts);
  Buffer in = rig.upload(scores), ids = rig.buffer(uint64_t{n} * shape.used * 4), weights = rig.buffer(uint64_t{n} * shape.used * 4);
  REQUIRE(rig.run([&](Ops& ops) { ops.route(shape, rig.tensor(in), rig.tensor(ids), rig.tensor(weights), n, 0, nullptr, 0, inputs); }).ok());
  Routed made;
  const auto id_view = rig.template view<uint32_t>(ids);
  const auto weight_view = rig.template view<float>(weights);
  made.ids.assign(id_view.begin(), id_view.begin() + n * shape.used);
  made.weights.assign(weight_view.begin(), weight_view.begin() + n * shape.used);
  return made;
}

std::vector<double> gates_of(const RouteShape& shape, const std::vector<double>& logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const double logit : logits) total += std::exp(logit - most);
  std::vector<double> gates;
  for (const double logit : logits) {
    switch (shape.gating) {
      case Gating::kSoftmax: gates.push_back(std::exp(logit - most) / total); break;
      case Gating::kSigmoid: gates.push_back(1 / (1 + std::exp(-logit))); break;
      case Gating::kSqrtSoftplus: gates.push_back(std::sqrt(std::log1p(std::exp(logit)))); break;
    }
  }
  return gates;
}

// The groups whose best, or two best together, have the highest keys.
std::set<uint32_t> open_groups(const RouteShape& shape, const std::vector<double>& keys, bool by_pairs) {
  const uint32_t count = shape.experts / shape.groups;
  std::vector<std::pair<double, uint32_t>> sums;
  for (uint32_t group = 0; group < shape.groups; ++group) {
    std::vector<double> members(keys.begin() + group * count, keys.begin() + (group + 1) * count);
    std::sort(members.rbegin(), members.rend());
    sums.push_back({-(members[0] + (by_pairs && count > 1 ? members[1] : 0)), group});
  }
  std::sort(sums.begin(), sums.end());
  std::set<uint32_t> open;
  for (uint32_t i = 0; i < shape.groups_used; ++i) open.insert(sums[i].second);
  return open;
}

// The ids are the best open ones in falling order but for what float rounding may swap; the weights are those of the ids.
void check_token(const Router& router, const float* scores, const uint32_t* ids, const float* weights) {
  const RouteShape& shape = router.shape;
  std::vector<double> logits(scores, scores + shape.experts);
  for (size_t i = 0; i < router.logit_bias.size(); ++i) logits[i] = double{scores[i] + router.logit_bias[i]};
  const std::vector<double> gates = gates_of(shape, logits);
  std::vector<double> biased = gates;
  for (size_t i = 0; i < router.choice_bias.size(); ++i) biased[i] += double{router.choice_bias[i]};
  const std::vector<double>& keys = router.choice_bias.empty() ? logits : biased;
  const std::set<uint32_t> open = open_groups(shape, keys, !router.choice_bias.empty());
  const std::set<uint32_t> chosen(ids, ids + shape.used);
  REQUIRE(chosen.size() == shape.used);
  REQUIRE(*chosen.rbegin() < shape.experts);
  const double slack = router.choice_bias.empty() ? 0 : 2e-6;
  for (uint32_t s = 1; s < shape.used; ++s) CHECK(keys[ids[s - 1]] >= keys[ids[s]] - slack);
  for (uint32_t i = 0; i < shape.experts; ++i) {
    if (open.count(i / (shape.experts / shape.groups)) == 0) CHECK(chosen.count(i) == 0);
    else if (chosen.count(i) == 0) CHECK(keys[i] <= keys[ids[shape.used - 1]] + slack);
  }
  double sum = 0;
  for (uint32_t s = 0; s < shape.used; ++s) sum += gates[ids[s]];
  for (uint32_t s = 0; s < shape.used; ++s) {
    const double scale = double{shape.scale} * (router.expert_scales.empty() ? 1.0 : double{router.expert_scales[ids[s]]});
    const double want = gates[ids[s]] / (shape.renormalise ? std::max(sum, double{shape.least_sum}) : 1) * scale;
    CHECK(std::abs(double{weights[s]} - want) <= 4e-6 * std::abs(want) + 1e-12);
  }
}

template <class Rig>
void check_router(Rig& rig, const Router& router, uint32_t seed) {
  const std::vector<float> scores = random_floats(size_t{3} * router.shape.experts, seed, 3);
  const Routed routed = run_router(rig, router, scores);
  for (uint32_t t = 0; t < 3; ++t) {
    check_token(router, &scores[size_t{t} * router.shape.experts], &routed.ids[t * router.shape.used], &routed.weights[t * router.shape.used]);
  }
}

// Every gating, with and without biases for the choice, at every size, with every combination of `extras`. Unless `all`, which
// takes a program for each on a GPU: every gating and bias at one size with groups, one of them at each other, one of `extras`.
template <class Rig>
void check_all(Rig& rig, bool all) {
  struct Size {
    uint32_t experts, used, groups, groups_used;
  };
  uint32_t seed = 1;
  for (const Size& size : {Size{48, 6, 4, 2}, Size{6, 2, 1, 1}, Size{512, 32, 1, 1}, Size{256, 8, 8, 4}, Size{32, 4, 32, 9}}) {
    const uint32_t only = size.experts / 2 % 7 % 6;  // 3, 4, 2, 2
    uint32_t kind = 0;
    for (const Gating gating : {Gating::kSoftmax, Gating::kSigmoid, Gating::kSqrtSoftplus}) {
      for (const bool biased : {false, true}) {
        if (!all && size.groups != 4 && kind++ != only) continue;
        for (uint32_t extras = all ? 0 : seed % 8, left = all ? 8 : 1; left > 0; --left, ++extras) {
          CAPTURE(size.experts);
          CAPTURE(static_cast<uint32_t>(gating));
          CAPTURE(extras);
          Router router;
          router.shape = {size.experts, size.used, (extras & 1) != 0, 2.5f, gating, size.groups, size.groups_used};
          if (biased) router.choice_bias = random_floats(size.experts, ++seed, 0.3f);
          if ((extras & 2) != 0) router.logit_bias = random_floats(size.experts, ++seed);
          if ((extras & 4) != 0) router.expert_scales = random_floats(size.experts, ++seed);
          check_router(rig, router, ++seed);
        }
      }
    }
  }
}

template <class Rig>
void check_order(Rig& rig) {
  const float nan = std::nanf(""), low = -4;
  Router router;
  router.shape = {16, 4, true, 1, Gating::kSigmoid, 4, 2};
  const auto ids = [&](const std::vector<float>& scores) { return run_router(rig, router, scores).ids; };
  using Ids = std::vector<uint32_t>;
  // All alike: the first groups and ids. With equal biases too.
  CHECK(ids(std::vector<float>(16, 1.0f)) == Ids{0, 1, 2, 3});
  router.choice_bias.assign(16, 0.5f);
  CHECK(ids(std::vector<float>(16, 1.0f)) == Ids{0, 1, 2, 3});
  // Groups 1 and 3 have the best pairs, though the best expert is in group 0.
  std::vector<float> scores = {4, low, low, low, 2, 2, low, low, 1, 1, low, low, 2, 2, low, low};
  CHECK(ids(scores) == Ids{4, 5, 12, 13});
  // A NaN is no expert's or group's advantage: group 1 falls behind, and those of group 3 come last.
  scores[5] = scores[6] = scores[14] = scores[15] = nan;
  router.shape.used = 7;
  CHECK(ids(scores) == Ids{12, 13, 8, 9, 10, 11, 14});
  // Without a bias for the choice a group's best expert speaks for it: groups 0 and 1.
  router.choice_bias.clear();
  CHECK(ids(scores) == Ids{0, 4, 1, 2, 3, 7, 5});
  CHECK(ids(std::vector<float>(16, nan)) == Ids{0, 1, 2, 3, 4, 5, 6});
  // Gates that are all 1 in float keep the order of their scores.
  router.shape = {6, 3, false, 1, Gating::kSigmoid};
  CHECK(ids({20, 30, 25, 40, 28, 26}) == Ids{3, 1, 4});
  router.choice_bias = {-1, 0, 0, -1, 0, 0};
  CHECK(ids({90, 90, 90, 90, 90, 90}) == Ids{1, 2, 4});
}

template <class Rig>
void check_sums(Rig& rig) {
  Router router;
  router.shape = {4, 2, true, 3, Gating::kSigmoid};
  router.shape.least_sum = 6.103515625e-5f;
  const std::vector<float> scores = {-200, -100, -150, -20};
  const Routed routed = run_router(rig, router, scores);
  CHECK(routed.ids == std::vector<uint32_t>{3, 1});
  CHECK(double{routed.weights[0]} == doctest::Approx(3 * std::exp(-20.0) / 6.103515625e-5).epsilon(1e-5));
  CHECK(routed.weights[1] >= 0);
  CHECK(routed.weights[1] < 1e-30f);
}

// Ids come from the table, whatever it holds; weights are their gates.
template <class Rig>
void check_tokens(Rig& rig) {
  Router router;
  router.shape = {8, 3, true, 1.5f, Gating::kSqrtSoftplus};
  router.tokens = {2, 0, 2};
  router.token_experts = {7, 0, 3, 9, 9, 9, 1, 6, 2};
  const std::vector<float> scores = random_floats(24, 5);
  const Routed routed = run_router(rig, router, scores);
  CHECK(routed.ids == std::vector<uint32_t>{1, 6, 2, 7, 0, 3, 1, 6, 2});
  for (uint32_t t = 0; t < 3; ++t) {
    const std::vector<double> gates = gates_of(router.shape, {scores.begin() + t * 8, scores.begin() + t * 8 + 8});
    const uint32_t* ids = &routed.ids[t * 3];
    const double sum = gates[ids[0]] + gates[ids[1]] + gates[ids[2]];
    for (uint32_t s = 0; s < 3; ++s) CHECK(double{routed.weights[t * 3 + s]} == doctest::Approx(1.5 * gates[ids[s]] / sum).epsilon(3e-6));
  }
  router.token_experts = {-1, 1 << 30, 5, 0, 0, 0, 4, 8, 7};
  CHECK(run_router(rig, router, scores).ids == std::vector<uint32_t>{4, 7, 7, 7, 7, 5, 4, 7, 7});
}

// Experts that a group shares: numbers halved, weights from the gates that carry those numbers.
template <class Rig>
void check_divisor(Rig& rig) {
  Router router;
  router.shape = {8, 3, true};
  router.shape.id_divisor = 2;
  const std::vector<float> scores = {0, 1, 0.5f, 0, 5, 4, 0, 3};
  const Routed routed = run_router(rig, router, scores);
  CHECK(routed.ids == std::vector<uint32_t>{2, 2, 3});
  const double two = std::exp(0.5), three = 1, sum = 2 * two + three;
  CHECK(double{routed.weights[0]} == doctest::Approx(two / sum).epsilon(3e-6));
  CHECK(double{routed.weights[1]} == doctest::Approx(two / sum).epsilon(3e-6));
  CHECK(double{routed.weights[2]} == doctest::Approx(three / sum).epsilon(3e-6));
}

}  // namespace

TEST_CASE("routes: every gating, grouping, bias and scale on the CPU") {
  CpuRig rig;
  check_all(rig, true);
}

TEST_CASE("routes: every gating, grouping, bias and scale on the GPU") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  check_all(*rig, false);
}

TEST_CASE("routes: ties, NaN, sums of nothing, tables by token and shared numbers on the CPU") {
  CpuRig rig;
  check_order(rig);
  check_sums(rig);
  check_tokens(rig);
  check_divisor(rig);
}

TEST_CASE("routes: ties, NaN, sums of nothing, tables by token and shared numbers on the GPU") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  check_order(*rig);
  check_sums(*rig);
  check_tokens(*rig);
  check_divisor(*rig);
}

TEST_CASE("routes: shapes that no router has are told from those that work") {
  CHECK(can_route({256, 8, true, 1, Gating::kSigmoid, 8, 4}));
  CHECK_FALSE(can_route({}));
  CHECK_FALSE(can_route({40, 33}));
  CHECK_FALSE(can_route({4, 5}));
  CHECK_FALSE(can_route({10, 2, true, 1, Gating::kSoftmax, 4, 2}));
  CHECK_FALSE(can_route({16, 9, true, 1, Gating::kSoftmax, 4, 2}));
  CHECK_FALSE(can_route({16, 2, true, 1, Gating::kSoftmax, 4, 5}));
  CHECK_FALSE(can_route({64, 2, true, 1, Gating::kSoftmax, 64, 5}));
}
