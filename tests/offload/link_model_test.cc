// The link model: formulas against hand-made figures, and its choices against a machine played out event by event.
#include "offload/link_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/offload/token_simulator.h"

using namespace hotset;
using test::Setting;
using test::simulate_tokens;

namespace {

constexpr double kGb = 1e9;  // bytes per second below are decimal, as links are sold
constexpr uint64_t kMb = 1000 * 1000;

struct Machine {
  const char* name;
  LinkRates rates;
};

// device, in place, copy, per copy, CPU, RAM, disk, per read, stop
LinkRates rates_of(double device, double in_place, double copy, uint64_t copy_ns, double cpu, double ram, double disk, uint64_t disk_ns,
                   uint64_t stop_ns) {
  return {device * kGb, in_place * kGb, copy * kGb, copy_ns, cpu * kGb, ram * kGb, disk * kGb, disk_ns, stop_ns, false, true};
}

LinkRates without_transfer_queue(LinkRates rates) {
  rates.copies_overlap = false;
  return rates;
}

LinkRates unified(LinkRates rates) {
  rates.unified = true;
  return rates;
}

LinkRates with_fixed(LinkRates rates, uint64_t operation_ns, uint64_t submit_ns) {
  rates.operation_ns = operation_ns;
  rates.submit_ns = submit_ns;
  return rates;
}

const std::vector<Machine>& machines() {
  static const std::vector<Machine> all = {
      {"PCIe 3 x4, laptop CPU", rates_of(160, 0.8, 2.8, 30000, 25, 35, 2.5, 150000, 150000)},
      {"PCIe 4 x16", rates_of(300, 6, 24, 20000, 45, 62, 5.5, 100000, 100000)},
      {"PCIe 5 x16", rates_of(900, 13, 50, 20000, 45, 62, 6.5, 100000, 80000)},
      {"fast in-place reads", rates_of(300, 21, 24, 20000, 30, 62, 5.5, 100000, 100000)},
      {"slow CPU", rates_of(300, 6, 24, 20000, 6, 40, 3, 100000, 100000)},
      {"many cores, eight channels", rates_of(500, 6, 24, 20000, 170, 220, 7, 100000, 100000)},
      {"no transfer queue", without_transfer_queue(rates_of(250, 3, 18, 60000, 35, 50, 4, 100000, 120000))},
      {"no ReBAR, staged copies", rates_of(250, 0, 6, 80000, 35, 50, 4, 100000, 120000)},
      {"unified memory", unified(rates_of(180, 180, 0, 0, 60, 210, 5, 100000, 60000))},
      {"unified, CPU faster than GPU", unified(rates_of(12, 12, 0, 0, 22, 30, 3, 100000, 70000))},
      {"software device", unified(rates_of(2.4, 2.4, 7, 5000, 13, 15, 1.5, 100000, 70000))},
      {"no CPU kernels", rates_of(300, 6, 24, 20000, 0, 50, 4, 100000, 100000)},
      {"copies alone", rates_of(300, 0, 12, 30000, 0, 40, 3, 100000, 100000)},
      {"slow NVMe", rates_of(300, 6, 24, 20000, 45, 62, 1.2, 250000, 100000)},
      {"dear stops", rates_of(300, 6, 24, 20000, 45, 62, 5, 100000, 900000)},
      {"riser of one lane", rates_of(360, 0.3, 0.8, 60000, 40, 55, 3, 100000, 130000)},
      {"unified, slow CPU", unified(rates_of(90, 90, 0, 0, 15, 95, 3, 100000, 80000))},
      {"NVMe faster than the bus", rates_of(250, 1, 3, 40000, 30, 45, 7, 80000, 120000)},
      {"hard disk", rates_of(250, 3, 12, 40000, 30, 45, 0.18, 9000000, 120000)},
      {"dear kernels", with_fixed(unified(rates_of(3.5, 3.5, 7, 5000, 20, 13, 2, 100000, 40000)), 58000, 80000)},
      {"GPU with dear launches", with_fixed(rates_of(300, 6, 24, 20000, 45, 62, 5, 100000, 100000), 9000, 60000)},
  };
  return all;
}

TokenWork work_of(uint64_t dense_bytes, uint32_t layers, uint32_t top_k, uint64_t record_bytes) {
  TokenWork work;
  work.dense_bytes = dense_bytes;
  work.moe_layers = layers;
  work.top_k = top_k;
  work.record_bytes = record_bytes;
  work.operations = 3 + 10 * layers;
  work.submits = 1;
  return work;
}

struct Shape {
  const char* name;
  TokenWork work;
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {"small experts (30B-A3B)", work_of(800 * kMb, 48, 8, 2857 * 1000)},
      {"large experts (8x7B)", work_of(900 * kMb, 32, 2, 99 * kMb)},
      {"1T (384 experts)", work_of(6500 * kMb, 60, 8, 25 * kMb)},
      {"many tiny experts", work_of(300 * kMb, 40, 12, 500 * 1000)},
      {"a model of 20 MB", work_of(4 * kMb, 5, 2, 100 * 1000)},
  };
  return all;
}

