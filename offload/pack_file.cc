#include "offload/pack_file.h"

#include <algorithm>
#include <cstring>

#include "platform/bytes.h"
#include "platform/crc32c.h"

namespace hotset {
namespace {

using ull = unsigned long long;

constexpr char kMagic[8] = {'H', 'O', 'T', 'S', 'E', 'T', 'P', 'K'};
constexpr uint32_t kVersion = 1;

// The fixed part of the header; the checksums follow.
struct Preamble {
  char magic[8];
  uint32_t version;
  uint32_t layers;
  uint32_t experts;
  uint32_t zero;
  uint64_t file_bytes;
  uint64_t layout_hash;
  uint64_t sample_hash;
};
static_assert(sizeof(Preamble) == 48);

// Up to the end of the checksums: what the header's own checksum covers.
uint64_t covered_bytes(const ExpertTable& table) { return sizeof(Preamble) + table.entries() * sizeof(uint32_t); }

}  // namespace

PackLayout::PackLayout(const ExpertTable& table) : header_bytes_(align_up(covered_bytes(table) + sizeof(uint32_t), kPageBytes)) {
  file_bytes_ = header_bytes_;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) {
    layer_offsets_bytes_.push_back(file_bytes_);
    strides_bytes_.push_back(align_up(table.record_bytes(layer), kPageBytes));
    file_bytes_ += strides_bytes_.back() * table.experts(layer);
  }
}

std::string pack_header(const ExpertTable& table, const ModelIdentity& model, std::span<const uint32_t> checksums) {
  const PackLayout layout(table);
  Preamble preamble = {};
  std::memcpy(preamble.magic, kMagic, sizeof kMagic);
  preamble.version = kVersion;
  preamble.layers = table.layers();
  preamble.experts = table.experts();
  preamble.file_bytes = layout.file_bytes();
  preamble.layout_hash = model.layout_hash;
  preamble.sample_hash = model.sample_hash;
  std::string header(layout.header_bytes(), '\0');
  std::memcpy(header.data(), &preamble, sizeof preamble);
  std::memcpy(header.data() + sizeof preamble, checksums.data(), checksums.size_bytes());
  const uint64_t covered = covered_bytes(table);
  const uint32_t checksum = crc32c(std::as_bytes(std::span(header.data(), covered)));
  std::memcpy(header.data() + covered, &checksum, sizeof checksum);
  return header;
}

PackFile::PackFile(const ExpertTable& table, std::unique_ptr<File> file) : table_(table), layout_(table), file_(std::move(file)) {}

Result<std::unique_ptr<PackFile>> PackFile::open(const std::string& path, const ExpertTable& table, const ModelIdentity& model) {
  HOTSET_ASSIGN(auto file, File::open(path));
  std::unique_ptr<PackFile> pack(new PackFile(table, std::move(file)));
  HOTSET_RETURN_IF_ERROR(pack->read_header(model));
  return pack;
}

Status PackFile::read_header(const ModelIdentity& model) {
  const char* path = file_->path().c_str();
  Preamble preamble = {};
  if (file_->size_bytes() < sizeof preamble) return error(Code::kInvalidArgument, "'%s' is not a pack file", path);
  HOTSET_RETURN_IF_ERROR(file_->read(0, std::as_writable_bytes(std::span(&preamble, 1))));
  if (std::memcmp(preamble.magic, kMagic, sizeof kMagic) != 0) return error(Code::kInvalidArgument, "'%s' is not a pack file", path);
  if (preamble.version != kVersion) {
    return error(Code::kUnsupported, "'%s' is a pack file of version %u; this program reads version %u: pack the model anew", path,
                 preamble.version, kVersion);
  }
  const bool same_shape = preamble.layers == table_.layers() && preamble.experts == table_.experts();
  if (!same_shape || ModelIdentity{preamble.layout_hash, preamble.sample_hash} != model) {
    return error(Code::kInvalidArgument, "'%s' was packed from another model, or from an earlier state of this one: pack the model anew", path);
  }
  if (file_->size_bytes() != layout_.file_bytes() || preamble.file_bytes != layout_.file_bytes()) {
    return error(Code::kCorrupt, "'%s' has %llu bytes where %llu belong: it was cut off; pack the model anew", path, ull{file_->size_bytes()},
                 ull{layout_.file_bytes()});
  }
  std::vector<std::byte> header(covered_bytes(table_) + sizeof(uint32_t));
  HOTSET_RETURN_IF_ERROR(file_->read(0, header));
  uint32_t checksum = 0;
  std::memcpy(&checksum, header.data() + covered_bytes(table_), sizeof checksum);
  if (crc32c(std::span(header).first(covered_bytes(table_))) != checksum) {
    return error(Code::kCorrupt, "the header of '%s' is damaged: pack the model anew", path);
  }
  checksums_.resize(table_.entries());
  std::memcpy(checksums_.data(), header.data() + sizeof preamble, checksums_.size() * sizeof(uint32_t));
  return ok_status();
}

Status PackFile::check_record(ExpertId id, std::span<const std::byte> record) const {
  if (crc32c(record) == checksums_[size_t{id.layer} * table_.experts() + id.expert]) return ok_status();
  return error(Code::kCorrupt, "'%s' is damaged: expert %u of MoE layer %u is not what was packed", file_->path().c_str(), id.expert, id.layer);
}

Status PackFile::check_all(const PackProgress& progress) const {
  std::vector<std::byte> record;
  uint64_t done_bytes = 0;
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    record.resize(table_.record_bytes(layer));
    for (uint32_t expert = 0; expert < table_.experts(layer); ++expert) {
      const ExpertId id{static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)};
      HOTSET_RETURN_IF_ERROR(file_->read(offset_bytes(id), record));
      HOTSET_RETURN_IF_ERROR(check_record(id, record));
      done_bytes += record.size();
      if (progress && !progress(done_bytes, table_.total_bytes())) return error(Code::kCancelled, "checking was stopped");
    }
  }
  return ok_status();
}

bool is_pack_file(const std::string& path) {
  const auto file = File::open(path);
  char magic[sizeof kMagic];
  return file.ok() && (*file)->size_bytes() >= sizeof(Preamble) && (*file)->read(0, std::as_writable_bytes(std::span(magic))).ok() &&
         std::memcmp(magic, kMagic, sizeof kMagic) == 0;
}

}  // namespace hotset
