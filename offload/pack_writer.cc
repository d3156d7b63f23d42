#include "offload/pack_writer.h"

#include <algorithm>

#include "platform/crc32c.h"

namespace hotset {
namespace {

// Experts are read and written in runs of about this size, so that the disk sees long stretches of each tensor.
constexpr uint64_t kRunBytes = 32u << 20;

class PackWriter {
 public:
  PackWriter(const ExpertTable& table, std::span<const File* const> parts, const PackProgress& progress)
      : table_(table), layout_(table), parts_(parts), progress_(progress) {}

  Status write(const std::string& path, const ModelIdentity& model);

 private:
  Status write_layer(uint32_t layer);
  Status write_run(uint32_t layer, uint32_t first, uint32_t count);
  Status read_run(uint32_t layer, uint32_t first, uint32_t count);

  const ExpertTable& table_;
  const PackLayout layout_;
  const std::span<const File* const> parts_;
  const PackProgress& progress_;
  std::unique_ptr<FileWriter> file_;
  std::vector<std::byte> run_;       // records of a run, each at the layer's stride
  std::vector<uint32_t> checksums_;  // of the records so far
  uint64_t done_bytes_ = 0;
};

Status PackWriter::write(const std::string& path, const ModelIdentity& model) {
  HOTSET_ASSIGN(file_, FileWriter::create(path, layout_.file_bytes()));
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) HOTSET_RETURN_IF_ERROR(write_layer(layer));
  const std::string header = pack_header(table_, model, checksums_);
  HOTSET_RETURN_IF_ERROR(file_->write(0, std::as_bytes(std::span(header))));
  return file_->commit();
}

Status PackWriter::write_layer(uint32_t layer) {
  const auto most = static_cast<uint32_t>(std::clamp<uint64_t>(kRunBytes / layout_.stride_bytes(layer), 1, table_.experts(layer)));
  run_.assign(most * layout_.stride_bytes(layer), std::byte{0});  // padding stays zero
  for (uint32_t first = 0; first < table_.experts(layer); first += most) {
    HOTSET_RETURN_IF_ERROR(write_run(layer, first, std::min(most, table_.experts(layer) - first)));
  }
  checksums_.resize((size_t{layer} + 1) * table_.experts());  // a layer of fewer experts leaves the rest of its row at 0
  return ok_status();
}

Status PackWriter::write_run(uint32_t layer, uint32_t first, uint32_t count) {
  HOTSET_RETURN_IF_ERROR(read_run(layer, first, count));
  const uint64_t stride_bytes = layout_.stride_bytes(layer);
  for (uint32_t i = 0; i < count; ++i) checksums_.push_back(crc32c(std::span(run_).subspan(i * stride_bytes, table_.record_bytes(layer))));
  const ExpertId at{static_cast<uint16_t>(layer), static_cast<uint16_t>(first)};
  HOTSET_RETURN_IF_ERROR(file_->write(layout_.offset_bytes(at), std::span(run_).first(count * stride_bytes)));
  done_bytes_ += count * table_.record_bytes(layer);
  if (progress_ && !progress_(done_bytes_, table_.total_bytes())) return error(Code::kCancelled, "packing was stopped");
  return ok_status();
}

// Piece by piece, for a model's tensors hold one piece of all experts.
Status PackWriter::read_run(uint32_t layer, uint32_t first, uint32_t count) {
  for (uint32_t piece = 0; piece < table_.pieces(layer); ++piece) {
    for (uint32_t i = 0; i < count; ++i) {
      const ExpertPiece from = table_.piece({static_cast<uint16_t>(layer), static_cast<uint16_t>(first + i)}, piece);
      const auto out = std::span(run_).subspan(i * layout_.stride_bytes(layer) + from.record_offset_bytes, from.file.size_bytes);
      HOTSET_RETURN_IF_ERROR(parts_[from.file.part]->read(from.file.offset_bytes, out));
    }
  }
  return ok_status();
}

Status check_place(const std::string& path, std::span<const File* const> parts) {
  for (const File* part : parts) {
    if (same_file(path, part->path())) return error(Code::kInvalidArgument, "'%s' is the model itself: name another file", path.c_str());
  }
  if (!file_exists(path) || is_pack_file(path)) return ok_status();
  return error(Code::kInvalidArgument, "'%s' is there already and is not a pack file: name another", path.c_str());
}

}  // namespace

Status write_pack(const std::string& path, const ExpertTable& table, std::span<const File* const> parts, const PackProgress& progress) {
  HOTSET_RETURN_IF_ERROR(check_place(path, parts));
  HOTSET_ASSIGN(const ModelIdentity model, identify_model(table, parts));
  return PackWriter(table, parts, progress).write(path, model);
}

}  // namespace hotset
