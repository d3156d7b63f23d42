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
#include "tests/tools/synthetic_vocabulary.h"

namespace hotset::test {
namespace {

constexpr uint64_t kChunkBytes = 4 << 20;  // one buffer and one write
constexpr double kLogitDeviation = 3;

enum class Content { kMatrix, kNorm, kSignedNorm, kEmbedding, kRouter };

struct Tensor {
  std::string name;
  std::vector<uint64_t> dims;  // innermost first
  BlockType type;
  Content content;
  double scale;  // standard deviation of a matrix, mean of a norm
  uint64_t row_bytes() const { return dims[0] / block_format(type).values * block_format(type).size_bytes; }
  uint64_t rows() const { return std::accumulate(dims.begin() + 1, dims.end(), uint64_t{1}, std::multiplies<>()); }
  uint64_t size_bytes() const { return row_bytes() * rows(); }
};

// Layers to which llama.cpp's Q4_K_M mix gives more bits.
bool wants_more_bits(uint32_t layer, uint32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

class Plan {
 public:
  explicit Plan(const ModelShape& shape) : shape_(shape) {
    const double logits = kLogitDeviation / std::sqrt(shape.embd);
    add("token_embd.weight", {shape.embd, shape.vocab}, shape.embd_type, Content::kEmbedding, 1);
    if (!shape.tied) add_matrix("output.weight", {shape.embd, shape.vocab}, shape.output_type, logits);
    // With random signs a tied embedding does not find the token that was just read in the hidden state.
    add("output_norm.weight", {shape.embd}, BlockType::kF32, shape.tied ? Content::kSignedNorm : Content::kNorm,
        shape.tied ? logits : 1);
    for (uint32_t layer = 0; layer < shape.layers; ++layer) add_layer(layer);
  }
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  void add(std::string name, std::vector<uint64_t> dims, BlockType type, Content content, double scale) {
    tensors_.push_back({std::move(name), std::move(dims), type, content, scale});
  }
  void add_matrix(std::string name, std::vector<uint64_t> dims, BlockType type, double deviation) {
    add(std::move(name), std::move(dims), type, Content::kMatrix, deviation);
  }
  void add_norm(std::string name, uint64_t width, double mean) {
    add(std::move(name), {width}, BlockType::kF32, Content::kNorm, mean);
  }

  void add_layer(uint32_t layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const uint64_t embd = shape_.embd, heads = uint64_t{shape_.heads} * shape_.head_dim;
    const uint64_t kv = uint64_t{shape_.kv_heads} * shape_.head_dim;
    const double in = 1 / std::sqrt(static_cast<double>(embd)), residual = 1 / std::sqrt(shape_.layers);
    const bool more = wants_more_bits(layer, shape_.layers);
    const BlockType mixed = more ? BlockType::kQ6_K : BlockType::kQ4_K;
    const bool k_mix = !shape_.down_type && shape_.type == BlockType::kQ4_K;
    add_norm(prefix + "attn_norm.weight", embd, 1);
    add_matrix(prefix + "attn_q.weight", {embd, heads}, shape_.type, in);
    add_matrix(prefix + "attn_k.weight", {embd, kv}, shape_.type, in);
    add_matrix(prefix + "attn_v.weight", {embd, kv}, k_mix ? mixed : shape_.type, in);
    add_matrix(prefix + "attn_output.weight", {heads, embd}, shape_.type, residual / std::sqrt(heads));
    add_norm(prefix + "attn_k_norm.weight", shape_.head_dim, 1);
    add_norm(prefix + "attn_q_norm.weight", shape_.head_dim, 1);
    add_norm(prefix + "ffn_norm.weight", embd, 1);
    add(prefix + "ffn_gate_inp.weight", {embd, shape_.experts}, BlockType::kF32, Content::kRouter, in);
    const uint64_t ff = shape_.expert_ff, experts = shape_.experts;
    add_matrix(prefix + "ffn_gate_exps.weight", {embd, ff, experts}, shape_.expert_type, in);
    add_matrix(prefix + "ffn_down_exps.weight", {ff, embd, experts}, shape_.down_type.value_or(mixed),
               residual / std::sqrt(ff));
    add_matrix(prefix + "ffn_up_exps.weight", {embd, ff, experts}, shape_.expert_type, in);
  }

  const ModelShape& shape_;
  std::vector<Tensor> tensors_;
};

Status check_shape(const ModelShape& shape, const std::vector<Tensor>& tensors) {
  for (const uint32_t count : {shape.layers, shape.embd, shape.heads, shape.kv_heads, shape.head_dim, shape.experts,
                               shape.used, shape.expert_ff, shape.ctx, shape.parts}) {
    if (count == 0) return error(Code::kInvalidArgument, "no dimension of a model may be 0");
  }
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

void add_metadata(const ModelShape& shape, GgufWriter& writer) {
  const std::string arch = "qwen3moe.";
  writer.add_string("general.architecture", "qwen3moe");
  writer.add_string("general.type", "model");
  writer.add_string("general.name", "synthetic " + shape.name);
  writer.add_string("general.description", "random weights, for measurements only");
  writer.add_u32("general.quantization_version", 2);
  writer.add_u32("general.file_type", block_format(shape.expert_type).file_type);
  writer.add_u32("general.alignment", 32);
  writer.add_u32(arch + "block_count", shape.layers);
  writer.add_u32(arch + "context_length", shape.ctx);
  writer.add_u32(arch + "embedding_length", shape.embd);
  writer.add_u32(arch + "feed_forward_length", shape.expert_ff * shape.used);
  writer.add_u32(arch + "attention.head_count", shape.heads);
  writer.add_u32(arch + "attention.head_count_kv", shape.kv_heads);
  writer.add_u32(arch + "attention.key_length", shape.head_dim);
  writer.add_u32(arch + "attention.value_length", shape.head_dim);
  writer.add_f32(arch + "attention.layer_norm_rms_epsilon", 1e-6f);
  writer.add_u32(arch + "rope.dimension_count", shape.head_dim);
  writer.add_f32(arch + "rope.freq_base", shape.rope_base);
  writer.add_u32(arch + "expert_count", shape.experts);
  writer.add_u32(arch + "expert_used_count", shape.used);
  writer.add_u32(arch + "expert_feed_forward_length", shape.expert_ff);
  writer.add_u32(arch + "vocab_size", shape.vocab);
  add_synthetic_vocabulary(shape.vocab, writer);
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
  if (part == 0) add_metadata(shape, writer);
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

std::vector<std::string> preset_names() { return {"tiny", "storyteller", "2gb", "qwen3-30b-a3b", "qwen3-235b-a22b", "kimi-k2-experts"}; }

Result<ModelShape> preset_shape(const std::string& name) {
  ModelShape shape;
  shape.name = name;
  const auto set = [&](uint32_t layers, uint32_t embd, uint32_t heads, uint32_t kv_heads, uint32_t head_dim) {
    shape.layers = layers, shape.embd = embd, shape.heads = heads, shape.kv_heads = kv_heads, shape.head_dim = head_dim;
  };
  const auto set_rest = [&](uint32_t experts, uint32_t used, uint32_t expert_ff, uint32_t vocab, uint32_t ctx) {
    shape.experts = experts, shape.used = used, shape.expert_ff = expert_ff, shape.vocab = vocab, shape.ctx = ctx;
  };
  if (name == "tiny") return shape;
  if (name == "storyteller") {
    set(5, 256, 4, 2, 64), set_rest(32, 2, 256, 4096, 2048);
    shape.embd_type = BlockType::kQ6_K;
    return shape;
  }
  shape.rope_base = 1e6f;
  if (name == "2gb") {  // the 30B's layer with half of its experts, ten times, and a small vocabulary
    set(10, 2048, 32, 4, 128), set_rest(64, 8, 768, 32768, 8192);
  } else if (name == "qwen3-30b-a3b") {
    set(48, 2048, 32, 4, 128), set_rest(128, 8, 768, 151936, 40960);
  } else if (name == "kimi-k2-experts") {
    set(61, 7168, 8, 1, 128), set_rest(384, 8, 2048, 4096, 4096);
  } else if (name == "qwen3-235b-a22b") {
    set(94, 4096, 64, 4, 128), set_rest(128, 8, 1536, 151936, 40960);
  } else {
    return error(Code::kNotFound, "no shape named '%s'", name.c_str());
  }
  return shape;
}

Result<WrittenModel> write_synthetic_model(const ModelShape& shape, const std::string& path, unsigned threads) {
  const Plan plan(shape);
  const std::span<const Tensor> tensors(plan.tensors());
  HOTSET_RETURN_IF_ERROR(check_shape(shape, plan.tensors()));
  WrittenModel written;
  std::vector<OutFile> files;
  std::vector<Chunk> chunks;
  Random seeds(shape.seed);
  const std::vector<size_t> starts = split_tensors(plan.tensors(), shape.parts);
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
