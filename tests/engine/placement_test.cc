#include "runtime/engine/placement.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "runtime/format/quant.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

constexpr uint64_t kGiB = 1ull << 30;

PlanMachine machine_of(const char* gpu, uint64_t ram_bytes, HostShape host = {}) {
  const auto shape = find_gpu_shape(gpu);
  REQUIRE_MESSAGE(shape.ok(), shape.status().message());
  PlanMachine machine;
  machine.name = (*shape)->name;
  machine.rates = expected_rates(**shape, host);
  machine.dense_bytes_per_s = dense_bytes_per_s(**shape);
  machine.vram_bytes = (*shape)->vram_bytes / 10 * 9;
  machine.ram_bytes = ram_bytes;
  return machine;
}

const ModelShape& shape_of(const char* name) {
  const auto shape = find_model_shape(name);
  REQUIRE_MESSAGE(shape.ok(), shape.status().message());
  return **shape;
}

ModelNeeds needs(const char* name, const char* quant) {
  const auto mix = find_quant_mix(quant);
  REQUIRE_MESSAGE(mix.ok(), mix.status().message());
  return needs_of(shape_of(name), **mix);
}

}  // namespace

TEST_CASE("placement: sizes of files as people download them") {
  // GB of the usual files: 18.6 (Q4_K_M of 30B-A3B), 12.1 and 63.4 (gpt-oss as published), 713 (Q8_0 of 671B).
  CHECK(static_cast<double>(needs("qwen3-30b-a3b", "Q4_K_M").file_bytes) / 1e9 == doctest::Approx(18.6).epsilon(0.02));
  CHECK(static_cast<double>(needs("gpt-oss-20b", "MXFP4").file_bytes) / 1e9 == doctest::Approx(12.1).epsilon(0.02));
  CHECK(static_cast<double>(needs("gpt-oss-120b", "MXFP4").file_bytes) / 1e9 == doctest::Approx(63.4).epsilon(0.02));
  CHECK(static_cast<double>(needs("deepseek-v3", "Q8_0").file_bytes) / 1e9 == doctest::Approx(713).epsilon(0.02));
  // One expert of 30B-A3B in Q4_K_M was measured at 2,856,960 bytes on average.
  CHECK(static_cast<double>(needs("qwen3-30b-a3b", "Q4_K_M").record_bytes) == doctest::Approx(2856960).epsilon(0.01));
}

TEST_CASE("placement: bits of the block types are those of their blocks") {
  for (const BlockType type :
       {BlockType::kF16, BlockType::kBF16, BlockType::kQ4_0, BlockType::kQ8_0, BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K}) {
    const auto mix = find_quant_mix(block_type_name(type));
    REQUIRE_MESSAGE(mix.ok(), mix.status().message());
    CHECK((*mix)->expert_bits == 8.0 * block_bytes(type) / block_elements(type));
  }
}

TEST_CASE("placement: what goes where adds up and keeps to the budgets") {
  for (const ModelShape& shape : model_shapes()) {
    for (const char* gpu : {"RTX 3060 12GB", "RX 7900 XTX", "RTX 5090", "Arc B580"}) {
      for (const uint64_t ram : {8 * kGiB, 32 * kGiB, 512 * kGiB}) {
        const PlanMachine machine = machine_of(gpu, ram);
        const ModelNeeds model = needs_of(shape, **find_quant_mix("Q4_K_M"));
        const Placement placement = place(model, machine, 4096);
        CAPTURE(shape.name);
        CAPTURE(gpu);
        CAPTURE(ram);
        if (!placement.fits) {
          CHECK(placement.least_vram_bytes > machine.vram_bytes);
          CHECK_FALSE(placement.why_not.empty());
          continue;
        }
        CHECK(model.dense_bytes + model.workspace_bytes + placement.kv_bytes + placement.slot_bytes <= machine.vram_bytes);
        CHECK(placement.ram_bytes <= ram);
        CHECK(placement.slot_bytes + placement.ram_bytes + placement.disk_bytes >= model.bank_bytes());
        CHECK(std::isfinite(placement.token.total_ns));
        // A longer context leaves less for experts; more RAM never slows.
        CHECK(place(model, machine, 32768).slot_bytes <= placement.slot_bytes);
        PlanMachine more = machine;
        more.ram_bytes *= 2;
        CHECK(place(model, more, 4096).token.total_ns <= placement.token.total_ns * 1.0001);
      }
    }
  }
}

