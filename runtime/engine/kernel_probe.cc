#include "runtime/engine/kernel_probe.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "platform/clock.h"
#include "runtime/compute/backend_cpu.h"

namespace hotset {
namespace {

// A product as a decoder of a mid-sized model has them, 18 MiB of weights.
constexpr uint32_t kRows = 16384;
constexpr uint32_t kCols = 2048;
constexpr int kTries = 4;

// A product whose bytes take next to no time, but with work for several threads of a device.
constexpr uint32_t kSmallRows = 64;
constexpr uint32_t kSmallCols = 256;
constexpr uint32_t kFewOperations = 4;
constexpr uint32_t kManyOperations = 36;
constexpr int kFixedTries = 9;

// A matrix of zeros, room for activations, and the operations on them.
struct Trial {
  std::unique_ptr<DeviceMemory> memory;
  Buffer weights, values, control;
  std::unique_ptr<Ops> ops;

  static Result<Trial> create(Backend& backend, uint64_t weight_bytes, uint64_t value_count) {
    Trial trial;
    trial.memory = backend.make_memory(UINT64_MAX >> 1);
    HOTSET_ASSIGN(trial.weights, trial.memory->allocate(weight_bytes + 256, MemoryKind::kDevice, "trial weights"));
    HOTSET_ASSIGN(trial.values, trial.memory->allocate(value_count * sizeof(float), MemoryKind::kDevice, "trial activations"));
    HOTSET_ASSIGN(trial.control, trial.memory->allocate(sizeof(shaders::Control), MemoryKind::kShared, "trial control"));
    for (Buffer* buffer : {&trial.weights, &trial.values, &trial.control}) {
      if (!buffer->mapped().empty()) std::memset(buffer->mapped().data(), 0, buffer->mapped().size());
    }
    trial.ops = backend.make_ops(trial.control.address());
    return trial;
  }

  Result<uint64_t> run_ns(SegmentId segment) {
    const uint64_t start_ns = now_ns();
    HOTSET_ASSIGN(const uint64_t point, ops->submit({&segment, 1}));
    HOTSET_RETURN_IF_ERROR(ops->wait(point));
    return now_ns() - start_ns;
  }
};

// `count` small products, each of which reads what the one before wrote.
Result<SegmentId> record_chain(Trial& trial, uint32_t count) {
  HOTSET_ASSIGN(const SegmentId segment, trial.ops->new_segment());
  HOTSET_RETURN_IF_ERROR(trial.ops->begin(segment));
  constexpr uint64_t kHalfBytes = kSmallCols * sizeof(float);
  const Tensor halves[] = {{trial.values.address(), kHalfBytes}, {trial.values.address() + kHalfBytes, kHalfBytes}};
  for (uint32_t i = 0; i < count; ++i) {
    trial.ops->matmul({BlockType::kQ4_K, kSmallRows, kSmallCols, trial.weights.address()}, halves[i % 2],
                      halves[(i + 1) % 2], 1, Phase::kDecode);
  }
  HOTSET_RETURN_IF_ERROR(trial.ops->end());
  return segment;
}

double median_of(std::vector<uint64_t>& samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2), samples.end());
  return static_cast<double>(samples[samples.size() / 2]);
}

}  // namespace

Result<double> measure_matvec_bytes_per_s(Backend& backend) {
  const uint64_t weight_bytes = kRows * row_bytes(BlockType::kQ4_K, kCols).value();
  HOTSET_ASSIGN(Trial trial, Trial::create(backend, weight_bytes, kRows + kCols));
  HOTSET_ASSIGN(const SegmentId segment, trial.ops->new_segment());
  HOTSET_RETURN_IF_ERROR(trial.ops->begin(segment));
  trial.ops->matmul({BlockType::kQ4_K, kRows, kCols, trial.weights.address()}, {trial.values.address(), kCols * sizeof(float)},
                    {trial.values.address() + kCols * sizeof(float), kRows * sizeof(float)}, 1, Phase::kDecode);
  HOTSET_RETURN_IF_ERROR(trial.ops->end());
  uint64_t best_ns = UINT64_MAX;
  for (int i = 0; i < kTries; ++i) {
    HOTSET_ASSIGN(const uint64_t ns, trial.run_ns(segment));
    best_ns = std::min(best_ns, ns);
  }
  backend.wait_idle();
  return static_cast<double>(weight_bytes) / static_cast<double>(best_ns) * 1e9;
}

double measure_cpu_bytes_per_s(uint32_t threads) {
  const auto cpu = BackendCpu::open(threads);
  if (!cpu.ok()) return 0;
  const auto measured = measure_matvec_bytes_per_s(**cpu);
  return measured.ok() ? *measured : 0;
}

Result<FixedCosts> measure_fixed_costs(Backend& backend) {
  const uint64_t weight_bytes = kSmallRows * row_bytes(BlockType::kQ4_K, kSmallCols).value();
  HOTSET_ASSIGN(Trial trial, Trial::create(backend, weight_bytes, 2 * kSmallCols));
  HOTSET_ASSIGN(const SegmentId few, record_chain(trial, kFewOperations));
  HOTSET_ASSIGN(const SegmentId many, record_chain(trial, kManyOperations));
  std::vector<uint64_t> few_ns, many_ns;
  for (int i = 0; i <= kFixedTries; ++i) {
    HOTSET_ASSIGN(const uint64_t of_few, trial.run_ns(few));
    HOTSET_ASSIGN(const uint64_t of_many, trial.run_ns(many));
    if (i == 0) continue;  // first uses are slow
    few_ns.push_back(of_few);
    many_ns.push_back(of_many);
  }
  backend.wait_idle();
  const double short_ns = median_of(few_ns), long_ns = median_of(many_ns);
  const double operation_ns = std::max(0.0, (long_ns - short_ns) / (kManyOperations - kFewOperations));
  return FixedCosts{static_cast<uint64_t>(operation_ns), static_cast<uint64_t>(std::max(0.0, short_ns - kFewOperations * operation_ns))};
}

Result<KernelRates> measure_kernels(Backend& backend, uint32_t threads) {
  KernelRates rates;
  HOTSET_ASSIGN(rates.device_bytes_per_s, measure_matvec_bytes_per_s(backend));
  HOTSET_ASSIGN(const FixedCosts fixed, measure_fixed_costs(backend));
  rates.operation_ns = fixed.operation_ns;
  rates.submit_ns = fixed.submit_ns;
  if (threads > 0) rates.cpu_bytes_per_s = measure_cpu_bytes_per_s(threads);
  return rates;
}

}  // namespace hotset
