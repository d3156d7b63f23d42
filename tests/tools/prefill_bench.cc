// prefill_bench [filter]: speed of the batch and attention kernels on the first usable device. Weights are random bytes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>

#include "tests/compute/gpu_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// CPU seconds of this process: on a software device that others share, steadier than the clock.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Buffer random_words(GpuRig& rig, uint64_t size_bytes) {
  std::vector<uint32_t> words((size_bytes + 3) / 4);
  std::mt19937 random(7);
  // Small exponents in every half, so that scales are finite.
  for (uint32_t& word : words) word = static_cast<uint32_t>(random()) & 0x3fff3fffu;
  return rig.upload(words);
}

Buffer random_floats(GpuRig& rig, size_t count) {
  std::vector<float> values(count);
  std::mt19937 random(5);
  for (float& value : values) value = static_cast<float>(random() % 2001) / 1000.0f - 1;
  return rig.upload(values);
}

// Prints the best of a few runs; the first run makes the pipelines.
template <class Record>
void measure(GpuRig& rig, const std::string& name, double flop, double bytes, Record record) {
  const auto cold = std::chrono::steady_clock::now();
  const Status made = rig.ops->begin(rig.segment);
  if (made.ok()) record(*rig.ops);
  const Status ended = rig.ops->end();
  if (!ended.ok()) {
    std::printf("%-44s failed: %s\n", name.c_str(), ended.message().c_str());
    return;
  }
  const double compile_s = seconds_since(cold);
  double best = 1e9, best_cpu = 1e9, first = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 8 && (i < 3 || seconds_since(begin) < 3); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const double start_cpu = cpu_seconds();
    if (!rig.run().ok()) return;
    if (i == 0) first = cpu_seconds() - start_cpu;
    best = std::min(best, seconds_since(start));
    best_cpu = std::min(best_cpu, cpu_seconds() - start_cpu);
  }
  std::printf("%-44s %8.2f ms %8.2f GFLOP/s %7.2f GB/s  per CPU second %6.2f GFLOP; compile %.2f + %.2f s\n", name.c_str(), best * 1e3, flop / best * 1e-9,
              bytes / best * 1e-9, flop / best_cpu * 1e-9, compile_s, first - best_cpu);
  std::fflush(stdout);
}

void bench_matmul(GpuRig& rig, const std::string& filter) {
  for (const BlockType type : {BlockType::kQ4_K, BlockType::kQ6_K, BlockType::kQ8_0, BlockType::kF16, BlockType::kF32}) {
    for (const uint32_t size : {256u, 2048u}) {
      const uint32_t n = 512;
      const uint64_t bytes = row_bytes(type, size).value() * size;
      const std::string name = std::string("matmul ") + block_type_name(type) + " " + std::to_string(size) + "x" + std::to_string(size) + " x 512";
      if (name.find(filter) == std::string::npos) continue;
      // Random words of a float would often be subnormal, which CPUs take a hundred times longer for.
      Buffer weight = type == BlockType::kF32 ? random_floats(rig, size_t{size} * size) : random_words(rig, bytes);
      Buffer x = random_floats(rig, size_t{n} * size), out = rig.buffer(uint64_t{n} * size * 4);
      measure(rig, name, 2.0 * n * size * size, static_cast<double>(bytes), [&](Ops& ops) {
        ops.matmul({type, size, size, weight.address()}, rig.tensor(x), rig.tensor(out), n, Phase::kBatch);
      });
    }
  }
}