struct Residency {
  double hit_rate;
  double ram_share;
};
constexpr Residency kResidencies[] = {{0.0, 1.0}, {0.3, 1.0}, {0.7, 1.0}, {0.95, 1.0}, {0.4, 0.6}, {0.9, 0.5}, {0.05, 0.1}};

TokenWork at(TokenWork work, const Residency& residency) {
  work.vram_hit_rate = residency.hit_rate;
  work.ram_hit_share = residency.ram_share;
  return work;
}

std::vector<Setting> settings_of(const MissPaths& paths, bool all_in_ram) {
  std::vector<Setting> settings;
  for (const bool use_cache : {true, false}) {
    if (!use_cache && !all_in_ram) continue;
    if (paths.wait) settings.push_back({MissMode::kWait, false, use_cache});
    if (paths.in_place) settings.push_back({MissMode::kInPlace, false, use_cache});
    if (paths.cpu) settings.push_back({MissMode::kCpu, false, use_cache});
    if (paths.split) settings.push_back({MissMode::kCpu, true, use_cache});
  }
  return settings;
}

struct Case {
  const Machine& machine;
  const Shape& shape;
  const Residency& residency;
  TokenWork work;
  std::vector<test::Draw> draws;

  double played_ns(const Setting& setting) const { return simulate_tokens(machine.rates, work, setting, draws); }
};

// Every machine with every shape and residency.
template <class Check>
void for_each_case(Check check) {
  for (const Shape& shape : shapes()) {
    for (const Residency& residency : kResidencies) {
      const TokenWork work = at(shape.work, residency);
      const std::vector<test::Draw> draws = test::draw_layers(work, 200, 20261122);
      for (const Machine& machine : machines()) check(Case{machine, shape, residency, work, draws});
    }
  }
}

std::string text_of(const Setting& setting) {
  return std::string(miss_mode_name(setting.mode)) + (setting.split ? "+copies" : "") + (setting.use_cache ? "" : ", no cache");
}

const LinkRates kPlain = rates_of(100, 10, 20, 1000, 40, 80, 5, 50000, 10000);

}  // namespace

TEST_CASE("link model: the cost of a layer, by hand") {
  constexpr uint64_t kRecord = 1000 * 1000;  // at 1 GB/s a record takes 1 ms: 10 us at 100 GB/s
  struct Row {
    const char* what;
    MissMode mode;
    LayerWork work;
    uint32_t copied;
    double total_us;
  };
  const Row rows[] = {
      {"hits alone need no stop", MissMode::kWait, {kRecord, 8, 0, 0}, 0, 80},
      {"wait: stop 10, batch 1, copy 2 x 50, run 8 x 10", MissMode::kWait, {kRecord, 6, 2, 0}, 0, 10 + 1 + 100 + 80},
      {"in place: no stop, hits 6 x 10, misses 2 x 100", MissMode::kInPlace, {kRecord, 6, 2, 0}, 0, 60 + 200},
      {"CPU: stop, then 2 x 25 beside hits 6 x 10", MissMode::kCpu, {kRecord, 6, 2, 0}, 0, 10 + 60},
      {"CPU is the longer: 6 x 25 beside 2 x 10", MissMode::kCpu, {kRecord, 2, 6, 0}, 0, 10 + 150},
      {"two of four copied: 1 + 2 x 50, then run 2 x 10; CPU 2 x 25", MissMode::kCpu, {kRecord, 4, 4, 0}, 2, 10 + 101 + 20},
      {"disk: stop, 50 + 200, then the CPU's last record 25", MissMode::kCpu, {kRecord, 7, 0, 1}, 0, 10 + 250 + 25},
      {"disk in place: stop, read, hits, then over the bus", MissMode::kInPlace, {kRecord, 7, 0, 1}, 0, 10 + 250 + 70 + 100},
      {"disk by copy: stop, read, batch and copy, run", MissMode::kWait, {kRecord, 7, 0, 1}, 0, 10 + 250 + 51 + 80},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(layer_cost(kPlain, row.mode, row.work, row.copied).total_ns() == doctest::Approx(row.total_us * 1000));
  }
}

