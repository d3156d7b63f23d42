// SessionImpl: the state that the output matrix reads, as an embedding.
#include <algorithm>

#include "runtime/engine/no_throw.h"
#include "runtime/engine/session_impl.h"

namespace hotset {

// Rows of ModelSpec::hidden that a chunk left, added up or the last kept.
struct SessionImpl::HiddenSum {
  Pooling pooling;
  std::vector<double> sum;   // [width]
  std::vector<float> rows;   // [tokens][width] of the chunk
  uint64_t tokens = 0;

  void add(std::span<const float> chunk) {
    const size_t width = sum.size();
    const size_t first = pooling == Pooling::kMean ? 0 : chunk.size() - width;
    if (pooling == Pooling::kLast) std::ranges::fill(sum, 0.0);
    for (size_t i = first; i < chunk.size(); ++i) sum[i % width] += static_cast<double>(chunk[i]);
    tokens = pooling == Pooling::kMean ? tokens + chunk.size() / width : 1;
  }
};

Result<std::vector<float>> SessionImpl::embed(std::span<const TokenId> tokens, Pooling pooling) {
  return without_exceptions([&]() -> Result<std::vector<float>> {
    if (tokens.empty()) return error(Code::kInvalidArgument, "there are no tokens to make an embedding of");
    HiddenSum sum = {pooling, std::vector<double>(loaded_.spec().hidden.width), {}};
    const ChunkFunction read = [&](size_t count) { return read_hidden(count, sum); };
    HOTSET_RETURN_IF_ERROR(feed_checked(tokens, {}, read));
    std::vector<float> embedding(sum.sum.size());
    std::ranges::transform(sum.sum, embedding.begin(), [&](double value) { return static_cast<float>(value / static_cast<double>(sum.tokens)); });
    return embedding;
  });
}

// Within the chunk's turn: what it left is still there.
Status SessionImpl::read_hidden(size_t tokens, HiddenSum& sum) {
  const uint64_t address = workspace_->value(loaded_.spec().hidden.id).address;
  sum.rows.resize(tokens * sum.sum.size());
  const Buffer& scratch = workspace_->scratch_buffer();
  HOTSET_RETURN_IF_ERROR(loaded_.copies().read(scratch, address - scratch.address(), std::as_writable_bytes(std::span(sum.rows))));
  sum.add(sum.rows);
  return ok_status();
}

}  // namespace hotset