// 512 tokens by 8 of 128 experts of 768 x 2048, one record for all of them but with their own addresses.
void bench_experts(GpuRig& rig, const std::string& filter) {
  ExpertShape shape;
  shape.embd = 2048;
  shape.ff = 768;
  shape.used = 8;
  shape.gate_type = shape.up_type = BlockType::kQ4_K;
  shape.down_type = BlockType::kQ6_K;
  const uint64_t matrix = row_bytes(BlockType::kQ4_K, 2048).value() * 768;
  shape.up_offset = static_cast<uint32_t>(matrix);
  shape.down_offset = static_cast<uint32_t>(2 * matrix);
  const uint64_t record = 2 * matrix + row_bytes(BlockType::kQ6_K, 768).value() * 2048;
  const uint32_t experts = 32, n = 128, pairs = n * shape.used;  // a quarter, with the same 32 pairs per expert
  Buffer records = random_words(rig, record * experts), x = random_floats(rig, n * 2048);
  std::vector<shaders::ExpertTile> tiles;
  for (uint32_t i = 0; i < pairs; i += Ops::kTilePairs) tiles.push_back({records.address() + i / (pairs / experts) * record, i, Ops::kTilePairs});
  std::vector<uint32_t> order(pairs);
  for (uint32_t i = 0; i < pairs; ++i) order[i] = i % n * shape.used + i / n;
  Buffer tile_buffer = rig.upload(tiles), order_buffer = rig.upload(order), hidden = rig.buffer(uint64_t{pairs} * 768 * 4),
         parts = rig.buffer(uint64_t{pairs} * 2048 * 4);
  Buffer weights = random_floats(rig, pairs), out = random_floats(rig, n * 2048);
  const auto count = static_cast<uint32_t>(tiles.size());
  const double flop = 2.0 * pairs * 768 * 2048;
  const auto wanted = [&](const char* name) { return std::string(name).find(filter) != std::string::npos; };
  if (wanted("expert up")) {
    measure(rig, "expert up Q4_K 768x2048, 1024 pairs of 32", 2 * flop, 2.0 * static_cast<double>(matrix) * experts, [&](Ops& ops) {
      ops.expert_up_batch(shape, tile_buffer.address(), count, order_buffer.address(), {}, rig.tensor(x), rig.tensor(hidden));
    });
  }
  if (wanted("expert down")) {
    measure(rig, "expert down Q6_K 2048x768, 1024 pairs of 32", flop, static_cast<double>(record - 2 * matrix) * experts, [&](Ops& ops) {
      ops.expert_down_batch(shape, tile_buffer.address(), count, order_buffer.address(), rig.tensor(hidden), rig.tensor(parts));
    });
  }
  if (wanted("combine")) {
    measure(rig, "combine 128 x 8 x 2048", 2.0 * pairs * 2048, 4.0 * pairs * 2048,
            [&](Ops& ops) { ops.combine(shape, rig.tensor(weights), rig.tensor(parts), rig.tensor(out), n); });
  }
}

void bench_attention(GpuRig& rig, const std::string& filter) {
  struct Case {
    uint32_t heads, kv_heads, head_dim, position, n;
  };
  const Case cases[] = {{32, 4, 128, 0, 512}, {16, 8, 64, 0, 512}, {16, 16, 128, 0, 512}, {32, 4, 128, 32000, 8}, {32, 4, 128, 4095, 1}, {16, 8, 64, 32767, 1}};
  for (const Case& c : cases) {
    const std::string name = "attention " + std::to_string(c.heads) + "/" + std::to_string(c.kv_heads) + " dim " + std::to_string(c.head_dim) + " n " +
                             std::to_string(c.n) + " at " + std::to_string(c.position);
    if (name.find(filter) == std::string::npos) continue;
    AttentionShape shape;
    shape.heads = c.heads;
    shape.kv_heads = c.kv_heads;
    shape.head_dim = shape.value_dim = shape.rope_dim = c.head_dim;
    shape.context_tokens = c.position + c.n;
    shape.scale = 0.1f;
    const size_t row = size_t{c.kv_heads} * c.head_dim;
    Buffer keys = random_words(rig, shape.context_tokens * row * 2), values = random_words(rig, shape.context_tokens * row * 2);
    Buffer q = random_floats(rig, size_t{c.n} * c.heads * c.head_dim), out = rig.buffer(uint64_t{c.n} * c.heads * c.head_dim * 4);
    Buffer scratch = rig.buffer(std::max<uint64_t>(4, c.n * attention_scratch_bytes(rig.device->limits(), shape)));
    rig.control_block() = {c.position, 0, 0, 0};
    const double keys_seen = c.n * (c.position + (c.n + 1) / 2.0);
    measure(rig, name, 4.0 * keys_seen * c.heads * c.head_dim, 4.0 * (c.position + c.n) * static_cast<double>(row), [&](Ops& ops) {
      ops.attention(shape, rig.tensor(q), {keys.address(), values.address()}, rig.tensor(out), rig.tensor(scratch), c.n,
                    c.n == 1 ? Phase::kDecode : Phase::kBatch);
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  auto rig = GpuRig::open();
  if (!rig) {
    std::printf("no Vulkan device\n");
    return 1;
  }
  tuning::Batch chosen = tuning::batch(rig->device->limits());
  if (argc > 2) chosen.lane_rows = static_cast<uint32_t>(std::stoul(argv[2]));
  if (argc > 3) chosen.tile_tokens = static_cast<uint32_t>(std::stoul(argv[3]));
  if (argc > 4) chosen.attention_columns = static_cast<uint32_t>(std::stoul(argv[4]));
  rig->ops->set_batch_tuning(chosen);
  bench_matmul(*rig, filter);
  bench_experts(*rig, filter);
  bench_attention(*rig, filter);
}
