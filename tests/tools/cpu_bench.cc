// Times the CPU kernels on one thread: GB/s of weights by set and type, from memory and from the second-level cache.
//
//   hotset_cpu_bench [part of a line's name]...      lines are named SET TYPE
//   hotset_cpu_bench --rows ROWS --cols COLS --tokens TOKENS --megabytes SIZE --repeats N
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "runtime/compute/cpu/dot.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;

namespace {

struct Settings {
  std::vector<std::string> wanted;
  uint32_t rows = 2048;  // of one call
  uint32_t cols = 2048;
  uint32_t tokens = 1;
  uint32_t megabytes = 512;  // of weights from memory, well above any cache
  uint32_t repeats = 7;
};

// Time that this thread ran, so that other programs on the machine take little part.
double seconds_run() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <class T>
T* aligned(std::vector<std::byte>& memory, uint64_t size_bytes) {
  memory.assign(size_bytes + 64, std::byte{});
  return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) & ~uintptr_t{63});
}

// One type's weights, repeated until they fill the memory that the caches cannot hold.
struct Work {
  BlockType type;
  uint64_t row_bytes;
  uint64_t rows;
  const std::byte* weights;
  const void* activations;
  uint64_t act_stride;
  float* out;
};

// GB/s over `rows` rows of weights, `passes` times.
double rate(const cpu::Kernels& set, const Settings& settings, const Work& work, uint64_t rows, uint64_t passes) {
  const double start = seconds_run();
  for (uint64_t pass = 0; pass < passes; ++pass) {
    for (uint64_t r = 0; r < rows; r += settings.rows) {
      const auto count = static_cast<uint32_t>(std::min<uint64_t>(settings.rows, rows - r));
      set.multiply(work.type, work.weights + r * work.row_bytes, work.row_bytes, count, settings.cols, work.activations, work.act_stride,
                   settings.tokens, work.out, settings.rows);
    }
  }
  return static_cast<double>(rows * passes * work.row_bytes) / ((seconds_run() - start) * 1e9);
}

double median_rate(const cpu::Kernels& set, const Settings& settings, const Work& work, uint64_t rows, uint64_t passes) {
  std::vector<double> rates;
  rate(set, settings, work, rows, 1);
  for (uint32_t i = 0; i < settings.repeats; ++i) rates.push_back(rate(set, settings, work, rows, passes));
  std::nth_element(rates.begin(), rates.begin() + static_cast<long>(rates.size() / 2), rates.end());
  return rates[rates.size() / 2];
}

bool is_wanted(const Settings& settings, const std::string& name) {
  if (settings.wanted.empty()) return true;
  return std::any_of(settings.wanted.begin(), settings.wanted.end(), [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

void bench(const cpu::Kernels& set, const Settings& settings, BlockType type, std::span<std::byte> memory) {
  const auto row_bytes = hotset::row_bytes(type, settings.cols);
  if (!row_bytes.ok()) return;
  constexpr uint32_t kSeedRows = 16;
  const QuantRows seed = random_rows(type, kSeedRows, settings.cols, 1);
  const uint64_t rows = memory.size() / seed.blocks.size() * kSeedRows;
  for (uint64_t at = 0; at + seed.blocks.size() <= memory.size(); at += seed.blocks.size()) {
    std::memcpy(memory.data() + at, seed.blocks.data(), seed.blocks.size());
  }
  const uint64_t act_stride = cpu::activation_bytes(type, settings.cols);
  std::vector<std::byte> activations;
  auto* prepared = aligned<std::byte>(activations, act_stride * settings.tokens);
  const std::vector<float> x = random_floats(settings.cols, 2);
  const double prepare_start = seconds_run();
  for (uint32_t t = 0; t < settings.tokens; ++t) set.prepare(type, x.data(), settings.cols, prepared + t * act_stride);
  const double prepare_us = (seconds_run() - prepare_start) * 1e6 / settings.tokens;
  std::vector<float> out(uint64_t{settings.rows} * settings.tokens);
  const Work work = {type, *row_bytes, rows, memory.data(), prepared, act_stride, out.data()};
  const uint64_t cached_rows = std::max<uint64_t>(1, (1 << 20) / *row_bytes);
  const double from_memory = median_rate(set, settings, work, rows, 1);
  const double from_cache = median_rate(set, settings, work, cached_rows, std::max<uint64_t>(1, (64 << 20) / settings.tokens >> 20));
  const double operations = 2.0 * settings.cols * settings.tokens / static_cast<double>(*row_bytes);
  std::printf("%-12s %-6s %9.2f %9.2f %9.1f %9.1f\n", set.name, block_type_name(type), from_memory, from_cache, from_cache * operations, prepare_us);
  std::fflush(stdout);
}

// What one thread can read: 64-bit sums over all of it.
double read_rate(std::span<const std::byte> memory) {
  const double start = seconds_run();
  const auto* words = reinterpret_cast<const uint64_t*>(memory.data());
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= memory.size() / 8; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  volatile uint64_t total = sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
  (void)total;
  return static_cast<double>(memory.size()) / ((seconds_run() - start) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Times the CPU kernels on one thread");
  app.add_option("lines", settings.wanted, "parts of the names of lines to run: SET TYPE");
  app.add_option("--rows", settings.rows, "rows of one call")->check(CLI::Range(1u, 1u << 20));
  app.add_option("--cols", settings.cols, "weights of a row")->check(CLI::Range(256u, 1u << 20));
  app.add_option("--tokens", settings.tokens, "activations of one call")->check(CLI::Range(1u, 4096u));
  app.add_option("--megabytes", settings.megabytes, "weights that no cache holds")->check(CLI::Range(4u, 65536u));
  app.add_option("--repeats", settings.repeats, "of which the median counts")->check(CLI::Range(1u, 1000u));
  CLI11_PARSE(app, argc, argv);

  std::vector<std::byte> memory(uint64_t{settings.megabytes} << 20);
  std::fill(memory.begin(), memory.end(), std::byte{1});
  std::printf("one thread, %u rows x %u cols x %u tokens; plain reads of memory: %.2f GB/s\n", settings.rows, settings.cols, settings.tokens,
              std::max(read_rate(memory), read_rate(memory)));
  std::printf("%-12s %-6s %9s %9s %9s %9s\n", "set", "type", "memory", "cache", "GFLOP/s", "prepare");
  std::printf("%-12s %-6s %9s %9s %9s %9s\n", "", "", "GB/s", "GB/s", "cache", "us");
  for (const cpu::Kernels* set : cpu::all_kernels()) {
    for (const BlockType type : kAllTypes) {
      if (is_wanted(settings, std::string(set->name) + " " + block_type_name(type))) bench(*set, settings, type, memory);
    }
  }
  return 0;
}
