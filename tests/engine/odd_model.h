// OddModel: a small model of any family, told tensor by tensor, with random weights of any type. One owner, one thread.
//
// It is written as it is told, or expanded: with the same values in F32, which both devices multiply without rounding.
#pragma once

#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "runtime/format/quant.h"
#include "tests/format/gguf_builder.h"
#include "tests/tools/gguf_writer.h"
#include "tests/tools/random_blocks.h"
#include "tests/tools/synthetic_vocabulary.h"

namespace hotset::test {

class OddModel {
 public:
  OddModel(std::string architecture, uint32_t layers, uint32_t embd, uint32_t vocab) : architecture_(std::move(architecture)), vocab_(vocab) {
    number("block_count", layers).number("embedding_length", embd).number("context_length", 64);
    real("attention.layer_norm_rms_epsilon", 1e-6f).real("rope.freq_base", 10000);
  }

  OddModel& number(const std::string& key, uint32_t value) {
    numbers_.emplace_back(key, value);
    return *this;
  }
  OddModel& real(const std::string& key, float value) {
    reals_.emplace_back(key, value);
    return *this;
  }
  OddModel& flag(const std::string& key, bool value) {
    flags_.emplace_back(key, value);
    return *this;
  }
  OddModel& text(const std::string& key, const std::string& value) {
    texts_.emplace_back(key, value);
    return *this;
  }

  // Dimensions innermost first.
  OddModel& matrix(const std::string& name, std::initializer_list<uint64_t> dims, BlockType type, double gain = 1) {
    const double deviation = gain / std::sqrt(static_cast<double>(*dims.begin()));
    tensors_.push_back({name + ".weight", dims, type, deviation, 0});
    return *this;
  }
  OddModel& norm(const std::string& name, uint64_t size) { return vector(name + ".weight", {size}, 0.1, 1); }
  OddModel& vector(const std::string& name, std::initializer_list<uint64_t> dims, double deviation, double mean = 0) {
    tensors_.push_back({name, dims, BlockType::kF32, deviation, mean});
    return *this;
  }

  std::string write(const TempFolder& folder, bool expanded) const {
    GgufWriter writer;
    writer.add_string("general.architecture", architecture_);
    for (const auto& [key, value] : numbers_) writer.add_u32(architecture_ + "." + key, value);
    for (const auto& [key, value] : reals_) writer.add_f32(architecture_ + "." + key, value);
    for (const auto& [key, value] : flags_) writer.add_bool(architecture_ + "." + key, value);
    for (const auto& [key, value] : texts_) writer.add_string(architecture_ + "." + key, value);
    add_synthetic_vocabulary(vocab_, writer);
    for (const Tensor& tensor : tensors_) {
      const BlockType type = expanded ? BlockType::kF32 : tensor.type;
      writer.add_tensor(tensor.name, tensor.dims, static_cast<uint32_t>(type), tensor.size_bytes(type));
    }
    std::string bytes = writer.head();
    const size_t data = bytes.size();
    bytes.resize(data + writer.data_bytes());
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const std::vector<std::byte> values = tensors_[i].values(i + 1, expanded);
      std::memcpy(bytes.data() + data + writer.data_offset(i), values.data(), values.size());
    }
    return folder.write(expanded ? "expanded.gguf" : "odd.gguf", bytes);
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;
    BlockType type;
    double deviation;
    double mean;  // of F32 alone

    uint64_t elements() const {
      uint64_t count = 1;
      for (const uint64_t dim : dims) count *= dim;
      return count;
    }
    uint64_t size_bytes(BlockType as) const { return elements() / block_format(as).values * block_format(as).size_bytes; }

    std::vector<std::byte> values(uint64_t seed, bool expanded) const {
      Random random(seed);
      std::vector<std::byte> blocks(size_bytes(type));
      fill_blocks(type, deviation, random, blocks);
      if (!expanded && mean == 0) return blocks;
      std::vector<float> floats(elements());
      HOTSET_CHECK(dequantize(static_cast<hotset::BlockType>(type), blocks, floats).ok());
      for (float& value : floats) value += static_cast<float>(mean);
      std::vector<std::byte> bytes(floats.size() * sizeof(float));
      std::memcpy(bytes.data(), floats.data(), bytes.size());
      return bytes;
    }
  };

  const std::string architecture_;
  const uint32_t vocab_;
  std::vector<std::pair<std::string, uint32_t>> numbers_;
  std::vector<std::pair<std::string, float>> reals_;
  std::vector<std::pair<std::string, bool>> flags_;
  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<Tensor> tensors_;
};

}  // namespace hotset::test