TEST_CASE("link model: a path that is not there costs infinity, and only with a miss") {
  LinkRates rates = kPlain;
  rates.cpu_bytes_per_s = rates.in_place_bytes_per_s = rates.copy_bytes_per_s = 0;
  for (const MissMode mode : {MissMode::kWait, MissMode::kInPlace, MissMode::kCpu}) {
    CHECK(std::isfinite(layer_cost(rates, mode, {1000, 4, 0, 0}).total_ns()));
    CHECK(std::isinf(layer_cost(rates, mode, {1000, 4, 1, 0}).total_ns()));
  }
  CHECK(paths_of(rates).wait == false);
  CHECK(best_plan(rates, at(work_of(0, 2, 2, 1000), {0.5, 1}), paths_of(rates)).mode == MissMode::kWait);
}

TEST_CASE("link model: misses are split between copies and CPU") {
  CHECK(copied_share(rates_of(100, 0, 20, 0, 40, 0, 0, 0, 0)) == doctest::Approx(20.0 / 60));
  CHECK(copied_share(rates_of(100, 0, 25, 0, 52.5, 75, 0, 0, 0)) == doctest::Approx(0.3));  // reference figure: RAM bounds the two
  CHECK(copied_share(rates_of(100, 0, 25, 0, 75, 75, 0, 0, 0)) == doctest::Approx(0));      // the CPU alone draws all of the RAM
  CHECK(copied_share(rates_of(100, 0, 25, 0, 0, 75, 0, 0, 0)) == 1);
  CHECK(copied_share(rates_of(100, 0, 0, 0, 40, 75, 0, 0, 0)) == 0);
  // With many misses the best whole number comes near the share.
  const LinkRates rates = rates_of(1000, 0, 20, 0, 40, 0, 0, 0, 0);
  CHECK(best_copied(rates, {kMb, 0, 60, 0}) == doctest::Approx(20).epsilon(0.06));
  CHECK(best_copied(rates, {kMb, 0, 1, 0}) == 0);
}

// Auto, and every fixed setting that `paths` allows, on a machine that is played out. The choice is judged by the played-out time, not by
// the formulas that made it.
void check_never_loses(const Case& c, const MissPaths& paths) {
  const MissPlan plan = best_plan(c.machine.rates, c.work, paths);
  const Setting chosen = {plan.mode, plan.split, plan.use_cache};
  const double auto_ns = c.played_ns(chosen);
  for (const Setting& fixed : settings_of(paths, c.residency.ram_share >= 1)) {
    const double fixed_ns = c.played_ns(fixed);
    CAPTURE(std::string(c.machine.name) + ", " + c.shape.name + ": " + text_of(chosen) + " against " + text_of(fixed));
    CAPTURE(c.residency.hit_rate);
    CAPTURE(c.residency.ram_share);
    CHECK(auto_ns <= fixed_ns * 1.03);
    if (!fixed.use_cache && !fixed.split) CHECK(auto_ns <= fixed_ns * 1.0001);  // the floor: no cache, one path
  }
}

TEST_CASE("link model: auto never loses to a fixed setting, nor to no cache, on any machine") {
  for_each_case([](const Case& c) {
    check_never_loses(c, paths_of(c.machine.rates));
    MissPaths without_split = paths_of(c.machine.rates);
    without_split.split = false;
    check_never_loses(c, without_split);
  });
}

TEST_CASE("link model: formulas agree with a machine played out event by event") {
  for_each_case([](const Case& c) {
    for (const Setting& fixed : settings_of(paths_of(c.machine.rates), c.residency.ram_share >= 1)) {
      CAPTURE(std::string(c.machine.name) + ", " + c.shape.name + ": " + text_of(fixed));
      CAPTURE(c.residency.hit_rate);
      CAPTURE(c.residency.ram_share);
      // The draws scatter by a per cent or two; that the lanes share RAM in the course of a layer, not on average, is worth the rest.
      const double modelled_ns = estimate_token(c.machine.rates, c.work, {fixed.mode, fixed.split, fixed.use_cache}).total_ns;
      CHECK(modelled_ns == doctest::Approx(c.played_ns(fixed)).epsilon(0.07));
    }
  });
}

