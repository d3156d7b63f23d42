#include "tests/offload/token_simulator.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace hotset::test {
namespace {

enum Engine : size_t { kGpu, kBus, kCpu, kDisk, kEngines };

// A piece of work: a delay, then bytes at no more than `bytes_per_s`, of which each costs `ram_traffic` bytes of RAM.
struct Task {
  Engine engine;
  double delay_ns;
  double bytes;
  double bytes_per_s;
  double ram_traffic;
  std::vector<size_t> after;
  bool done = false;
};

class Layer {
 public:
  explicit Layer(const LinkRates& rates) : rates_(rates) {}

  size_t add(Engine engine, double delay_ns, double bytes, double bytes_per_s, double ram_traffic, std::vector<size_t> after) {
    tasks_.push_back({engine, delay_ns, bytes, bytes_per_s, ram_traffic, std::move(after)});
    return tasks_.size() - 1;
  }

  // Plays all tasks; the time of the last one's end.
  double play() {
    double now_ns = 0;
    while (true) {
      const std::vector<size_t> running = next_of_engines();
      if (running.empty()) return now_ns;
      const std::vector<double> speed = speeds(running);
      double step_ns = std::numeric_limits<double>::infinity();
      for (size_t i = 0; i < running.size(); ++i) step_ns = std::min(step_ns, left_ns(tasks_[running[i]], speed[i]));
      for (size_t i = 0; i < running.size(); ++i) advance(tasks_[running[i]], speed[i], step_ns);
      now_ns += step_ns;
    }
  }

 private:
  bool ready(const Task& task) const {
    return std::all_of(task.after.begin(), task.after.end(), [&](size_t i) { return tasks_[i].done; });
  }

  // The first unfinished ready task of each engine.
  std::vector<size_t> next_of_engines() const {
    std::vector<size_t> running;
    std::array<bool, kEngines> busy{};
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (tasks_[i].done || busy[tasks_[i].engine] || !ready(tasks_[i])) continue;
      busy[tasks_[i].engine] = true;
      running.push_back(i);
    }
    return running;
  }

  // Bytes per ns of each: its own limit, or its fair share of the RAM when all together ask for more than there is.
  std::vector<double> speeds(const std::vector<size_t>& running) const {
    std::vector<double> speed(running.size(), 0.0);
    double ram_left = rates_.ram_bytes_per_s > 0 ? rates_.ram_bytes_per_s / 1e9 : std::numeric_limits<double>::infinity();
    std::vector<size_t> open;
    for (size_t i = 0; i < running.size(); ++i) {
      const Task& task = tasks_[running[i]];
      if (task.delay_ns > 0 || task.bytes <= 0) continue;
      if (task.ram_traffic > 0) open.push_back(i);
      else speed[i] = task.bytes_per_s / 1e9;
    }
    const auto wish = [&](size_t i) { return tasks_[running[i]].bytes_per_s / 1e9 * tasks_[running[i]].ram_traffic; };
    std::sort(open.begin(), open.end(), [&](size_t a, size_t b) { return wish(a) < wish(b); });
    for (size_t n = 0; n < open.size(); ++n) {
      const double ram = std::min(wish(open[n]), ram_left / static_cast<double>(open.size() - n));
      ram_left -= ram;
      speed[open[n]] = ram / tasks_[running[open[n]]].ram_traffic;
    }
    return speed;
  }

  static double left_ns(const Task& task, double speed) {
    if (task.delay_ns > 0) return task.delay_ns;
    return task.bytes > 0 ? task.bytes / speed : 0;
  }

  static void advance(Task& task, double speed, double step_ns) {
    if (task.delay_ns > 0) {
      task.delay_ns = std::max(0.0, task.delay_ns - step_ns);
      task.done = task.delay_ns <= 0 && task.bytes <= 0;
      return;
    }
    task.bytes -= speed * step_ns;
    if (task.bytes < 1e-3) task.bytes = 0, task.done = true;
  }

  const LinkRates& rates_;
  std::vector<Task> tasks_;
};

// The layer's tasks under one setting.
class Player {
 public:
  Player(const LinkRates& rates, const TokenWork& work) : rates_(rates), bytes_(static_cast<double>(work.record_bytes)) {}

  double play(const Setting& setting, const Draw& draw) const {
    if (setting.mode != MissMode::kCpu || !setting.split) return play(setting.mode, draw, 0);
    double best_ns = std::numeric_limits<double>::infinity();
    for (uint32_t copied = 0; copied <= draw.in_ram; ++copied) best_ns = std::min(best_ns, play(setting.mode, draw, copied));
    return best_ns;
  }

 private:
  double gpu_ram() const { return rates_.unified ? 1 : 0; }

