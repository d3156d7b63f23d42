#include "runtime/engine/convert/convert_model.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "platform/crc32c.h"
#include "platform/paths.h"
#include "platform/resumable_file.h"
#include "platform/threads.h"
#include "runtime/engine/convert/conversion_plan.h"
#include "runtime/engine/no_throw.h"
#include "runtime/format/gguf.h"
#include "runtime/format/quantize.h"
#include "runtime/model/family.h"
#include "runtime/text/vocabulary_json.h"
#include "runtime/text/vocabulary_writer.h"

namespace hotset {
namespace {

constexpr uint64_t kChunkWeights = 1u << 18;   // a thread's piece of work: 1 MiB of floats
constexpr uint32_t kChunksAThread = 4;         // between two looks at Ctrl-C
constexpr uint64_t kKeepNs = 5'000'000'000;    // so much work is lost at most when the power fails
constexpr uint64_t kMaxTextBytes = 256u << 20;  // the largest tokenizer.json is near 34 MB

struct TypeFacts {
  BlockType type;
  uint32_t file_type;  // general.file_type
};

constexpr TypeFacts kTypes[] = {
    {BlockType::kQ8_0, 7}, {BlockType::kQ6_K, 18}, {BlockType::kQ4_K, 14}, {BlockType::kQ4_0, 2},
    {BlockType::kMXFP4, 38}, {BlockType::kF16, 1}, {BlockType::kBF16, 32}, {BlockType::kF32, 0},
};

Result<BlockType> type_called(const std::string& name, const WeightCatalog& weights) {
  if (name.empty()) return natural_type(weights);
  std::string known;
  for (const TypeFacts& facts : kTypes) {
    if (name == block_type_name(facts.type)) return facts.type;
    known += (known.empty() ? "" : ", ") + std::string(block_type_name(facts.type));
  }
  return error(Code::kInvalidArgument, "'%s' is no type to convert to: %s", printable(name).c_str(), known.c_str());
}

Result<VocabularyTexts> read_texts(const Checkpoint& checkpoint) {
  VocabularyTexts texts;
  HOTSET_ASSIGN(texts.tokenizer, checkpoint.text("tokenizer.json", kMaxTextBytes));
  HOTSET_ASSIGN(texts.ranks, checkpoint.text("tiktoken.model", kMaxTextBytes));
  HOTSET_ASSIGN(texts.tokenizer_config, checkpoint.text("tokenizer_config.json", kMaxTextBytes));
  HOTSET_ASSIGN(texts.generation_config, checkpoint.text("generation_config.json", kMaxTextBytes));
  HOTSET_ASSIGN(texts.chat_template, checkpoint.text("chat_template.jinja", kMaxTextBytes));
  HOTSET_ASSIGN(texts.chat_template_json, checkpoint.text("chat_template.json", kMaxTextBytes));
  return texts;
}

std::string folder_name(const std::string& folder) {
  std::error_code ec;
  const auto path = std::filesystem::weakly_canonical(native_path(folder), ec);
  return ec ? folder : utf8_text(path.filename());
}

// Everything before the numbers, the tensors' places among it.
Result<GgufWriter> describe_file(const Checkpoint& checkpoint, const HfConfig& config, const ConversionPlan& plan, BlockType type) {
  GgufWriter writer;
  writer.add_string("general.architecture", plan.architecture);
  writer.add_string("general.type", "model");
  writer.add_string("general.name", folder_name(checkpoint.folder()));
  const auto facts = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeFacts& f) { return f.type == type; });
  writer.add_u32("general.file_type", facts->file_type);
  writer.add_u32("general.quantization_version", 2);
  plan.metadata.write(writer);
  HOTSET_ASSIGN(const VocabularyTexts texts, read_texts(checkpoint));
  HOTSET_ASSIGN(const Vocabulary vocabulary, read_vocabulary_texts(texts, config.document(), plan.vocab_size));
  write_vocabulary(vocabulary, writer);
  HOTSET_ASSIGN(const std::string chat_template, read_chat_template(texts));
  if (!chat_template.empty()) writer.add_string("tokenizer.chat_template", chat_template);
  for (const PlannedTensor& tensor : plan.tensors) HOTSET_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.dims, tensor.type));
  return writer;
}

uint32_t checksum(std::string_view text, uint32_t before = 0) { return crc32c(std::as_bytes(std::span(text.data(), text.size())), before); }

// What is written and from what: both decide every byte of the file.
std::string key_of(const Checkpoint& checkpoint, const HfConfig& config, const std::string& head) {
  uint32_t source = checksum(config.text());
  uint64_t bytes = 0;
  for (size_t i = 0; i < checkpoint.file_count(); ++i) {
    const File& file = checkpoint.file(i);
    std::error_code ec;
    const auto changed = std::filesystem::last_write_time(native_path(file.path()), ec).time_since_epoch().count();
    source = checksum(utf8_text(native_path(file.path()).filename()) + ":" + std::to_string(file.size_bytes()) + ":" + std::to_string(changed), source);
    bytes += file.size_bytes();
  }
  char key[128];
  std::snprintf(key, sizeof key, "hotset convert 1 head %08x source %08x %llu", checksum(head), source, static_cast<unsigned long long>(bytes));
  return key;
}

struct Chunk {
  size_t tensor;
  uint64_t row;
  uint64_t rows;
};

// Walks the plan and writes what it makes.
class Conversion {
 public:
  Conversion(const ConversionPlan& plan, const GgufWriter& layout, uint64_t head_bytes, ResumableFile& file, uint32_t threads)
      : plan_(plan), layout_(layout), head_bytes_(head_bytes), file_(file), threads_(threads) {}

