#include "runtime/engine/convert/planned_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/format/gguf_value.h"
#include "runtime/format/quantize.h"

namespace hotset {
namespace {

using Ull = unsigned long long;

constexpr uint64_t kMostWaste = 4;  // rows read for a row wanted, before rows are read run by run

struct Reach {
  uint64_t low;
  uint64_t high;
};

Reach reach_of(const RowOrder& order, uint64_t first, uint64_t count) {
  Reach reach = {UINT64_MAX, 0};
  for (uint64_t r = first; r < first + count; ++r) {
    const uint64_t row = order.source_row(r);
    reach = {std::min(reach.low, row), std::max(reach.high, row)};
  }
  return reach;
}

// Rows of `T`, `width` a row, in the order's sequence; read(first, count, out) reads neighbours.
template <class T, class Read>
Status gather(const RowOrder& order, uint64_t first, uint64_t count, uint64_t width, std::span<T> out, const Read& read) {
  const Reach reach = reach_of(order, first, count);
  const uint64_t span_rows = reach.high - reach.low + 1;
  if (span_rows <= kMostWaste * count) {
    std::vector<T> all(span_rows * width);
    HOTSET_RETURN_IF_ERROR(read(reach.low, span_rows, std::span<T>(all)));
    for (uint64_t i = 0; i < count; ++i) std::copy_n(&all[(order.source_row(first + i) - reach.low) * width], width, &out[i * width]);
    return ok_status();
  }
  for (uint64_t i = 0; i < count;) {
    const uint64_t row = order.source_row(first + i);
    uint64_t run = 1;
    while (i + run < count && order.source_row(first + i + run) == row + run) ++run;
    HOTSET_RETURN_IF_ERROR(read(row, run, out.subspan(i * width, run * width)));
    i += run;
  }
  return ok_status();
}

// Columns of a plane of the source as rows.
Status read_transposed(const Piece& piece, uint64_t first, uint64_t count, std::span<float> out) {
  const uint64_t cols = piece.source.cols();
  std::vector<float> plane(piece.plane_rows * cols);
  HOTSET_RETURN_IF_ERROR(piece.source.read_rows(piece.plane_first, piece.plane_rows, plane));
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t column = piece.order.source_row(first + i);
    for (uint64_t k = 0; k < piece.plane_rows; ++k) out[i * piece.plane_rows + k] = plane[k * cols + column];
  }
  return ok_status();
}

Status read_piece(const Piece& piece, uint64_t first, uint64_t count, std::span<float> out) {
  if (piece.plane_rows != 0) return read_transposed(piece, first, count, out);
  const auto read = [&](uint64_t row, uint64_t rows, std::span<float> to) { return piece.source.read_rows(row, rows, to); };
  return gather(piece.order, first, count, piece.source.cols(), out, read);
}

bool repacks(const PlannedTensor& tensor, const Piece& piece) {
  return piece.plane_rows == 0 && tensor.change == Change::kNone && tensor.column_group == 0 && piece.source.repacks_to(tensor.type);
}

void order_columns(const PlannedTensor& tensor, std::span<float> values) {
  if (tensor.column_group == 0) return;
  const uint64_t cols = tensor.cols();
  std::vector<float> row(cols);
  for (size_t begin = 0; begin < values.size(); begin += cols) {
    std::copy_n(&values[begin], cols, row.begin());
    for (uint64_t g = 0; g < cols / tensor.column_group; ++g) {
      std::copy_n(&row[tensor.columns.source_row(g) * tensor.column_group], tensor.column_group, &values[begin + g * tensor.column_group]);
    }
  }
}

void change_all(Change change, std::span<float> values) {
  if (change == Change::kAddOne) std::for_each(values.begin(), values.end(), [](float& x) { x += 1; });
  if (change == Change::kMinusExp) std::for_each(values.begin(), values.end(), [](float& x) { x = -std::exp(x); });
}

// Part of one piece, as blocks.
Status make_part(const PlannedTensor& tensor, const Piece& piece, uint64_t first, uint64_t count, std::span<std::byte> out) {
  if (repacks(tensor, piece)) {
    const auto read = [&](uint64_t row, uint64_t rows, std::span<std::byte> to) { return piece.source.repack_rows(row, rows, to); };
    return gather(piece.order, first, count, out.size() / count, out, read);
  }
  std::vector<float> values(count * piece.cols());
  HOTSET_RETURN_IF_ERROR(read_piece(piece, first, count, values));
  order_columns(tensor, values);
  change_all(tensor.change, values);
  return quantize(tensor.type, values, out);
}

bool is_permutation(const RowOrder& order, uint64_t count) {
  std::vector<bool> seen(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = order.source_row(i);
    if (at >= count || seen[at]) return false;
    seen[at] = true;
  }
  return true;
}

Status misfit(const PlannedTensor& tensor, const Piece& piece) {
  return error(Code::kCorrupt, "the weights '%s' (%llu rows of %llu) do not fit the tensor '%s' that the config describes", printable(piece.source.name()).c_str(),
               static_cast<Ull>(piece.source.rows()), static_cast<Ull>(piece.source.cols()), tensor.name.c_str());
}

Status check_piece(const PlannedTensor& tensor, const Piece& piece) {
  if (piece.rows == 0 || piece.cols() != tensor.cols()) return misfit(tensor, piece);
  const uint64_t limit = piece.plane_rows != 0 ? piece.source.cols() : piece.source.rows();
  const bool plane_fits = piece.plane_rows == 0 || (piece.plane_first <= piece.source.rows() && piece.plane_rows <= piece.source.rows() - piece.plane_first);
  return plane_fits && piece.rows <= limit && reach_of(piece.order, 0, piece.rows).high < limit ? ok_status() : misfit(tensor, piece);
}

}  // namespace

