// Times the operations of the decode phase on this machine's device: microseconds a dispatch and GB/s of weights.
//
//   hotset_kernel_bench [part of a line's name]
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>

#include "platform/clock.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr uint64_t kMaxWeightBytes = 700u << 20;

// A software device computes on the CPU: time that the threads ran does not hang on what else the machine does.
double cpu_now() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Bench {
  std::unique_ptr<GpuRig> rig;
  std::string wanted;

  double cpu_seconds = 0;  // of all threads, in the try that took least of them

  // Seconds of one submit of what `record` records; the least of several.
  double seconds(const std::function<void(Ops&)>& record, int tries) {
    double best = 1e9;
    const Status begun = rig->ops->begin(rig->segment);
    record(*rig->ops);
    const Status ended = rig->ops->end();
    if (!begun.ok() || !ended.ok()) {
      std::printf("%s\n", (begun.ok() ? ended : begun).message().c_str());
      return best;
    }
    for (int i = 0; i < tries; ++i) {
      const uint64_t start = now_ns();
      const double cpu_start = cpu_now();
      if (!rig->run().ok()) return best;
      cpu_seconds = i == 0 ? cpu_now() - cpu_start : std::min(cpu_seconds, cpu_now() - cpu_start);
      best = std::min(best, static_cast<double>(now_ns() - start) * 1e-9);
    }
    return best;
  }

  // Runs an operation many times in one submit; every run waits for the one before.
  void line(const std::string& name, uint64_t weight_bytes, const std::function<void(Ops&)>& operation) {
    if (name.find(wanted) == std::string::npos) return;
    const uint64_t start = now_ns();
    const double first = seconds(operation, 1);
    const double compile_ms = static_cast<double>(now_ns() - start) * 1e-6 - first * 1e3;
    const double once = seconds(operation, 3);
    const int count = static_cast<int>(std::clamp(0.006 / once, 1.0, 400.0));
    const double time = seconds([&](Ops& ops) {
      for (int i = 0; i < count; ++i) operation(ops);
    }, 25) / count;
    const double bytes = static_cast<double>(weight_bytes) * 1e-9;
    std::printf("%-34s %10.1f us  %7.2f GB/s  %7.2f GB per CPU second  %6.0f ms to compile\n", name.c_str(), time * 1e6, bytes / time,
                bytes * count / cpu_seconds, compile_ms);
    std::fflush(stdout);
  }

  // `rows` rows, the content of few repeated.
  Buffer weights(BlockType type, uint32_t rows, uint32_t cols) {
    const QuantRows some = random_rows(type, 16, cols, 5);
    Buffer made = rig->buffer(rows / 16 * some.blocks.size());
    for (size_t at = 0; at < made.size_bytes(); at += some.blocks.size()) std::memcpy(made.mapped().data() + at, some.blocks.data(), some.blocks.size());
    return made;
  }

  void matvec(BlockType type, uint32_t rows, uint32_t cols) {
    const std::string name = std::string("matvec ") + block_type_name(type) + " " + std::to_string(rows) + "x" + std::to_string(cols);
    const uint64_t size = rows * row_bytes(type, cols).value();
    if (name.find(wanted) == std::string::npos || size > kMaxWeightBytes) return;
    Buffer matrix = weights(type, rows, cols), x = rig->upload(random_floats(cols, 1)), out = rig->buffer(rows * 4);
    const Weight w = {type, rows, cols, matrix.address()};
    line(name, size, [&](Ops& ops) { ops.matmul(w, rig->tensor(x), rig->tensor(out), 1, Phase::kDecode); });
  }

  void experts(BlockType type, uint32_t embd, uint32_t ff, uint32_t used) {
    const std::string tail = std::string(block_type_name(type)) + " " + std::to_string(ff) + "x" + std::to_string(embd) + " x" + std::to_string(used);
    if (("expert_up " + tail + " expert_down " + tail).find(wanted) == std::string::npos) return;
    const uint64_t size = ff * row_bytes(type, embd).value();
    Buffer records = weights(type, ff * 3 * used, embd);
    std::vector<uint64_t> at;
    for (uint32_t s = 0; s < used; ++s) at.push_back(records.address() + s * 3 * size);
    Buffer addresses = rig->upload(at), x = rig->upload(random_floats(embd, 1)), hidden = rig->upload(random_floats(used * ff, 2));
    Buffer share = rig->upload(std::vector<float>(used, 0.1f)), out = rig->buffer(embd * 4);
    const ExpertShape shape = {embd, ff, used, type, type, type, 0, static_cast<uint32_t>(size), static_cast<uint32_t>(2 * size)};
    line("expert_up " + tail, 2 * used * size, [&](Ops& ops) { ops.expert_up(shape, rig->tensor(addresses), {}, rig->tensor(x), rig->tensor(hidden)); });
    line("expert_down " + tail, used * size, [&](Ops& ops) {
      ops.expert_down(shape, rig->tensor(addresses), rig->tensor(share), rig->tensor(hidden), rig->tensor(out));
    });
  }

  void small() {
    Buffer x = rig->upload(random_floats(2048, 1)), y = rig->buffer(2048 * 4), weight = rig->upload(random_floats(2048, 2));
    Buffer ids = rig->buffer(64), weights8 = rig->buffer(64);
    rig->control_block().stop = 1;
    line("stopped dispatch and barrier", 0, [&](Ops& ops) { ops.rms_norm(rig->tensor(x), weight.address(), rig->tensor(y), 1, 256, 1e-6f); });
    rig->control_block().stop = 0;
    for (const uint32_t cols : {256u, 2048u}) {
      line("rms_norm " + std::to_string(cols), 0,
           [&](Ops& ops) { ops.rms_norm(rig->tensor(x), weight.address(), rig->tensor(y), 1, cols, 1e-6f); });
    }
    for (const auto& [experts, used] : {std::pair{32u, 2u}, {128u, 8u}}) {
      line("route " + std::to_string(experts) + " top " + std::to_string(used), 0,
           [&, e = experts, u = used](Ops& ops) { ops.route({e, u}, rig->tensor(x), rig->tensor(ids), rig->tensor(weights8), 1); });
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  Bench bench{GpuRig::open(), argc > 1 ? argv[1] : ""};
  if (!bench.rig) {
    std::printf("no usable Vulkan device\n");
    return 1;
  }
  std::printf("%s\n", bench.rig->device->name().c_str());
  bench.small();
  for (const BlockType type : kAllTypes) {
    for (const auto& [rows, cols] : {std::pair{256u, 256u}, {2048u, 2048u}, {4096u, 256u}, {151936u, 2048u}}) bench.matvec(type, rows, cols);
    bench.experts(type, 256, 256, 2);
    bench.experts(type, 2048, 768, 8);
  }
  return 0;
}