  Status run(const ConvertProgress& progress) {
    go_to(file_.done_bytes());
    uint64_t kept_ns = now_ns();
    while (tensor_ < plan_.tensors.size()) {
      if (!progress(place(), total())) return stop();
      const uint64_t before = place();
      const std::vector<Chunk> batch = next_batch();
      const Status written = write_batch(batch);
      if (!written.ok()) return keep_and(before, written);
      if (now_ns() - kept_ns < kKeepNs) continue;
      HOTSET_RETURN_IF_ERROR(file_.keep(place()));
      kept_ns = now_ns();
    }
    progress(total(), total());
    return file_.keep(total());
  }

 private:
  uint64_t total() const { return head_bytes_ + layout_.data_bytes(); }
  uint64_t row_size(size_t tensor) const { return layout_.data_size_bytes(tensor) / plan_.tensors[tensor].rows(); }
  uint64_t offset(size_t tensor, uint64_t row) const { return head_bytes_ + layout_.data_offset_bytes(tensor) + row * row_size(tensor); }
  uint64_t place() const { return tensor_ == plan_.tensors.size() ? total() : offset(tensor_, row_); }

  Status stop() { return keep_and(place(), error(Code::kCancelled, "the conversion was stopped; the same command goes on with it")); }
  // Whether noting how far it came works out or not, the first error is what matters.
  Status keep_and(uint64_t done_bytes, const Status& why) {
    (void)file_.keep(done_bytes);
    return why;
  }

  // The row that holds this byte, or the first after it.
  void go_to(uint64_t done_bytes) {
    while (tensor_ < plan_.tensors.size() && offset(tensor_, plan_.tensors[tensor_].rows()) <= done_bytes) ++tensor_;
    if (tensor_ < plan_.tensors.size() && done_bytes > offset(tensor_, 0)) row_ = (done_bytes - offset(tensor_, 0)) / row_size(tensor_);
  }

  std::vector<Chunk> next_batch() {
    std::vector<Chunk> batch;
    while (batch.size() < size_t{kChunksAThread} * threads_ && tensor_ < plan_.tensors.size()) {
      const PlannedTensor& tensor = plan_.tensors[tensor_];
      const uint64_t rows = chunk_rows(tensor, row_, kChunkWeights);
      batch.push_back({tensor_, row_, rows});
      row_ += rows;
      if (row_ < tensor.rows()) continue;
      ++tensor_;
      row_ = 0;
    }
    return batch;
  }

  Status write_batch(const std::vector<Chunk>& batch) {
    return parallel_for(threads_, static_cast<uint32_t>(batch.size()), [&](uint32_t i) -> Status {
      const Chunk& chunk = batch[i];
      HOTSET_ASSIGN(const auto bytes, make_rows(plan_.tensors[chunk.tensor], chunk.row, chunk.rows));
      return file_.write(offset(chunk.tensor, chunk.row), bytes);
    });
  }

  const ConversionPlan& plan_;
  const GgufWriter& layout_;
  const uint64_t head_bytes_;
  ResumableFile& file_;
  const uint32_t threads_;
  size_t tensor_ = 0;  // where it is
  uint64_t row_ = 0;
};

// The head with the tensors' places is a whole model to what reads no numbers, so a model that cannot be run is found out at once.
Status check_runnable(const std::string& path) {
  HOTSET_ASSIGN(const auto model, GgufFile::open(path));
  const auto spec = describe_model(*model);
  return spec.ok() ? ok_status() : spec.status().with_context("the converted model could not be run");
}

Status begin_file(ResumableFile& file, const std::string& head) {
  if (file.done_bytes() >= head.size()) return ok_status();
  HOTSET_RETURN_IF_ERROR(file.write(0, std::as_bytes(std::span(head.data(), head.size()))));
  const Status runnable = check_runnable(file.part_path());
  if (!runnable.ok()) file.drop();
  HOTSET_RETURN_IF_ERROR(runnable);
  return file.keep(head.size());
}

Result<ConvertReport> convert(const ConvertOptions& options, const ConvertProgress& progress) {
  HOTSET_ASSIGN(const auto checkpoint, Checkpoint::open(options.folder));
  HOTSET_ASSIGN(const HfConfig config, HfConfig::read(*checkpoint));
  HOTSET_ASSIGN(const WeightCatalog weights, WeightCatalog::build(*checkpoint, config.document()));
  HOTSET_ASSIGN(const BlockType type, type_called(options.type, weights));
  HOTSET_ASSIGN(const ConversionPlan plan, plan_conversion(config, weights, type));
  HOTSET_ASSIGN(const GgufWriter layout, describe_file(*checkpoint, config, plan, type));
  const std::string head = layout.head();
  const uint64_t total_bytes = head.size() + layout.data_bytes();
  HOTSET_ASSIGN(const auto file, ResumableFile::open(options.out, key_of(*checkpoint, config, head), total_bytes));
  ConvertReport report = {plan.architecture, block_type_name(type), plan.tensors.size(), plan.ignored, 0, total_bytes, file->done_bytes()};
  for (size_t i = 0; i < checkpoint->file_count(); ++i) report.source_bytes += checkpoint->file(i).size_bytes();
  HOTSET_RETURN_IF_ERROR(begin_file(*file, head));
  HOTSET_RETURN_IF_ERROR(Conversion(plan, layout, head.size(), *file, resolve_threads(options.threads)).run(progress));
  HOTSET_RETURN_IF_ERROR(file->commit());
  return report;
}

}  // namespace

std::vector<std::string> convert_types() {
  std::vector<std::string> names;
  for (const TypeFacts& facts : kTypes) names.push_back(block_type_name(facts.type));
  return names;
}

Result<ConvertReport> convert_model(const ConvertOptions& options, const ConvertProgress& progress) {
  return without_exceptions([&] { return convert(options, progress); });
}

}  // namespace hotset
