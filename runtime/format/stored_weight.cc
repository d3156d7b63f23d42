#include "runtime/format/stored_weight.h"

#include <algorithm>

#include "platform/bytes.h"
#include "runtime/format/gguf_value.h"
#include "runtime/format/packed_weights.h"

namespace hotset {
namespace {

using Ull = unsigned long long;


std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (const uint64_t dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

Status misfit(const StoredTensor& numbers, const StoredTensor& scales) {
  return error(Code::kCorrupt, "the weights '%s' of %s %s do not fit their scales of %s %s", printable(numbers.name).c_str(),
               stored_type_name(numbers.type), shape_text(numbers.shape).c_str(), stored_type_name(scales.type), shape_text(scales.shape).c_str());
}

uint64_t ceil_div(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

uint64_t rows_of(const std::vector<uint64_t>& shape) {
  uint64_t rows = 1;
  const size_t count = shape.size() > 1 ? shape.size() - 1 : shape.size();
  for (size_t i = 0; i < count; ++i) rows *= shape[i];  // at most the elements, which fit
  return rows;
}

bool is_float(StoredType type) {
  return type == StoredType::kF32 || type == StoredType::kF16 || type == StoredType::kBF16 || type == StoredType::kF64 || type == StoredType::kF8E8M0;
}

}  // namespace

Status StoredWeight::take_shape(const std::vector<uint64_t>& shape) {
  shape_ = shape;
  rows_ = rows_of(shape);
  cols_ = shape.size() > 1 ? shape.back() : 1;
  plane_rows_ = shape.size() > 2 ? shape[shape.size() - 2] : rows_;
  if (rows_ != 0 && cols_ != 0) return ok_status();
  return error(Code::kCorrupt, "the tensor '%s' of %s holds nothing", printable(name_).c_str(), shape_text(shape).c_str());
}

Result<StoredWeight> StoredWeight::plain(const Checkpoint& files, const StoredTensor& numbers) {
  StoredWeight weight;
  weight.files_ = &files;
  weight.numbers_ = &numbers;
  weight.name_ = numbers.name;
  HOTSET_RETURN_IF_ERROR(weight.take_shape(numbers.shape));
  return weight;
}

Result<StoredWeight> StoredWeight::scaled(const Checkpoint& files, const StoredTensor& numbers, const StoredTensor& scales,
                                          std::array<uint64_t, 2> block) {
  HOTSET_ASSIGN(StoredWeight weight, plain(files, numbers));
  weight.form_ = Form::kScaled;
  weight.scales_ = &scales;
  HOTSET_RETURN_IF_ERROR(weight.take_scales(block));
  return weight;
}

Status StoredWeight::take_scales(std::array<uint64_t, 2> block) {
  if (!is_float(scales_->type) || numbers_->shape.size() < 2) return misfit(*numbers_, *scales_);
  const uint64_t count = scales_->elements();
  if (count == 1 && rows_ > 1) {
    plane_rows_ = rows_;
    block_rows_ = rows_;
    block_cols_ = cols_;
    return ok_status();
  }
  if (count == rows_ && (scales_->shape.size() == 1 || scales_->shape.back() == 1)) {
    plane_rows_ = scale_rows_ = rows_;
    block_cols_ = cols_;
    return ok_status();
  }
  block_rows_ = block[0];
  block_cols_ = block[1];
  scale_rows_ = ceil_div(plane_rows_, block_rows_);
  scale_cols_ = ceil_div(cols_, block_cols_);
  std::vector<uint64_t> expected = shape_;
  expected[expected.size() - 2] = scale_rows_;
  expected.back() = scale_cols_;
  return scales_->shape == expected ? ok_status() : misfit(*numbers_, *scales_);
}

Result<StoredWeight> StoredWeight::packed(const Checkpoint& files, std::string name, const StoredTensor& nibbles, const StoredTensor& scales) {
  StoredWeight weight;
  weight.files_ = &files;
  weight.numbers_ = &nibbles;
  weight.scales_ = &scales;
  weight.name_ = std::move(name);
  std::vector<uint64_t> shape = nibbles.shape;
  if (shape.size() < 2 || scales.elements() == 0) return misfit(nibbles, scales);
  const bool parted = nibbles.type == StoredType::kU8 && shape.size() > 2 && shape.back() == kPackedGroup / 2;  // [.., groups, 16]
  if (parted) shape.pop_back();
  const uint64_t weights_each = parted ? kPackedGroup : nibbles.type == StoredType::kU8 ? 2 : 8;
  const auto cols = checked_multiply(shape.back(), weights_each);
  if (!cols) return misfit(nibbles, scales);
  shape.back() = *cols;
  HOTSET_RETURN_IF_ERROR(weight.take_shape(shape));
  std::vector<uint64_t> expected = shape;
  expected.back() = scales.shape.empty() ? 0 : scales.shape.back();
  if (scales.shape != expected || expected.back() == 0 || *cols % expected.back() != 0) return misfit(nibbles, scales);
  weight.scale_cols_ = expected.back();
  weight.block_cols_ = *cols / expected.back();
  if (nibbles.type == StoredType::kU8 && scales.type == StoredType::kU8 && weight.block_cols_ == kPackedGroup) {
    weight.form_ = Form::kMxfp4;
    return weight;
  }
  const bool ints = (nibbles.type == StoredType::kI32 || nibbles.type == StoredType::kU32) && is_float(scales.type) && weight.block_cols_ % 2 == 0;
  if (!ints) return misfit(nibbles, scales);
  weight.form_ = Form::kInt4;
  return weight;
}

StoredWeight StoredWeight::as_elements() const {
  StoredWeight elements = *this;
  elements.rows_ = rows_ * cols_;
  elements.cols_ = 1;
  return elements;
}

Status StoredWeight::check_rows(uint64_t first, uint64_t count) const {
  if (first <= rows_ && count <= rows_ - first) return first == 0 ? check_stated_shape() : ok_status();
  return error(Code::kInvalidArgument, "rows past the %llu of '%s' are asked for", static_cast<Ull>(rows_), printable(name_).c_str());
}

Status StoredWeight::check_stated_shape() const {
  if (stated_shape_ == nullptr || form_ != Form::kInt4) return ok_status();
  std::vector<std::byte> bytes(stated_shape_->size_bytes);
  std::vector<float> stated(stated_shape_->elements());
  HOTSET_RETURN_IF_ERROR(files_->read(*stated_shape_, 0, bytes));
  HOTSET_RETURN_IF_ERROR(stored_to_floats(stated_shape_->type, bytes, stated));
  const bool equal = stated.size() == shape_.size() &&
                     std::equal(stated.begin(), stated.end(), shape_.begin(), [](float a, uint64_t b) { return a == static_cast<float>(b); });
  if (equal) return ok_status();
  return error(Code::kUnsupported, "'%s' states another shape than the %s that are stored", printable(stated_shape_->name).c_str(),
               shape_text(shape_).c_str());
}

Result<std::vector<std::byte>> StoredWeight::read_bytes(const StoredTensor& tensor, uint64_t first, uint64_t count, uint64_t row_bytes) const {
  std::vector<std::byte> bytes(count * row_bytes);
  HOTSET_RETURN_IF_ERROR(files_->read(tensor, first * row_bytes, bytes));
  return bytes;
}

// Rows of scales, not of weights.
Result<std::vector<float>> StoredWeight::read_scales(uint64_t first, uint64_t count) const {
  HOTSET_ASSIGN(const auto bytes, read_bytes(*scales_, first, count, scale_cols_ * stored_type_bytes(scales_->type)));
  std::vector<float> scales(count * scale_cols_);
  HOTSET_RETURN_IF_ERROR(stored_to_floats(scales_->type, bytes, scales));
  return scales;
}

Status StoredWeight::read_scaled(uint64_t first, uint64_t count, std::span<float> out) const {
  const auto scale_row_of = [&](uint64_t row) { return row / plane_rows_ * scale_rows_ + row % plane_rows_ / block_rows_; };
  const uint64_t first_scale = scale_row_of(first);
  HOTSET_ASSIGN(const auto scales, read_scales(first_scale, scale_row_of(first + count - 1) - first_scale + 1));
  for (uint64_t i = 0; i < count; ++i) {
    const float* row_scales = &scales[(scale_row_of(first + i) - first_scale) * scale_cols_];
    for (uint64_t c = 0; c < cols_; ++c) out[i * cols_ + c] *= row_scales[c / block_cols_];
  }
  return ok_status();
}

Status StoredWeight::read_rows(uint64_t first, uint64_t count, std::span<float> out) const {
  HOTSET_RETURN_IF_ERROR(check_rows(first, count));
  if (count == 0) return ok_status();
  if (form_ == Form::kPlain || form_ == Form::kScaled) {
    HOTSET_ASSIGN(const auto bytes, read_bytes(*numbers_, first, count, cols_ * stored_type_bytes(numbers_->type)));
    HOTSET_RETURN_IF_ERROR(stored_to_floats(numbers_->type, bytes, out));
    return form_ == Form::kScaled ? read_scaled(first, count, out) : ok_status();
  }
  HOTSET_ASSIGN(const auto nibbles, read_bytes(*numbers_, first, count, cols_ / 2));
  if (form_ == Form::kMxfp4) {
    HOTSET_ASSIGN(const auto powers, read_bytes(*scales_, first, count, scale_cols_));
    unpack_mxfp4(nibbles, powers, out);
    return ok_status();
  }
  HOTSET_ASSIGN(const auto scales, read_scales(first, count));
  unpack_int4(nibbles, scales, out);
  return ok_status();
}

bool StoredWeight::repacks_to(BlockType type) const {
  if (form_ == Form::kMxfp4) return type == BlockType::kMXFP4;
  return form_ == Form::kInt4 && type == BlockType::kQ4_0 && block_cols_ == kPackedGroup;
}

Status StoredWeight::repack_rows(uint64_t first, uint64_t count, std::span<std::byte> blocks) const {
  HOTSET_RETURN_IF_ERROR(check_rows(first, count));
  HOTSET_ASSIGN(const auto nibbles, read_bytes(*numbers_, first, count, cols_ / 2));
  if (form_ == Form::kMxfp4) {
    HOTSET_ASSIGN(const auto powers, read_bytes(*scales_, first, count, scale_cols_));
    repack_mxfp4(nibbles, powers, blocks);
    return ok_status();
  }
  HOTSET_ASSIGN(const auto scales, read_scales(first, count));
  return repack_int4(nibbles, scales, blocks);
}

}  // namespace hotset