uint64_t PlannedTensor::rows() const {
  uint64_t rows = 0;
  for (const Piece& piece : pieces) rows += piece.rows;
  return pieces.empty() ? values.size() : rows;
}

uint64_t PlannedTensor::cols() const { return pieces.empty() ? 1 : pieces[0].cols(); }

Status check_planned(const PlannedTensor& tensor) {
  for (const Piece& piece : tensor.pieces) HOTSET_RETURN_IF_ERROR(check_piece(tensor, piece));
  uint64_t elements = 1;
  for (const uint64_t dim : tensor.dims) elements *= dim;
  const bool whole = elements == tensor.rows() * tensor.cols() && !tensor.dims.empty() && tensor.dims.size() <= 4;
  const bool one_a_row = tensor.cols() == 1 && block_elements(tensor.type) == 1;
  if (!whole || (tensor.dims[0] != tensor.cols() && !one_a_row)) {
    return error(Code::kCorrupt, "the tensor '%s' cannot be made of the weights there are: their shapes do not fit", tensor.name.c_str());
  }
  const uint64_t groups = tensor.column_group == 0 ? 0 : tensor.cols() / tensor.column_group;
  if (tensor.column_group != 0 && (tensor.cols() % tensor.column_group != 0 || !is_permutation(tensor.columns, groups))) {
    return error(Code::kCorrupt, "the columns of '%s' cannot be ordered as the config says", tensor.name.c_str());
  }
  return ok_status();
}

uint64_t chunk_rows(const PlannedTensor& tensor, uint64_t first, uint64_t weights) {
  uint64_t begin = 0;
  for (const Piece& piece : tensor.pieces) {
    if (first < begin + piece.rows && piece.plane_rows != 0) return begin + piece.rows - first;
    begin += piece.rows;
  }
  return std::min(tensor.rows() - first, std::max<uint64_t>(1, weights / tensor.cols()));
}

Result<std::vector<std::byte>> make_rows(const PlannedTensor& tensor, uint64_t first, uint64_t count) {
  HOTSET_ASSIGN(const uint64_t bytes_a_row, row_bytes(tensor.type, tensor.cols()));
  std::vector<std::byte> out(count * bytes_a_row);
  if (tensor.pieces.empty()) {
    HOTSET_RETURN_IF_ERROR(quantize(tensor.type, std::span(tensor.values).subspan(first, count), out));
    return out;
  }
  uint64_t begin = 0;  // of the piece, in rows of the tensor
  for (const Piece& piece : tensor.pieces) {
    const uint64_t from = std::max(first, begin);
    const uint64_t to = std::min(first + count, begin + piece.rows);
    if (from < to) {
      const auto part = std::span(out).subspan((from - first) * bytes_a_row, (to - from) * bytes_a_row);
      HOTSET_RETURN_IF_ERROR(make_part(tensor, piece, from - begin, to - from, part).with_context("'" + printable(piece.source.name()) + "'"));
    }
    begin += piece.rows;
  }
  return out;
}

}  // namespace hotset