TEST_CASE("link model: what is paid whatever the bytes") {
  // A model of 20 MB on the software device: 53 kernels of 58 us and a submit are most of its token.
  const LinkRates rates = with_fixed(kPlain, 58000, 80000);
  const TokenWork work = at(shapes().back().work, {1.0, 1.0});
  const TokenEstimate token = estimate_token(rates, work, {MissMode::kCpu, false, true});
  CHECK(token.fixed_ns == doctest::Approx(53 * 58000 + 80000));
  CHECK(token.limit == "launches");
  CHECK(token.total_ns - token.fixed_ns == doctest::Approx(estimate_token(kPlain, work, {MissMode::kCpu, false, true}).total_ns));
  const TokenEstimate twice = scaled(token, 2);
  CHECK(twice.total_ns == doctest::Approx(2 * token.total_ns));
  CHECK(twice.fixed_ns == doctest::Approx(2 * token.fixed_ns));
  CHECK(twice.tokens_per_s() == doctest::Approx(token.tokens_per_s() / 2));
}

TEST_CASE("link model: reads ahead as they were counted") {
  struct Row {
    const char* what;
    ReadAhead counted;
    double ram_share, recall, precision;
  };
  const Row rows[] = {
      {"nothing was asked of RAM", {}, 1, 0, 1},
      {"no reads ahead", {100, 73, 0, 0, 0}, 0.73, 0, 1},
      {"20 of 90 hits were read ahead, of 25", {100, 90, 25, 20, 0}, 0.7, 20.0 / 30, 0.8},
      {"late ones count half", {100, 90, 25, 20, 4}, 0.7, 22.0 / 30, 22.0 / 25},
      {"all in RAM", {100, 100, 0, 0, 0}, 1, 0, 1},
      {"none of use", {100, 50, 30, 0, 0}, 0.5, 0, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    TokenWork work;
    set_read_ahead(row.counted, work);
    CHECK(work.ram_hit_share == doctest::Approx(row.ram_share));
    CHECK(work.read_ahead_recall == doctest::Approx(row.recall));
    CHECK(work.read_ahead_precision == doctest::Approx(row.precision));
  }
}

TEST_CASE("link model: what auto takes on machines where the answer is known") {
  const auto plan_of = [](size_t machine, double hit_rate) {
    return best_plan(machines()[machine].rates, at(shapes()[0].work, {hit_rate, 1}), paths_of(machines()[machine].rates));
  };
  CHECK(plan_of(0, 0.5).mode == MissMode::kCpu);                             // a slow bus
  CHECK(plan_of(5, 0.5).mode == MissMode::kCpu);                             // many cores
  CHECK((plan_of(4, 0.5).split || plan_of(4, 0.5).mode != MissMode::kCpu));  // a slow CPU beside a good bus
  CHECK(plan_of(8, 0.5).mode == MissMode::kInPlace);                         // unified memory: nothing to move
  CHECK(plan_of(12, 0.5).mode == MissMode::kWait);                           // the one path there is
  CHECK(plan_of(14, 0.95).mode == MissMode::kInPlace);                       // stops dearer than the bus
  CHECK(plan_of(10, 0.5).use_cache == false);                                // a software device: the CPU is faster than VRAM
  CHECK(best_mode(machines()[0].rates, 2857 * 1000, 8, 2.0, paths_of(machines()[0].rates)) == MissMode::kCpu);
  CHECK(best_mode(machines()[8].rates, 2857 * 1000, 8, 2.0, paths_of(machines()[8].rates)) == MissMode::kInPlace);
  CHECK(best_mode(machines()[0].rates, 2857 * 1000, 8, 2.0, {true, false, false}) == MissMode::kWait);
}

TEST_CASE("link model: the parts of a token sum to it, and the limit is the largest") {
  for (const Machine& machine : machines()) {
    for (const Residency& residency : kResidencies) {
      TokenWork work = at(shapes()[2].work, residency);
      work.fixed_ns = 1e6;
      work.promoted_bytes = 50e6;
      const TokenEstimate token = estimate_token(machine.rates, work, best_plan(machine.rates, work, paths_of(machine.rates)));
      CAPTURE(machine.name);
      const double parts =
          token.fixed_ns + token.dense_ns + token.experts_ns + token.copy_ns + token.cpu_ns + token.ram_ns + token.disk_ns + token.stops_ns;
      if (!std::isfinite(token.total_ns)) continue;
      CHECK(parts == doctest::Approx(token.total_ns));
      CHECK(token.link_busy_ns <= token.total_ns * 1.000001);
      CHECK(token.ram_busy_ns <= token.total_ns * 1.000001);
      CHECK(token.disk_busy_ns <= token.total_ns * 1.000001);
      if (token.disk_ns > token.total_ns / 2) CHECK(token.limit == "disk");
    }
  }
  const TokenEstimate resident = estimate_token(kPlain, at(shapes()[0].work, {1.0, 1.0}), {MissMode::kCpu, false, true});
  CHECK(resident.limit == "VRAM");
  CHECK(resident.stops_ns == 0);
  CHECK(resident.tokens_per_s() == doctest::Approx(1e9 / resident.total_ns));
}

TEST_CASE("link model: a model without experts, or with absurdly many, is a legal case") {
  TokenWork dense = work_of(1000 * kMb, 0, 0, 0);
  CHECK(estimate_token(kPlain, dense, {}).total_ns == doctest::Approx(1e7));  // 1 GB at 100 GB/s
  CHECK(estimate_token(LinkRates{}, work_of(0, 0, 0, 0), {}).total_ns == 0);
  const TokenWork many = at(work_of(0, 2, 5000, 1000), {0.5, 1});
  const TokenEstimate token = estimate_token(kPlain, many, {MissMode::kCpu, false, true});
  CHECK(token.cpu_ns + token.experts_ns + token.ram_ns == doctest::Approx(2 * 2500 * 1000 / 40.0));
}

TEST_CASE("link model: promotions") {
  // 1 MB at 20 GB/s and 1 us: 51 us on the bus. A hit that saves 25 us pays after three uses.
  CHECK_FALSE(promotion_pays(kPlain, kMb, 25000, 0.1, 20));
  CHECK(promotion_pays(kPlain, kMb, 25000, 0.1, 21));
  CHECK_FALSE(promotion_pays(kPlain, kMb, 25000, -0.1, 1000));
  LinkRates no_copies = kPlain;
  no_copies.copy_bytes_per_s = 0;
  CHECK_FALSE(promotion_pays(no_copies, kMb, 1e9, 1, 1e6));
  TokenEstimate token;
  token.total_ns = 10e6;
  token.link_busy_ns = 2e6;
  token.ram_busy_ns = 1e6;
  CHECK(promotion_budget_bytes(kPlain, token) == 80 * kMb);  // half of 8 ms at 20 GB/s
  token.ram_busy_ns = 9e6;
  CHECK(promotion_budget_bytes(kPlain, token) == 40 * kMb);  // half of 1 ms at 80 GB/s
  token.ram_busy_ns = 10e6;
  CHECK(promotion_budget_bytes(kPlain, token) == 0);
  CHECK(promotion_budget_bytes(no_copies, token) == 0);
  CHECK(promotion_budget_bytes(without_transfer_queue(kPlain), token) == 10 * kMb);  // a twentieth of 10 ms
}

TEST_CASE("link model: promotions within the budget cost nothing, beyond the link they cost its time") {
  TokenWork work = at(shapes()[0].work, {0.7, 1});
  const MissPlan plan = {MissMode::kCpu, false, true};
  const TokenEstimate before = estimate_token(kPlain, work, plan);
  work.promoted_bytes = static_cast<double>(promotion_budget_bytes(kPlain, before));
  CHECK(work.promoted_bytes > 0);
  CHECK(estimate_token(kPlain, work, plan).total_ns == doctest::Approx(before.total_ns));
  work.promoted_bytes = 20e9;
  CHECK(estimate_token(kPlain, work, plan).total_ns == doctest::Approx(1e9));
}

TEST_CASE("link model: a hit saves what the plan pays for a miss") {
  // In place: 100 us a miss, 10 us a hit, no stop, whatever the others do.
  CHECK(saved_by_hit_ns(kPlain, {MissMode::kInPlace, false, true}, kMb, 8, 2.0) == doctest::Approx(90000));
  CHECK(saved_by_hit_ns(kPlain, {MissMode::kInPlace, false, true}, kMb, 8, 0.0) == doctest::Approx(90000));
  // On the CPU of a layer of two: with the last miss goes the stop too (10 + 25 against 2 x 10).
  CHECK(saved_by_hit_ns(kPlain, {MissMode::kCpu, false, true}, kMb, 2, 0.0) == doctest::Approx(15000).epsilon(0.01));
  CHECK(saved_by_hit_ns(kPlain, {MissMode::kCpu, false, true}, kMb, 0, 0) == 0);
}

TEST_CASE("link model: a prefetch pays above cost over gain and cost") {
  CHECK(prefetch_pays(0.76, 1, 3));
  CHECK_FALSE(prefetch_pays(0.74, 1, 3));
  CHECK(prefetch_pays(0.01, 1, 0));
  CHECK_FALSE(prefetch_pays(1, 0, 0));
  TokenEstimate token;
  token.total_ns = 1e6;
  token.disk_busy_ns = 0;
  CHECK(break_even_precision(kPlain, token, kMb, 25000, PrefetchTarget::kRam) == 0);  // an idle disk
  token.disk_busy_ns = 1e6;
  CHECK(break_even_precision(kPlain, token, kMb, 25000, PrefetchTarget::kRam) == doctest::Approx(200.0 / 450));
  token.link_busy_ns = 1e6;
  CHECK(break_even_precision(kPlain, token, kMb, 25000, PrefetchTarget::kVram) == doctest::Approx(50.0 / 75));
  CHECK(break_even_precision(without_transfer_queue(kPlain), TokenEstimate{}, kMb, 25000, PrefetchTarget::kVram) == doctest::Approx(50.0 / 75));
  CHECK(break_even_precision(kPlain, token, kMb, 0, PrefetchTarget::kVram) == 1);
  // Measured elsewhere: 47 us a miss on the CPU and 142 us an upload break even at 75 %.
  LinkRates measured = kPlain;
  measured.copy_bytes_per_s = 2857e3 / 142e-6;
  CHECK(break_even_precision(measured, token, 2857 * 1000, 47000, PrefetchTarget::kVram) == doctest::Approx(0.75).epsilon(0.01));
}

TEST_CASE("link model: prefetch and read-ahead move bytes out of the token's way") {
  const LinkRates& rates = machines()[13].rates;  // slow NVMe
  TokenWork work = at(shapes()[0].work, {0.5, 0.5});
  const MissPlan plan = {MissMode::kCpu, false, true};
  const double before = estimate_token(rates, work, plan).total_ns;
  work.read_ahead_recall = 0.6;
  work.read_ahead_precision = 0.9;
  const TokenEstimate ahead = estimate_token(rates, work, plan);
  CHECK(ahead.total_ns < before);
  CHECK(ahead.total_ns >= ahead.disk_busy_ns);
  work.read_ahead_precision = 0.05;  // twenty reads for one that is used: the disk is the limit and the token longer
  CHECK(estimate_token(rates, work, plan).total_ns > before);
  CHECK(estimate_token(rates, work, plan).limit == "disk");
}

TEST_CASE("link model: hit rates where none were measured") {
  CHECK(modelled_hit_rate(0) == 0);
  CHECK(modelled_hit_rate(1) == 1);
  CHECK(modelled_hit_rate(0.25) == doctest::Approx(0.578).epsilon(0.01));
  CHECK(modelled_hit_rate(2) == 1);
  CHECK(modelled_ram_hit_share(0.25, 0.75) == 1);
  CHECK(modelled_ram_hit_share(0.25, 0) == 0);
  CHECK(modelled_ram_hit_share(1, 0) == 1);
  const double vram = modelled_hit_rate(0.2), both = modelled_hit_rate(0.5);
  CHECK(modelled_ram_hit_share(0.2, 0.3) == doctest::Approx((both - vram) / (1 - vram)));
}

TEST_CASE("link model: a submit of copies fits a slice, and is worth its submit") {
  LinkRates rates;
  constexpr uint64_t kLeast = 256u << 10;
  CHECK(slice_bytes(rates, 0) == 0);
  CHECK(slice_bytes(rates, 2'000'000) == kLeast);  // not measured
  rates.copy_bytes_per_s = 10e9;
  CHECK(slice_bytes(rates, 0) == 0);
  CHECK(slice_bytes(rates, 2'000'000) == 20'000'000);
  rates.copy_ns = 500'000;
  CHECK(slice_bytes(rates, 2'000'000) == 15'000'000);
  CHECK(slice_bytes(rates, 500'000) == kLeast);
  CHECK(slice_bytes(rates, 1) == kLeast);
  rates.copy_bytes_per_s = 1e12;
  CHECK(slice_bytes(rates, 10'000'000'000) > 9'000'000'000'000);
}
