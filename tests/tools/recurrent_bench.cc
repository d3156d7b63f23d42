// recurrent_bench [filter]: speed of the recurrences on the CPU and on the first usable GPU, at the sizes of real layers.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <thread>

#include "tests/compute/cpu_rig.h"
#include "tests/compute/gpu_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Within -scale .. 0.
template <class Rig>
Buffer some_floats(Rig& rig, size_t count, float scale) {
  std::vector<float> values(count);
  std::mt19937 random(5);
  for (float& value : values) value = -scale * static_cast<float>(random() % 1001) / 1000.0f;
  return rig.upload(values);
}

// Prints the best of a few runs; the first one, which makes the pipelines, by itself. CPU seconds are steadier where others work as well.
template <class Rig, class Record>
void measure(Rig& rig, const std::string& name, const std::string& filter, Record record) {
  if (name.find(filter) == std::string::npos) return;
  rig.control_block() = {1, 0, 0, 0};
  const auto cold = std::chrono::steady_clock::now();
  if (!rig.run(record).ok()) return;
  const double first = seconds_since(cold);
  double best = 1e9, best_cpu = 1e9;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20 && (i < 5 || seconds_since(begin) < 2); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const double start_cpu = cpu_seconds();
    if (!rig.run(record).ok()) return;
    best = std::min(best, seconds_since(start));
    best_cpu = std::min(best_cpu, cpu_seconds() - start_cpu);
  }
  std::printf("%-52s %9.3f ms, %9.3f ms of CPU; first %6.2f s\n", name.c_str(), best * 1e3, best_cpu * 1e3, first);
  std::fflush(stdout);
}

// As in Qwen3-Next: 16 key heads, 32 value heads of 128.
template <class Rig>
void bench_heads(Rig& rig, const std::string& device, const std::string& filter) {
  const uint32_t most = 512, keys = 16 * 128, values = 32 * 128;
  Buffer q = some_floats(rig, most * keys, 0.1f), k = some_floats(rig, most * keys, 0.1f), v = some_floats(rig, most * values, 1);
  Buffer decay = some_floats(rig, most * values, 1), beta = some_floats(rig, most * 32, 1), state = rig.buffer(uint64_t{values} * 128 * 4);
  Buffer out = rig.buffer(uint64_t{most} * values * 4);
  for (const bool by_channel : {false, true}) {
    const LinearAttentionShape shape = {32, 16, false, 128, 128, by_channel ? Decay::kChannel : Decay::kHead, true, 0.088f};
    for (const uint32_t n : {1u, most}) {
      const std::string name = device + (by_channel ? " delta attention, decay by channel, n " : " gated delta net, n ") + std::to_string(n);
      measure(rig, name, filter, [&](Ops& ops) {
        ops.linear_attention(shape, {q.address(), keys}, {k.address(), keys}, {v.address(), values}, {decay.address(), by_channel ? values : 32},
                             {beta.address(), 32}, state.address(), {out.address(), values}, n);
      });
    }
  }
}

// The convolution of Qwen3-Next and the scan of Jamba.
template <class Rig>
void bench_channels(Rig& rig, const std::string& device, const std::string& filter) {
  const uint32_t most = 512, channels = 8192;
  Buffer x = some_floats(rig, most * channels, 1), weight = some_floats(rig, channels * 16, 1), state = rig.buffer(channels * 16 * 4);
  Buffer out = rig.buffer(uint64_t{most} * channels * 4), d = some_floats(rig, channels, 1);
  for (const uint32_t n : {1u, most}) {
    measure(rig, device + " convolution, n " + std::to_string(n), filter, [&](Ops& ops) {
      ops.conv({channels, 4, Activation::kSilu}, {x.address(), channels}, weight.address(), 0, state.address(), {out.address(), channels}, n);
    });
    measure(rig, device + " selective scan, n " + std::to_string(n), filter, [&](Ops& ops) {
      ops.selective_scan({channels, 16}, {x.address(), channels}, {x.address(), channels}, {x.address(), 16}, {x.address(), 16}, weight.address(),
                         d.address(), state.address(), {out.address(), channels}, n);
    });
  }
}

template <class Rig>
void bench(Rig& rig, const std::string& device, const std::string& filter) {
  bench_heads(rig, device, filter);
  bench_channels(rig, device, filter);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  CpuRig cpu(std::max(1u, std::thread::hardware_concurrency()));
  bench(cpu, "CPU", filter);
  const auto gpu = GpuRig::open();
  if (!gpu) return 0;
  bench(*gpu, "GPU", filter);
}
