// PlannedTensor: how one tensor of a GGUF comes out of weights of a checkpoint. Plain data; reading it is a pure function of the files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/format/quant.h"
#include "runtime/format/stored_weight.h"

namespace hotset {

// Which row comes where: row r, written as the digits a, b, c with b below b_count and c below c_count, is row
// first + a * a_step + b * b_step + c * c_step of the source.
struct RowOrder {
  uint64_t first = 0;
  uint64_t a_step = 1;
  uint64_t b_count = 1;
  uint64_t b_step = 0;
  uint64_t c_count = 1;
  uint64_t c_step = 0;

  uint64_t source_row(uint64_t row) const {
    const uint64_t c = row % c_count;
    const uint64_t b = row / c_count % b_count;
    const uint64_t a = row / c_count / b_count;
    return first + a * a_step + b * b_step + c * c_step;
  }
};

// A run of rows out of one weight.
struct Piece {
  StoredWeight source;
  uint64_t rows = 0;
  RowOrder order;
  // Not 0: a row is a column of the source, which `order` chooses, through this many of its rows from plane_first on.
  uint64_t plane_rows = 0;
  uint64_t plane_first = 0;

  uint64_t cols() const { return plane_rows != 0 ? plane_rows : source.cols(); }
};

enum class Change { kNone, kAddOne, kMinusExp };  // of each number: x, x + 1, -exp(x)

struct PlannedTensor {
  std::string name;
  std::vector<uint64_t> dims;  // innermost first
  BlockType type = BlockType::kF32;
  Change change = Change::kNone;
  // Columns in groups of column_group, which come in the order of `columns`; 0: as they are.
  uint64_t column_group = 0;
  RowOrder columns;
  std::vector<Piece> pieces;   // one after the other; all with the same number of columns
  std::vector<float> values;   // where there are no pieces

  uint64_t rows() const;  // of the pieces
  uint64_t cols() const;
};

// Error: the pieces do not make a tensor of these dims, or reach past a source's rows.
Status check_planned(const PlannedTensor& tensor);

// Rows that are best read together: a plane, where rows are columns of the source, else what makes about `weights` weights.
uint64_t chunk_rows(const PlannedTensor& tensor, uint64_t first, uint64_t weights);

// The bytes of rows [first, first + count), as blocks of the tensor's type.
Result<std::vector<std::byte>> make_rows(const PlannedTensor& tensor, uint64_t first, uint64_t count);

}  // namespace hotset
