#include "offload/expert_source.h"

#include <algorithm>
#include <atomic>

#include "offload/pack_file.h"
#include "platform/bytes.h"
#include "platform/crc32c.h"

namespace hotset {
namespace {

// Without direct I/O: what is aligned in the file, to a cache line at most, is aligned in memory.
constexpr uint64_t kLeastAlignment = 64;

uint64_t align_down(uint64_t value, uint64_t alignment) { return value & ~(alignment - 1); }

// The read that covers a range at an alignment; it lands at the start of a slot.
SourceExtent extent_of(const ByteRange& range, uint64_t alignment) {
  SourceExtent extent;
  extent.file = range.part;
  extent.offset_bytes = align_down(range.offset_bytes, alignment);
  extent.lead_bytes = range.offset_bytes - extent.offset_bytes;
  extent.wanted_bytes = range.size_bytes;
  extent.size_bytes = align_up(extent.lead_bytes + extent.wanted_bytes, alignment);
  return extent;
}

class ModelSource final : public ExpertSource {
 public:
  explicit ModelSource(const ExpertTable& table) : table_(table) {}
  Status open(std::span<const File* const> parts);

  uint32_t files() const override { return static_cast<uint32_t>(files_.size()); }
  const File& file(uint32_t index) const override { return *files_[index]; }
  uint32_t extents(uint32_t layer) const override { return table_.pieces(layer); }
  SourceExtent extent(ExpertId id, uint32_t index) const override;
  uint64_t slot_bytes(SizeClassId size_class) const override { return slot_bytes_[index_of(size_class)]; }
  Status check(ExpertId, std::span<const std::byte>) const override { return ok_status(); }  // a model has no checksums

 private:
  const ExpertTable& table_;
  std::vector<std::unique_ptr<File>> files_;
  uint64_t alignment_bytes_ = kLeastAlignment;  // of all files
  std::vector<uint64_t> slot_bytes_;            // [classes]
};

Status ModelSource::open(std::span<const File* const> parts) {
  if (parts.size() != table_.parts()) return error(Code::kInvalidArgument, "%zu of %u files of the model are open", parts.size(), table_.parts());
  for (const File* part : parts) {
    HOTSET_ASSIGN(auto file, part->reopen_direct());
    alignment_bytes_ = std::max(alignment_bytes_, file->direct_alignment_bytes());
    files_.push_back(std::move(file));
  }
  slot_bytes_ = model_slot_bytes(table_, alignment_bytes_);
  return ok_status();
}

SourceExtent ModelSource::extent(ExpertId id, uint32_t index) const {
  uint64_t slot_offset_bytes = 0;
  for (uint32_t i = 0; i < index; ++i) slot_offset_bytes += extent_of(table_.piece(id, i).file, alignment_bytes_).size_bytes;
  const ExpertPiece piece = table_.piece(id, index);
  SourceExtent extent = extent_of(piece.file, alignment_bytes_);
  extent.slot_offset_bytes = slot_offset_bytes;
  extent.record_offset_bytes = piece.record_offset_bytes;
  return extent;
}

class PackSource final : public ExpertSource {
 public:
  PackSource(const ExpertTable& table, std::unique_ptr<PackFile> pack, std::unique_ptr<File> file, bool verify)
      : table_(table), pack_(std::move(pack)), file_(std::move(file)), to_check_(verify ? table.entries() : 0) {
    for (auto& waits : to_check_) waits = true;
  }

  uint32_t files() const override { return 1; }
  const File& file(uint32_t) const override { return *file_; }
  uint32_t extents(uint32_t) const override { return 1; }
  SourceExtent extent(ExpertId id, uint32_t index) const override;
  uint64_t slot_bytes(SizeClassId size_class) const override { return align_up(table_.class_record_bytes(size_class), kSlotAlignment); }
  Status check(ExpertId id, std::span<const std::byte> slot) const override;

 private:
  const ExpertTable& table_;
  const std::unique_ptr<PackFile> pack_;
  const std::unique_ptr<File> file_;
  mutable std::vector<std::atomic<bool>> to_check_;  // [layers][experts], not found good yet; empty: nothing is checked
};

SourceExtent PackSource::extent(ExpertId id, uint32_t) const {
  // Records start on pages, so on any alignment that a file may ask for.
  return extent_of({0, pack_->offset_bytes(id), table_.record_bytes(id.layer)}, std::max(kLeastAlignment, file_->direct_alignment_bytes()));
}

Status PackSource::check(ExpertId id, std::span<const std::byte> slot) const {
  if (to_check_.empty()) return ok_status();
  std::atomic<bool>& waits = to_check_[size_t{id.layer} * table_.experts() + id.expert];
  if (!waits) return ok_status();
  HOTSET_RETURN_IF_ERROR(pack_->check_record(id, slot.first(table_.record_bytes(id.layer))));
  waits = false;
  return ok_status();
}

}  // namespace

std::vector<uint64_t> model_slot_bytes(const ExpertTable& table, uint64_t alignment_bytes) {
  std::vector<uint64_t> sizes(table.classes());
  for (uint32_t layer = 0; layer < table.layers(); ++layer) {
    uint64_t& most = sizes[index_of(table.size_class(layer))];
    for (uint32_t expert = 0; expert < table.experts(layer); ++expert) {
      uint64_t needed = 0;
      for (uint32_t i = 0; i < table.pieces(layer); ++i) {
        needed += extent_of(table.piece({static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)}, i).file, alignment_bytes).size_bytes;
      }
      most = std::max(most, align_up(needed, kSlotAlignment));
    }
  }
  return sizes;
}

Result<std::unique_ptr<ExpertSource>> ExpertSource::from_model(const ExpertTable& table, std::span<const File* const> parts) {
  auto source = std::make_unique<ModelSource>(table);
  HOTSET_RETURN_IF_ERROR(source->open(parts));
  return std::unique_ptr<ExpertSource>(std::move(source));
}

Result<std::unique_ptr<ExpertSource>> ExpertSource::from_pack(const ExpertTable& table, std::unique_ptr<PackFile> pack, bool verify) {
  HOTSET_ASSIGN(auto file, pack->file().reopen_direct());
  return std::unique_ptr<ExpertSource>(std::make_unique<PackSource>(table, std::move(pack), std::move(file), verify));
}

}  // namespace hotset
