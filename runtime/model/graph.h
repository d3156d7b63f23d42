// Graph: writes a model down as steps. Families and their blocks (blocks.h) call it in the order of the forward pass.
//
// The first error (a tensor that is missing or has another shape than the metadata says, a key of another type) is kept and
// finish() returns it; until then calls go on with values of the right width, so that a family reads straight through. Short-lived;
// one thread.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/model/model_spec.h"

namespace hotset {

// What a file leaves open.
struct DescribeOptions {
  bool block_sparse = false;  // attention of MiniMax-M3 sees only the blocks that its indexer chooses
};

class Graph {
 public:
  Graph(const GgufFile& file, const ModelConfig& config, const DescribeOptions& options = {});

  const ModelConfig& config() const { return spec_.config; }
  const DescribeOptions& options() const { return options_; }
  const GgufFile& file() const { return file_; }
  uint32_t vocab() const { return spec_.vocab; }

  // --- errors
  bool ok() const { return status_.ok(); }
  void fail(Status status);
  // Error (kUnsupported) "<architecture> with <what> cannot be run" unless `fine`.
  void require(bool fine, const std::string& what);

  // --- metadata of the architecture: "attention.sliding_window" stands for "<architecture>.attention.sliding_window"
  bool has_key(const char* suffix) const;
  uint32_t number(const char* suffix, uint32_t absent);
  float real(const char* suffix, float absent);
  bool flag(const char* suffix, bool absent);
  std::vector<int64_t> numbers(const char* suffix);  // of an array, whole numbers or bools; empty when absent
  std::vector<float> reals(const char* suffix);
  // Entry `layer` of an array with one number a layer, or the number itself.
  float layer_real(const char* suffix, uint32_t layer, float absent);
  uint32_t layer_number(const char* suffix, uint32_t layer, uint32_t absent);

  // --- tensors; names are those of the current layer ("attn_q.weight" stands for "blk.7.attn_q.weight") while there is one
  void begin_layer(uint32_t layer);
  void end_layers();
  uint32_t layer() const { return layer_; }
  std::string name(const std::string& part) const;
  bool has(const std::string& part) const;
  const TensorInfo* tensor(const std::string& part) const;  // nullptr: absent
  void need(const std::string& part);                       // error where the tensor is missing
  const TensorInfo* vector(const std::string& part, uint32_t size);     // float [size]
  const TensorInfo* vector_if(const std::string& part, uint32_t size);  // nullptr when absent
  MatrixSpec matrix(const std::string& part, uint32_t rows, uint32_t cols);
  // One matrix for each of `heads`: dims cols x rows x heads in the file.
  MatrixSpec matrices(const std::string& part, uint32_t heads, uint32_t rows, uint32_t cols);
  // [experts][rows][cols]; rows 0: float [experts][cols].
  const TensorInfo* stack(const std::string& part, uint32_t experts, uint32_t rows, uint32_t cols);
  const TensorInfo* table(const std::string& part, uint32_t rows, uint32_t cols);  // int32 [rows][cols]
  std::vector<float> floats(const TensorInfo* tensor);  // its numbers, expanded

  // --- values and states
  Value value(uint32_t width);
  Value mask(uint32_t heads, uint32_t every = 1);  // for each of them a bit for every run of so many positions of the context
  Value whole(const Value& x);  // x, or a copy of it where it is part of a wider value
  StateId cache(uint32_t width, uint32_t every = 1);
  StateId fixed_state(uint32_t floats);
  uint32_t rope_table(const RopeSpec& rope);
  uint32_t position_scale(const PositionScale& scale);
  uint32_t constant(std::vector<float> values);

  // --- operations; what returns a Value makes a new one
  Value embed();
  // Root mean square norm with the weights of `part` (and biases, where the file has them); the whole row.
  Value norm(const Value& x, const std::string& part);
  Value norm(const Value& x, const NormShape& shape, const TensorInfo* weight, const TensorInfo* bias = nullptr);
  void norm_into(const Value& x, const NormShape& shape, const TensorInfo* weight, const TensorInfo* bias, const Value& out);
  // x times the matrix `part`.weight, plus `part`.bias and times `part`.scale where the file has them.
  Value linear(const Value& x, const std::string& part, uint32_t rows);
  std::vector<Value> linear_each(const Value& x, std::initializer_list<std::pair<const char*, uint32_t>> parts);
  Value multiply(const Value& x, const MatrixSpec& matrix);
  // out += x times the matrix, with its bias and scale. out: a whole value.
  void linear_add(const Value& x, const std::string& part, const Value& out);
  Value heads(const HeadsShape& shape, const MatrixSpec& matrix, const Value& x);
  void heads_into(const HeadsShape& shape, const MatrixSpec& matrix, const Value& x, const Value& out);
  void map(const MapStep& step) { push(step); }
  Value activate(Activation f, const Value& x, float scale = 1, float alpha = 1);
  Value glu(const Glu& glu, const Value& gate, const Value& up);
  Value sum(const Value& a, const Value& b);
  Value product(const Value& a, const Value& b);
  Value scaled(const Value& x, float factor);
  void add(const Value& x, const Value& out);                          // out += x
  void scale(const Value& x, float factor);                            // in place
  void multiply_by(const Value& x, const MapOperand& factor);          // in place
  void add_vector(const Value& x, const TensorInfo* bias);             // in place; nullptr: nothing
  void copy(const Value& x, const Value& out);
  void fill_zero(const Value& out);
  void rope(const RopeShape& shape, const Value& x, uint32_t table);
  void push(Step step) { steps().push_back(std::move(step)); }
  // Takes the experts in; the index of the layer of experts.
  uint32_t push_moe(MoeSpec moe);

  // From here on steps are of the head, which reads rows of `x`.
  void begin_head(const Value& x);
  // The head's end: output.weight (or the embedding, where the file ties them), and its bias.
  Value output(const Value& x);

  // A tensor that lies on the device.
  const TensorInfo* use(const TensorInfo* tensor);

  Result<ModelSpec> finish() &&;

 private:
  std::vector<Step>& steps() { return in_head_ ? spec_.head : spec_.steps; }
  std::string key(const char* suffix) const { return spec_.config.architecture + "." + suffix; }
  float finite(const char* suffix, float number);  // the number; an error where it is none
  const TensorInfo* find(const std::string& part, std::initializer_list<uint64_t> dims, bool whole_numbers = false);
  void finish_linear(const std::string& part, const Value& out);
  template <class T>
  T take(Result<T> result, T instead) {
    if (result.ok()) return std::move(*result);
    fail(result.status());
    return instead;
  }

  const GgufFile& file_;
  const DescribeOptions options_;
  ModelSpec spec_;
  Status status_;
  uint32_t layer_ = Value::kNone;
  bool in_head_ = false;
};

}  // namespace hotset
