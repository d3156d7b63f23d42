// PackFile: a side file of a model in which each expert is one aligned run of bytes.
//
// Layout, little-endian: a header of whole pages, then the experts [layers][experts], each on a page boundary as its record of the
// ExpertTable, padding zero. The header holds: "HOTSETPK"; u32 version, u32 layers, u32 experts, u32 0; u64 size of the file,
// u64 layout hash, u64 sample hash (ModelIdentity); u32 CRC-32C of each record [layers][experts]; u32 CRC-32C of all before.
//
// Owned by one holder; immutable, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "offload/expert_table.h"
#include "offload/model_identity.h"
#include "platform/file.h"
#include "platform/status.h"

namespace hotset {

// How far a pack is, in bytes of experts; false stops it.
using PackProgress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

// Where things lie in the pack of a table.
class PackLayout {
 public:
  static constexpr uint64_t kPageBytes = 4096;

  explicit PackLayout(const ExpertTable& table);

  uint64_t header_bytes() const { return header_bytes_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t offset_bytes(ExpertId id) const { return layer_offsets_bytes_[id.layer] + id.expert * stride_bytes(id.layer); }
  uint64_t stride_bytes(uint32_t layer) const { return strides_bytes_[layer]; }

 private:
  uint64_t header_bytes_ = 0;
  uint64_t file_bytes_ = 0;
  std::vector<uint64_t> layer_offsets_bytes_;  // [layers]
  std::vector<uint64_t> strides_bytes_;        // [layers]
};

// The header as it stands in the file. `checksums` [layers][experts].
std::string pack_header(const ExpertTable& table, const ModelIdentity& model, std::span<const uint32_t> checksums);

class PackFile {
 public:
  // `table` outlives the pack. Errors: not a pack file (kInvalidArgument), one of another version (kUnsupported), cut off or
  // damaged (kCorrupt), of another model (kInvalidArgument).
  static Result<std::unique_ptr<PackFile>> open(const std::string& path, const ExpertTable& table, const ModelIdentity& model);

  const File& file() const { return *file_; }
  uint64_t offset_bytes(ExpertId id) const { return layout_.offset_bytes(id); }

  // Whether these are the bytes that were packed. Error: kCorrupt.
  Status check_record(ExpertId id, std::span<const std::byte> record) const;

  // Reads every expert and checks it. Errors: kCorrupt, kIo, kCancelled.
  Status check_all(const PackProgress& progress) const;

 private:
  PackFile(const ExpertTable& table, std::unique_ptr<File> file);
  Status read_header(const ModelIdentity& model);

  const ExpertTable& table_;
  const PackLayout layout_;
  const std::unique_ptr<File> file_;
  std::vector<uint32_t> checksums_;  // [layers][experts]
};

// Whether a file begins like a pack, of whatever model.
bool is_pack_file(const std::string& path);

}  // namespace hotset
