// Products of every block type with the goldens' vector, as each kernel computes them: tests/data/quant/index.json holds the exact
// ones. Float32 activations must come within 1e-6 of the sum of magnitudes, 8-bit ones within 1e-2.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "platform/file.h"
#include "runtime/compute/cpu/dot.h"
#include "tests/compute/gpu_rig.h"
#include "tests/compute/quant_rows.h"
#include "tests/test_support.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr double kFloatError = 1e-6, kEightBitError = 1e-2;

template <class T>
std::vector<T> load(const std::string& name) {
  const auto bytes = read_whole_file(data_path("quant/" + name), 1 << 20);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  std::vector<T> out(bytes->size() / sizeof(T));
  std::memcpy(out.data(), bytes->data(), out.size() * sizeof(T));
  return out;
}

struct Golden {
  BlockType type;
  uint32_t rows;
  uint32_t cols;
  std::vector<std::byte> blocks;
  std::vector<double> products;
  std::vector<double> magnitudes;
};

std::vector<Golden> goldens() {
  const auto index = nlohmann::json::parse(read_whole_file(data_path("quant/index.json"), 1 << 20).value());
  std::vector<Golden> all;
  for (const auto& set : index["types"]) {
    all.push_back({*block_type_from_number(set["ggml_type"].get<uint32_t>()), set["rows"], set["cols"], load<std::byte>(set["raw"]),
                   set["matvec"].get<std::vector<double>>(), set["matvec_abs_sum"].get<std::vector<double>>()});
  }
  return all;
}

// Rows of `out` that are farther off than `error` times the sum of magnitudes.
uint32_t wrong_rows(const Golden& golden, const float* out, double error) {
  uint32_t wrong = 0;
  for (uint32_t r = 0; r < golden.rows; ++r) wrong += !(std::fabs(double{out[r]} - golden.products[r]) <= error * golden.magnitudes[r]);
  return wrong;
}

}  // namespace

TEST_CASE("goldens: every type's products on the Vulkan device, decode and batch") {
  const auto rig = GpuRig::open();
  if (!rig) HOTSET_SKIP("no Vulkan device");
  Buffer x = rig->upload(load<float>("x.f32"));
  for (const Golden& golden : goldens()) {
    CAPTURE(block_type_name(golden.type));
    Buffer matrix = rig->upload(golden.blocks), decode = rig->buffer(golden.rows * 4), batch = rig->buffer(golden.rows * 4);
    const Weight w = {golden.type, golden.rows, golden.cols, matrix.address()};
    REQUIRE(rig->run([&](Ops& ops) {
      ops.matmul(w, rig->tensor(x), rig->tensor(decode), 1, Phase::kDecode);
      ops.matmul(w, rig->tensor(x), rig->tensor(batch), 1, Phase::kBatch);
    }).ok());
    CHECK(wrong_rows(golden, rig->view<float>(decode).data(), kFloatError) == 0);
    CHECK(wrong_rows(golden, rig->view<float>(batch).data(), kFloatError) == 0);
  }
}

TEST_CASE("goldens: every type's products in all sets of CPU kernels") {
  const std::vector<float> x = load<float>("x.f32");
  for (const cpu::Kernels* set : cpu::all_kernels()) {
    for (const Golden& golden : goldens()) {
      CAPTURE(set->name);
      CAPTURE(block_type_name(golden.type));
      std::vector<std::byte> memory(cpu::activation_bytes(golden.type, golden.cols) + 64);
      void* prepared = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) & ~uintptr_t{63});
      set->prepare(golden.type, x.data(), golden.cols, prepared);
      std::vector<float> out(golden.rows);
      set->multiply(golden.type, golden.blocks.data(), *row_bytes(golden.type, golden.cols), golden.rows, golden.cols, prepared, 0, 1, out.data(),
                    golden.rows);
      const bool floats = cpu::same_activation(golden.type, BlockType::kF32);
      CHECK(wrong_rows(golden, out.data(), floats ? kFloatError : kEightBitError) == 0);
    }
  }
}
