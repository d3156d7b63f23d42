#include "tests/tools/synthetic_model.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>
#include <utility>

#include "tests/tools/gguf_writer.h"
#include "tests/tools/synthetic_tensors.h"
#include "tests/tools/synthetic_vocabulary.h"

namespace hotset::test {
namespace {

constexpr uint64_t kChunkBytes = 4 << 20;  // one buffer and one write

Status check_shape(const ModelShape& shape, const std::vector<Tensor>& tensors) {
  for (const uint32_t count : {shape.layers, shape.embd, shape.heads, shape.kv_heads, shape.head_dim, shape.experts,
                               shape.used, shape.expert_ff, shape.ctx, shape.parts}) {
    if (count == 0) return error(Code::kInvalidArgument, "no dimension of a model may be 0");
  }
  if (tensors.empty()) return error(Code::kInvalidArgument, "models of '%s' cannot be made", shape.architecture.c_str());
  if (shape.used > shape.experts) return error(Code::kInvalidArgument, "--used is above --experts");
  if (shape.heads % shape.kv_heads) return error(Code::kInvalidArgument, "--kv-heads does not divide --heads");
  if (shape.head_dim % 2) return error(Code::kInvalidArgument, "--head-dim must be even");
  if (block_format(shape.embd_type).positive_mean == 0) {
    return error(Code::kInvalidArgument, "--embd-type cannot be %s", block_format(shape.embd_type).name);
  }
  if (shape.embd < kPositiveChannels) {
    return error(Code::kInvalidArgument, "--embd must be at least %u", kPositiveChannels);
  }
  if (shape.vocab < kSmallestVocabulary) {
    return error(Code::kInvalidArgument, "--vocab must be at least %u", kSmallestVocabulary);
  }
  if (shape.parts > tensors.size()) return error(Code::kInvalidArgument, "--split is above the number of tensors");
  for (const Tensor& tensor : tensors) {
    const BlockFormat& format = block_format(tensor.type);
    if (tensor.dims[0] % format.values) {
      return error(Code::kInvalidArgument, "%s: rows of %llu values are not whole %s blocks of %u", tensor.name.c_str(),
                   static_cast<unsigned long long>(tensor.dims[0]), format.name, format.values);
    }
  }
  return ok_status();
}

// What one thread fills and writes at once: whole rows of one tensor.
struct Chunk {
  const Tensor* tensor;
  uint64_t first_row, rows;
  int file;
  uint64_t file_offset;
  uint64_t seed;
};

void fill_router(const ModelShape& shape, const Tensor& tensor, Random& random, std::span<std::byte> out) {
  fill_blocks(BlockType::kF32, tensor.scale, random, out);
  if (shape.router_skew == 0) return;
  std::vector<uint32_t> ranks(shape.experts);
  std::iota(ranks.begin(), ranks.end(), 1u);
  for (size_t i = ranks.size(); i > 1; --i) std::swap(ranks[i - 1], ranks[random.next() % i]);
  // Norms divide by the root mean square of the stream, which is about 1 plus what the positive channels add.
  const double mean = block_format(shape.embd_type).positive_mean;
  for (uint32_t expert = 0; expert < shape.experts; ++expert) {
    const auto add = static_cast<float>(-shape.router_skew * std::log(ranks[expert]) / (kPositiveChannels * mean));
    for (uint32_t channel = 0; channel < kPositiveChannels; ++channel) {
      std::byte* at = out.data() + (uint64_t{expert} * shape.embd + channel) * sizeof(float);
      float value;
      std::memcpy(&value, at, sizeof value);
      value += add;
      std::memcpy(at, &value, sizeof value);
    }
  }
}

void fill_norm(const Tensor& tensor, Random& random, std::span<std::byte> out) {
  for (size_t at = 0; at < out.size(); at += sizeof(float)) {
    const double sign = tensor.content == Content::kSignedNorm && random.next() >> 63 ? -1 : 1;
    const auto value = static_cast<float>(sign * tensor.scale * (1 + 0.1 * random.next_signed()));
    std::memcpy(out.data() + at, &value, sizeof value);
  }
}

void fill_chunk(const ModelShape& shape, const Chunk& chunk, std::span<std::byte> out) {
  Random random(chunk.seed);
  const Tensor& tensor = *chunk.tensor;
  if (tensor.content == Content::kRouter) return fill_router(shape, tensor, random, out);
  if (tensor.content == Content::kNorm || tensor.content == Content::kSignedNorm) return fill_norm(tensor, random, out);
  fill_blocks(tensor.type, tensor.scale, random, out);
  if (tensor.content != Content::kEmbedding || shape.router_skew == 0) return;
  const uint64_t row_bytes = tensor.row_bytes();
  for (uint64_t row = 0; row < chunk.rows; ++row) {
    make_channels_positive(tensor.type, out.subspan(row * row_bytes, row_bytes));
  }
}

Status write_at(int file, uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return error(Code::kIo, "cannot write: %s", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return ok_status();
}

// Fills and writes all chunks; each thread takes the next one. The first error stops the rest.
Status write_chunks(const ModelShape& shape, const std::vector<Chunk>& chunks, unsigned thread_count) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::vector<Status> results(thread_count);
  const auto work = [&](Status& result) {
    std::vector<std::byte> buffer;
    for (size_t i = next++; i < chunks.size() && !failed; i = next++) {
      const Chunk& chunk = chunks[i];
      buffer.resize(chunk.rows * chunk.tensor->row_bytes());
      fill_chunk(shape, chunk, buffer);
      result = write_at(chunk.file, chunk.file_offset, buffer);
      if (!result.ok()) failed = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < thread_count; ++i) threads.emplace_back(work, std::ref(results[i]));
  for (std::thread& thread : threads) thread.join();
  for (const Status& result : results) HOTSET_RETURN_IF_ERROR(result);
  return ok_status();
}

// An open file of the model, closed with its owner.
class OutFile {
 public:
  static Result<OutFile> create(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (descriptor < 0) return error(Code::kIo, "%s: %s", path.c_str(), std::strerror(errno));
    return OutFile(descriptor);
  }
  OutFile(OutFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~OutFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

  // Writes the head and sets the final size; the tensors fill what lies between in any order.
  Status start(std::string_view head, uint64_t size_bytes) {
    HOTSET_RETURN_IF_ERROR(write_at(descriptor_, 0, std::as_bytes(std::span(head))));
    if (ftruncate(descriptor_, static_cast<off_t>(size_bytes)) == 0) return ok_status();
    return error(Code::kIo, "cannot set the size: %s", std::strerror(errno));
  }

 private:
  explicit OutFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

std::string part_path(const std::string& path, uint32_t part, uint32_t parts) {
  if (parts == 1) return path;
  const std::string stem = path.ends_with(".gguf") ? path.substr(0, path.size() - 5) : path;
  char suffix[40];
  std::snprintf(suffix, sizeof suffix, "-%05u-of-%05u.gguf", part + 1, parts);
  return stem + suffix;
}

// Splits tensors into parts of about equal bytes, at least one tensor each; returns each part's first tensor and the
// end.
std::vector<size_t> split_tensors(const std::vector<Tensor>& tensors, uint32_t parts) {
  uint64_t total = 0, seen = 0;
  for (const Tensor& tensor : tensors) total += tensor.size_bytes();
  std::vector<size_t> starts = {0};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t part = starts.size();
    const bool full = seen >= total / parts * part, must = tensors.size() - i == parts - part;
    if (part < parts && i > starts.back() && (full || must)) starts.push_back(i);
    seen += tensors[i].size_bytes();
  }
  starts.push_back(tensors.size());
  return starts;
}

// The head of one file: the first has the model's metadata, each of several says which part it is.
GgufWriter describe_part(const ModelShape& shape, uint32_t part, size_t tensor_count, std::span<const Tensor> own) {
  GgufWriter writer;
  if (part == 0) add_synthetic_metadata(shape, writer);
  if (shape.parts > 1) {
    writer.add_u16("split.no", static_cast<uint16_t>(part));
    writer.add_u16("split.count", static_cast<uint16_t>(shape.parts));
    writer.add_i32("split.tensors.count", static_cast<int32_t>(tensor_count));
  }
  for (const Tensor& tensor : own) {
    writer.add_tensor(tensor.name, tensor.dims, static_cast<uint32_t>(tensor.type), tensor.size_bytes());
  }
  return writer;
}

// Cuts one tensor into chunks. A router is one chunk: its rows share a shuffle.
void add_chunks(const Tensor& tensor, int file, uint64_t offset, uint64_t seed, std::vector<Chunk>& chunks) {
  const uint64_t row_bytes = tensor.row_bytes();
  const bool whole = tensor.content == Content::kRouter;
  const uint64_t step = whole ? tensor.rows() : std::max<uint64_t>(1, kChunkBytes / row_bytes);
  for (uint64_t row = 0; row < tensor.rows(); row += step) {
    chunks.push_back({&tensor, row, std::min(step, tensor.rows() - row), file, offset + row * row_bytes, seed + row});
  }
}

}  // namespace

Result<WrittenModel> write_synthetic_model(const ModelShape& shape, const std::string& path, unsigned threads) {
  const std::vector<Tensor> plan = plan_tensors(shape);
  const std::span<const Tensor> tensors(plan);
  HOTSET_RETURN_IF_ERROR(check_shape(shape, plan));
  WrittenModel written;
  std::vector<OutFile> files;
  std::vector<Chunk> chunks;
  Random seeds(shape.seed);
  const std::vector<size_t> starts = split_tensors(plan, shape.parts);
  for (uint32_t part = 0; part < shape.parts; ++part) {
    written.files.push_back(part_path(path, part, shape.parts));
    HOTSET_ASSIGN(OutFile file, OutFile::create(written.files.back()));
    const auto own = tensors.subspan(starts[part], starts[part + 1] - starts[part]);
    const GgufWriter writer = describe_part(shape, part, tensors.size(), own);
    const std::string head = writer.head();
    HOTSET_RETURN_IF_ERROR(file.start(head, head.size() + writer.data_bytes()).with_context(written.files.back()));
    for (size_t i = 0; i < own.size(); ++i) {
      if (shape.sparse && own[i].name.ends_with("_exps.weight")) continue;
      add_chunks(own[i], file.descriptor(), head.size() + writer.data_offset(i), seeds.next(), chunks);
    }
    written.size_bytes += head.size() + writer.data_bytes();
    files.push_back(std::move(file));
  }
  HOTSET_RETURN_IF_ERROR(write_chunks(shape, chunks, std::max(1u, threads)).with_context(path));
  return written;
}

}  // namespace hotset::test
