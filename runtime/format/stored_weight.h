// StoredWeight: one weight of a checkpoint as rows of floats, whatever form it is stored in; WeightCatalog: all of them by name.
//
//   plain    NAME                              any number type
//   scaled   NAME with NAME_scale_inv or NAME_scale: a number a tensor, a row, or a block of rows x columns (128 x 128 where the
//            config does not say)
//   MXFP4    NAME_blocks [.., groups, 16] with NAME_scales [.., groups], or NAME_packed (U8) with NAME_scale (U8)
//   INT4     NAME_packed (I32, 8 weights each) with NAME_scale [rows, groups]; NAME_shape is checked when there
//
// Immutable; any thread may read. Both point into the Checkpoint, which must outlive them.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/format/checkpoint.h"
#include "runtime/format/json_document.h"
#include "runtime/format/quant.h"

namespace hotset {

class StoredWeight {
 public:
  enum class Form { kPlain, kScaled, kMxfp4, kInt4 };

  // Errors: the parts do not fit each other; both shapes are named.
  static Result<StoredWeight> plain(const Checkpoint& files, const StoredTensor& numbers);
  static Result<StoredWeight> scaled(const Checkpoint& files, const StoredTensor& numbers, const StoredTensor& scales, std::array<uint64_t, 2> block);
  static Result<StoredWeight> packed(const Checkpoint& files, std::string name, const StoredTensor& nibbles, const StoredTensor& scales);

  const std::string& name() const { return name_; }
  Form form() const { return form_; }
  // As the model sees it, outermost first.
  const std::vector<uint64_t>& shape() const { return shape_; }
  // The last dimension is a row; a vector is rows of one number.
  uint64_t rows() const { return rows_; }
  uint64_t cols() const { return cols_; }

  // The numbers one by one, as rows of one number. Only of plain weights.
  StoredWeight as_elements() const;

  // [count][cols]. Errors: rows that there are not, what File::read says, a NAME_shape that says otherwise.
  Status read_rows(uint64_t first, uint64_t count, std::span<float> out) const;

  // Whether rows can be had as blocks of `type` without being expanded and rounded anew.
  bool repacks_to(BlockType type) const;
  Status repack_rows(uint64_t first, uint64_t count, std::span<std::byte> blocks) const;

 private:
  friend class WeightCatalog;
  Status take_shape(const std::vector<uint64_t>& shape);
  Status take_scales(std::array<uint64_t, 2> block);
  Status check_rows(uint64_t first, uint64_t count) const;
  Status check_stated_shape() const;
  Result<std::vector<std::byte>> read_bytes(const StoredTensor& tensor, uint64_t first, uint64_t count, uint64_t row_bytes) const;
  Result<std::vector<float>> read_scales(uint64_t first, uint64_t count) const;
  Status read_scaled(uint64_t first, uint64_t count, std::span<float> out) const;

  const Checkpoint* files_ = nullptr;
  const StoredTensor* numbers_ = nullptr;
  const StoredTensor* scales_ = nullptr;
  const StoredTensor* stated_shape_ = nullptr;
  std::string name_;
  Form form_ = Form::kPlain;
  std::vector<uint64_t> shape_;
  uint64_t rows_ = 0;
  uint64_t cols_ = 0;
  // Scaled and INT4: a scale for block_rows_ x block_cols_ weights; a plane of plane_rows_ rows has scale_rows_ x scale_cols_ of them.
  uint64_t plane_rows_ = 1;
  uint64_t block_rows_ = 1;
  uint64_t block_cols_ = 1;
  uint64_t scale_rows_ = 1;
  uint64_t scale_cols_ = 1;
};

class WeightCatalog {
 public:
  // `config` is the model's: its quantization_config says how large blocks are. Errors: a way of packing that is not known, what
  // StoredWeight says, two tensors for one weight.
  static Result<WeightCatalog> build(const Checkpoint& files, const nlohmann::json& config);

  const std::vector<StoredWeight>& weights() const { return weights_; }
  const StoredWeight* find(const std::string& name) const;

 private:
  Status add(const Checkpoint& files, const StoredTensor& tensor, std::array<uint64_t, 2> block);
  Status keep(Result<StoredWeight> weight);

  std::vector<StoredWeight> weights_;
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace hotset
