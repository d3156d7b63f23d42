#include "offload/model_identity.h"

#include <algorithm>
#include <array>

namespace hotset {
namespace {

constexpr uint64_t kSamples = 64;
constexpr uint64_t kSampleBytes = 4096;

// FNV-1a, 64 bits.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) value_ = (value_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  }
  void add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) value_ = (value_ ^ ((number >> shift) & 255)) * 0x100000001b3;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

ExpertId nth_expert(const ExpertTable& table, uint64_t n) {
  return {static_cast<uint16_t>(n / table.experts()), static_cast<uint16_t>(n % table.experts())};
}

uint64_t layout_hash(const ExpertTable& table, std::span<const File* const> parts) {
  Hash hash;
  hash.add(parts.size());
  for (const File* part : parts) hash.add(part->size_bytes());
  hash.add(table.layers());
  hash.add(table.experts());
  for (uint64_t n = 0; n < table.entries(); ++n) {
    const ExpertId id = nth_expert(table, n);
    if (!table.has(id)) continue;
    hash.add(table.pieces(id.layer));
    for (uint32_t i = 0; i < table.pieces(id.layer); ++i) {
      const ByteRange range = table.piece(id, i).file;
      hash.add(range.part);
      hash.add(range.offset_bytes);
      hash.add(range.size_bytes);
    }
  }
  return hash.value();
}

}  // namespace

Result<ModelIdentity> identify_model(const ExpertTable& table, std::span<const File* const> parts) {
  if (parts.size() != table.parts()) return error(Code::kInvalidArgument, "%zu of %u files of the model are open", parts.size(), table.parts());
  Hash hash;
  std::array<std::byte, kSampleBytes> sample;
  const uint64_t samples = std::min(kSamples, table.entries());
  for (uint64_t i = 0; i < samples; ++i) {
    const ExpertId id = nth_expert(table, i * table.entries() / samples);
    if (!table.has(id)) continue;
    const ByteRange range = table.piece(id, static_cast<uint32_t>(i % table.pieces(id.layer))).file;
    const uint64_t size_bytes = std::min(range.size_bytes, kSampleBytes);
    const auto bytes = std::span(sample).first(size_bytes);
    HOTSET_RETURN_IF_ERROR(parts[range.part]->read(range.offset_bytes + (range.size_bytes - size_bytes) / 2, bytes));
    hash.add(bytes);
  }
  return ModelIdentity{layout_hash(table, parts), hash.value()};
}

}  // namespace hotset