TEST_CASE("placement: figures that were measured") {
  // Qwen3-30B-A3B Q4_K_M with 72 of 128 slots a layer on an RTX 5070 and an 8-core CPU: 113.9 tok/s, at a hit rate of 93 %.
  const Placement placement =
      place(needs("qwen3-30b-a3b", "Q4_K_M"), machine_of("RTX 5070", 32 * kGiB, {.ram_bytes_per_s = 75e9, .cpu_bytes_per_s = 60e9}), 4096, 3, 0.93);
  REQUIRE(placement.fits);
  CHECK(placement.misses.mode == MissMode::kCpu);
  CHECK(placement.token.tokens_per_s() == doctest::Approx(113.9).epsilon(0.15));
  // gpt-oss-120b with its experts on the CPU: 18 to 26 tok/s on two channels of DDR5.
  const Placement on_cpu = place(needs("gpt-oss-120b", "MXFP4"), machine_of("RTX 4070", 96 * kGiB), 4096, 3, 0.0);
  REQUIRE(on_cpu.fits);
  CHECK(on_cpu.token.tokens_per_s() > 15);
  CHECK(on_cpu.token.tokens_per_s() < 32);
}

TEST_CASE("placement: a trillion parameters from disk") {
  const ModelNeeds kimi = needs("kimi-k2", "Q4_K");
  const Placement placement = place(kimi, machine_of("RTX 5090", 64 * kGiB), 4096);
  REQUIRE(placement.fits);
  CHECK(placement.disk_bytes > 400 * kGiB);
  CHECK(placement.token.limit == "disk");
  CHECK(placement.token.tokens_per_s() > 0.4);
  CHECK(placement.token.tokens_per_s() < 3);
  PlanMachine without_disk = machine_of("RTX 5090", 64 * kGiB, {.disk_bytes_per_s = 0});
  CHECK_FALSE(place(kimi, without_disk, 4096).fits);
  CHECK(place(kimi, without_disk, 4096).why_not.find("no disk") != std::string::npos);
  CHECK_FALSE(place(kimi, machine_of("RTX 4060", 64 * kGiB), 4096).fits);
}

TEST_CASE("placement: shared memory is one") {
  PlanMachine halo = machine_of("Strix Halo", 0);
  halo.vram_bytes = 96 * kGiB;
  halo.ram_bytes = 32 * kGiB;
  const Placement placement = place(needs("gpt-oss-120b", "MXFP4"), halo, 4096);
  REQUIRE(placement.fits);
  CHECK(placement.vram_share == 1);
  CHECK(placement.ram_bytes == 0);
  halo.vram_bytes = 40 * kGiB;
  const Placement split = place(needs("gpt-oss-120b", "MXFP4"), halo, 4096);
  REQUIRE(split.fits);
  CHECK(split.misses.mode != MissMode::kWait);
  CHECK(split.ram_bytes <= 32 * kGiB);
  CHECK(split.token.copy_ns == 0);
}

TEST_CASE("placement: recurrent states do not grow with the context") {
  const auto report = inspect_model(test::data_path("models/jamba/model.gguf"));
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  // Two layers of Mamba: 256 channels with 3 tokens of convolution and 16 values of state each.
  const uint64_t state_bytes = 2 * 256 * (3 + 16) * sizeof(float);
  CHECK(report->state_bytes == state_bytes);
  const auto needs = needs_of(*report);
  REQUIRE(needs.ok());
  CHECK(needs->kv_bytes(0) == state_bytes);
  CHECK(needs->kv_bytes(100) == state_bytes + 100 * report->kv_bytes_per_token);
}

