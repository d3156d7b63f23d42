// Runs the matrix products of decoding a qwen3moe model with the CPU kernels on one thread: the bytes of weights that a token
// touches, with experts drawn at random, and nothing else of the model. tests/compare/cpu_kernels runs it beside llama.cpp.
//
//   hotset_cpu_model_bench MODEL    reads lines from stdin, each a number of tokens; answers each with one line of JSON: bytes
//                                   of weights a token, processor seconds and seconds of those tokens
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "platform/host_memory.h"
#include "runtime/compute/cpu/expert_ffn.h"
#include "runtime/format/gguf.h"

using namespace hotset;

namespace {

// A matrix, or the matrices of all experts of a layer.
struct Matrix {
  BlockType type;
  uint32_t cols;
  uint32_t rows;
  uint32_t experts;
  uint64_t row_bytes;
  const std::byte* data;
  const std::byte* expert(uint32_t i) const { return data + uint64_t{i} * rows * row_bytes; }
  uint64_t bytes() const { return rows * row_bytes; }
};

struct Layer {
  Matrix q, k, v, out, router, gate, up, down;
};

// Processor time of this thread: other programs take little part in it.
double seconds_run() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Model {
 public:
  static Result<std::unique_ptr<Model>> load(const std::string& path) {
    auto model = std::make_unique<Model>();
    HOTSET_ASSIGN(model->file_, GgufFile::open(path));
    HOTSET_ASSIGN(const uint32_t layers, model->file_->get_u32("qwen3moe.block_count"));
    HOTSET_ASSIGN(model->used_, model->file_->get_u32("qwen3moe.expert_used_count"));
    uint64_t total = 0;
    for (const TensorInfo& tensor : model->file_->tensors()) total += align_up(tensor.size_bytes, 64);
    HOTSET_ASSIGN(model->arena_, HostArena::create(total));
    for (uint32_t i = 0; i < layers; ++i) HOTSET_RETURN_IF_ERROR(model->load_layer(i));
    HOTSET_RETURN_IF_ERROR(model->load_matrix("output.weight", model->output_));
    model->make_scratch();
    return model;
  }

  // The products of one token; bytes of weights.
  uint64_t run_token(const cpu::Kernels& set) {
    uint64_t bytes = 0;
    for (const Layer& layer : layers_) {
      for (const Matrix* matrix : {&layer.q, &layer.k, &layer.v}) bytes += multiply(set, *matrix);
      bytes += multiply(set, layer.out) + multiply(set, layer.router);
      bytes += run_experts(set, layer);
    }
    return bytes + multiply(set, output_);
  }

 private:
  Status load_matrix(const std::string& name, Matrix& matrix) {
    const TensorInfo* tensor = file_->find_tensor(name);
    if (!tensor) return error(Code::kNotFound, "no tensor %s", name.c_str());
    HOTSET_ASSIGN(const uint64_t bytes, row_bytes(tensor->type, tensor->dims[0]));
    std::byte* place = arena_->bytes().data() + placed_;
    HOTSET_RETURN_IF_ERROR(file_->read(*tensor, 0, {place, tensor->size_bytes}));
    placed_ += align_up(tensor->size_bytes, 64);
    matrix = {tensor->type, static_cast<uint32_t>(tensor->dims[0]), static_cast<uint32_t>(tensor->dims[1]),
              static_cast<uint32_t>(tensor->dims[2]), bytes, place};
    return ok_status();
  }

  Status load_layer(uint32_t index) {
    Layer layer;
    const std::string prefix = "blk." + std::to_string(index) + ".";
    const std::pair<const char*, Matrix*> parts[] = {{"attn_q", &layer.q}, {"attn_k", &layer.k}, {"attn_v", &layer.v},
                                                     {"attn_output", &layer.out}, {"ffn_gate_inp", &layer.router}, {"ffn_gate_exps", &layer.gate},
                                                     {"ffn_up_exps", &layer.up}, {"ffn_down_exps", &layer.down}};
    for (const auto& [name, matrix] : parts) HOTSET_RETURN_IF_ERROR(load_matrix(prefix + name + ".weight", *matrix));
    layers_.push_back(layer);
    return ok_status();
  }

  void make_scratch() {
    uint32_t most_cols = 0, most_rows = output_.rows;
    uint64_t most_scratch = 0;
    for (const Layer& layer : layers_) {
      for (const Matrix* matrix : {&layer.q, &layer.out, &layer.down}) most_cols = std::max(most_cols, matrix->cols);
      for (const Matrix* matrix : {&layer.q, &layer.router, &layer.down}) most_rows = std::max(most_rows, matrix->rows);
      most_scratch = std::max(most_scratch, cpu::expert_scratch_bytes(layout_of(layer), used_));
    }
    x_.resize(most_cols);
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<float>(i * 37 % 101) / 50.0f - 1.0f;
    out_.resize(most_rows);
    prepared_ = HostArena::create(uint64_t{most_cols} * 4 + 256).value();
    scratch_ = HostArena::create(most_scratch).value();
  }

  static cpu::ExpertLayout layout_of(const Layer& layer) {
    return {layer.gate.cols, layer.gate.rows, layer.gate.type, layer.up.type, layer.down.type};
  }

  uint64_t multiply(const cpu::Kernels& set, const Matrix& m) {
    set.prepare(m.type, x_.data(), m.cols, prepared_->bytes().data());
    set.multiply(m.type, m.data, m.row_bytes, m.rows, m.cols, prepared_->bytes().data(), 0, 1, out_.data(), m.rows);
    return m.bytes();
  }

  uint64_t run_experts(const cpu::Kernels& set, const Layer& layer) {
    std::vector<cpu::ChosenExpert> chosen;
    std::vector<uint32_t> numbers;
    while (numbers.size() < used_) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      const auto number = static_cast<uint32_t>(state_ >> 33) % layer.gate.experts;
      if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) numbers.push_back(number);
    }
    for (const uint32_t i : numbers) chosen.push_back({layer.gate.expert(i), layer.up.expert(i), layer.down.expert(i), 0.1f});
    set.prepare(layer.gate.type, x_.data(), layer.gate.cols, prepared_->bytes().data());
    cpu::run_experts(layout_of(layer), chosen, {prepared_->bytes().data(), prepared_->bytes().data()}, out_.data(), scratch_->bytes().data());
    return (layer.gate.bytes() + layer.up.bytes() + layer.down.bytes()) * used_;
  }

  std::unique_ptr<GgufFile> file_;
  std::unique_ptr<HostArena> arena_, prepared_, scratch_;
  uint64_t placed_ = 0;
  uint32_t used_ = 0;
  std::vector<Layer> layers_;
  Matrix output_ = {};
  std::vector<float> x_, out_;
  uint64_t state_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "hotset_cpu_model_bench MODEL\n");
    return 2;
  }
  auto model = Model::load(argv[1]);
  if (!model.ok()) {
    std::fprintf(stderr, "hotset_cpu_model_bench: %s\n", model.status().message().c_str());
    return 1;
  }
  const cpu::Kernels& set = cpu::kernels();
  (*model)->run_token(set);
  std::printf("{\"kernels\": \"%s\"}\n", set.name);
  std::fflush(stdout);
  char line[64];
  while (std::fgets(line, sizeof line, stdin)) {
    const long tokens = std::atol(line);
    const double start_run = seconds_run();
    const uint64_t start_ns = now_ns();
    uint64_t bytes = 0;
    for (long i = 0; i < tokens; ++i) bytes = (*model)->run_token(set);
    std::printf("{\"bytes_per_token\": %llu, \"tokens\": %ld, \"cpu_s\": %.6f, \"s\": %.6f}\n", static_cast<unsigned long long>(bytes), tokens,
                seconds_run() - start_run, seconds_between(start_ns, now_ns()));
    std::fflush(stdout);
  }
  return 0;
}