  double play(MissMode mode, const Draw& draw, uint32_t copied) const {
    Layer layer(rates_);
    const bool missed = draw.in_ram + draw.on_disk > 0;
    std::vector<size_t> start;
    if (missed && (mode != MissMode::kInPlace || draw.on_disk > 0)) {
      start.push_back(layer.add(kGpu, static_cast<double>(rates_.stop_ns), 0, 1, 0, {}));
    }
    std::vector<size_t> read;
    for (uint32_t i = 0; i < draw.on_disk; ++i) {
      read.push_back(layer.add(kDisk, i == 0 ? static_cast<double>(rates_.disk_ns) : 0, bytes_, rates_.disk_bytes_per_s, 1, start));
    }
    switch (mode) {
      case MissMode::kWait: add_wait(layer, draw, start, read); break;
      case MissMode::kInPlace: add_in_place(layer, draw, start, read); break;
      case MissMode::kCpu: add_cpu(layer, draw, copied, start, read); break;
    }
    return layer.play();
  }

  std::vector<size_t> add_copies(Layer& layer, uint32_t count, const std::vector<size_t>& start, const std::vector<size_t>& read) const {
    const Engine engine = rates_.copies_overlap ? kBus : kGpu;
    std::vector<size_t> copies;
    for (uint32_t i = 0; i < count + read.size(); ++i) {
      std::vector<size_t> after = start;
      if (i >= count) after.push_back(read[i - count]);
      const bool new_batch = i == 0 || (i >= count && i + 1 == count + read.size());  // what had arrived, then the last
      copies.push_back(layer.add(engine, new_batch ? static_cast<double>(rates_.copy_ns) : 0, bytes_, rates_.copy_bytes_per_s, 1, after));
    }
    return copies;
  }

  void add_wait(Layer& layer, const Draw& draw, const std::vector<size_t>& start, const std::vector<size_t>& read) const {
    const std::vector<size_t> copies = draw.in_ram + draw.on_disk > 0 ? add_copies(layer, draw.in_ram, start, read) : std::vector<size_t>{};
    layer.add(kGpu, 0, (draw.in_vram + draw.in_ram + draw.on_disk) * bytes_, rates_.device_bytes_per_s, gpu_ram(), copies);
  }

  void add_in_place(Layer& layer, const Draw& draw, std::vector<size_t> start, const std::vector<size_t>& read) const {
    start.insert(start.end(), read.begin(), read.end());
    layer.add(kGpu, 0, draw.in_vram * bytes_, rates_.device_bytes_per_s, gpu_ram(), start);
    layer.add(kGpu, 0, (draw.in_ram + draw.on_disk) * bytes_, rates_.in_place_bytes_per_s, 1, start);
  }

  void add_cpu(Layer& layer, const Draw& draw, uint32_t copied, const std::vector<size_t>& start, const std::vector<size_t>& read) const {
    layer.add(kGpu, 0, draw.in_vram * bytes_, rates_.device_bytes_per_s, gpu_ram(), start);
    if (copied > 0) layer.add(kGpu, 0, copied * bytes_, rates_.device_bytes_per_s, gpu_ram(), add_copies(layer, copied, start, {}));
    for (uint32_t i = 0; i < draw.in_ram - copied; ++i) layer.add(kCpu, 0, bytes_, rates_.cpu_bytes_per_s, 1, start);
    for (const size_t one : read) {
      std::vector<size_t> after = start;
      after.push_back(one);
      layer.add(kCpu, 0, bytes_, rates_.cpu_bytes_per_s, 1, after);
    }
  }

  const LinkRates& rates_;
  const double bytes_;
};

}  // namespace

std::vector<Draw> draw_layers(const TokenWork& work, uint32_t tokens, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::map<std::array<uint32_t, 3>, uint32_t> times;
  for (uint64_t layer = 0; layer < uint64_t{tokens} * work.moe_layers; ++layer) {
    std::array<uint32_t, 3> places{};
    for (uint32_t i = 0; i < work.top_k; ++i) ++places[uniform(random) < work.vram_hit_rate ? 0 : uniform(random) < work.ram_hit_share ? 1 : 2];
    ++times[places];
  }
  std::vector<Draw> draws;
  for (const auto& [places, count] : times) draws.push_back({places[0], places[1], places[2], count});
  return draws;
}

double simulate_tokens(const LinkRates& rates, const TokenWork& work, const Setting& setting, const std::vector<Draw>& draws) {
  const Player player(rates, work);
  const double dense_rate = work.dense_bytes_per_s > 0 ? work.dense_bytes_per_s : rates.device_bytes_per_s;
  double layers_ns = 0;
  uint64_t layers = 0;
  for (Draw draw : draws) {
    if (!setting.use_cache) draw.in_ram += std::exchange(draw.in_vram, 0);
    layers_ns += draw.times * player.play(setting, draw);
    layers += draw.times;
  }
  const double fixed_ns = work.fixed_ns + static_cast<double>(rates.submit_ns * work.submits + rates.operation_ns * work.operations);
  return fixed_ns + static_cast<double>(work.dense_bytes) / dense_rate * 1e9 + layers_ns * work.moe_layers / static_cast<double>(layers);
}

}  // namespace hotset::test