TEST_CASE("placement: which quantisation to take") {
  const PlanMachine desktop = machine_of("RTX 3060 12GB", 32 * kGiB);
  // What fits comfortably is taken as large as is useful; what is published small is taken as it is.
  const auto small = weigh_quants(shape_of("qwen3-30b-a3b"), desktop, 4096);
  REQUIRE(pick_quant(small) != nullptr);
  CHECK(small.front().mix->name == "Q8_0");
  CHECK(pick_quant(small)->placement.token.tokens_per_s() >= kReadingTokensPerS);
  const auto published = weigh_quants(shape_of("gpt-oss-20b"), desktop, 4096);
  REQUIRE(published.size() == 1);
  CHECK(published.front().mix->name == "MXFP4");
  CHECK(weigh_quants(shape_of("kimi-k2.6"), desktop, 4096).front().mix->expert_bits == 4.5);
  // Nothing keeps up with a reader: the fastest that fits. Nothing fits: none.
  const auto large = weigh_quants(shape_of("kimi-k2"), machine_of("RTX 5090", 64 * kGiB), 4096);
  const QuantChoice* fastest = pick_quant(large);
  REQUIRE(fastest != nullptr);
  CHECK(fastest->placement.token.tokens_per_s() < kReadingTokensPerS);
  for (const QuantChoice& choice : large) {
    if (choice.placement.fits) CHECK(choice.placement.token.tokens_per_s() <= fastest->placement.token.tokens_per_s());
  }
  CHECK(pick_quant(weigh_quants(shape_of("kimi-k2"), machine_of("RTX 2060", 64 * kGiB), 4096)) == nullptr);
}

TEST_CASE("gpu shapes: names and rates") {
  CHECK((*find_gpu_shape("rtx3060-12gb"))->name == "RTX 3060 12GB");
  CHECK((*find_gpu_shape("RTX 5090"))->name == "RTX 5090 32GB");
  CHECK((*find_gpu_shape("strix halo"))->unified());
  const auto two = find_gpu_shape("RTX 5060 Ti");  // there are two sizes
  REQUIRE_FALSE(two.ok());
  CHECK(two.status().message().find("did you mean RTX 5060 Ti 8GB or RTX 5060 Ti 16GB?") != std::string::npos);
  CHECK(find_gpu_shape("RTX 3061").status().message().find("RTX 306") != std::string::npos);
  CHECK(find_gpu_shape("Voodoo").status().code() == Code::kNotFound);
  for (const GpuShape& gpu : gpu_shapes()) {
    CAPTURE(gpu.name);
    const LinkRates rates = expected_rates(gpu, {});
    CHECK(rates.device_bytes_per_s < gpu.vram_bytes_per_s);
    CHECK(dense_bytes_per_s(gpu) < gpu.vram_bytes_per_s);
    CHECK(rates.unified == gpu.unified());
    CHECK((rates.copy_bytes_per_s > 0) == !gpu.unified());
    CHECK(find_gpu_shape(gpu.name).ok());
  }
  // PCIe 4 x16 carries 31.5 GB/s; copies of 20 MiB went at 24 GiB/s.
  const LinkRates desktop = expected_rates(**find_gpu_shape("RX 7900 XTX"), {});
  const double copy_s = static_cast<double>(desktop.copy_ns) / 1e9 + 20.0 * 1048576 / desktop.copy_bytes_per_s;
  CHECK(20.0 / 1024 / copy_s == doctest::Approx(24).epsilon(0.06));
}

TEST_CASE("quant mixes: unknown names list those there are") {
  const auto unknown = find_quant_mix("Q9_K");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.status().message().find("Q4_K_M") != std::string::npos);
  CHECK((*find_quant_mix("q4_k_m"))->name == "Q4_K_M");
}
