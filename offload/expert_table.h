// ExpertTable: where each expert's bytes lie in the model's files, and how its record is laid out in memory.
//
// A record is an expert as a tier holds it: its pieces (gate, up, down) in order, each on a kRecordAlignment boundary,
// the record's size rounded up to the same. All experts of a layer have pieces of the same sizes, so a layer has
// one record layout and one size class. Layers may hold different numbers of experts. The table is checked when it is built and never
// changes; any thread may read it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "offload/expert.h"
#include "platform/status.h"

namespace hotset {

struct ExpertPiece {
  ByteRange file;
  uint64_t record_offset_bytes = 0;
};

class ExpertTable {
 public:
  uint32_t layers() const { return static_cast<uint32_t>(layers_.size()); }
  // Of the layer that has most: the width of arrays [layers][experts], whose entries past a layer's own experts mean nothing.
  uint32_t experts() const { return experts_; }
  uint32_t experts(uint32_t layer) const { return layers_[layer].experts; }
  bool has(ExpertId id) const { return id.layer < layers() && id.expert < experts(id.layer); }
  uint64_t entries() const { return uint64_t{layers()} * experts_; }
  uint64_t count() const { return count_; }  // of all layers

  uint32_t parts() const { return parts_; }  // files of the model

  uint32_t pieces(uint32_t layer) const { return static_cast<uint32_t>(layers_[layer].piece_offsets_bytes.size()); }
  uint64_t piece_offset_bytes(uint32_t layer, uint32_t piece) const { return layers_[layer].piece_offsets_bytes[piece]; }
  ExpertPiece piece(ExpertId id, uint32_t piece) const;
  uint64_t record_bytes(uint32_t layer) const { return layers_[layer].record_bytes; }

  // Size classes are numbered by rising record size.
  uint32_t classes() const { return static_cast<uint32_t>(class_record_bytes_.size()); }
  SizeClassId size_class(uint32_t layer) const { return layers_[layer].size_class; }
  uint64_t class_record_bytes(SizeClassId id) const { return class_record_bytes_[index_of(id)]; }
  uint32_t class_layers(SizeClassId id) const { return class_layers_[index_of(id)]; }  // how many layers have it
  uint64_t class_experts(SizeClassId id) const { return class_experts_[index_of(id)]; }
  // The experts that its layers use at once when each uses `top_k`, or all it has.
  uint64_t class_floor(SizeClassId id, uint32_t top_k) const;
  // The slots that its layers cannot do without, one after the other: what one uses at once, twice, so that one more than is in use can move in.
  uint64_t class_least(SizeClassId id, uint32_t top_k) const;

  // All records together.
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  friend class ExpertTableBuilder;
  struct Layer {
    uint32_t experts = 0;
    std::vector<ByteRange> ranges;              // [experts][pieces]
    std::vector<uint64_t> piece_offsets_bytes;  // [pieces]
    uint64_t record_bytes = 0;
    SizeClassId size_class{0};
  };
  ExpertTable() = default;

  uint32_t experts_ = 0;
  uint32_t parts_ = 0;
  uint64_t count_ = 0;
  uint64_t total_bytes_ = 0;
  std::vector<Layer> layers_;
  std::vector<uint64_t> class_record_bytes_;  // [classes], rising
  std::vector<uint32_t> class_layers_;        // [classes]
  std::vector<uint64_t> class_experts_;       // [classes]
};

// Takes what a file claims and makes a table of it, or says what is wrong (kCorrupt).
class ExpertTableBuilder {
 public:
  static constexpr uint32_t kMaxLayers = 65535;   // an ExpertId holds 16 bits each
  static constexpr uint32_t kMaxExperts = 65535;
  static constexpr uint32_t kMaxPieces = 8;       // 3 are usual; biases may add some

  explicit ExpertTableBuilder(std::vector<uint64_t> part_sizes_bytes);

  // The next layer. `ranges` is [experts][pieces]. Errors: no experts or pieces or too many, an empty range, a range
  // outside its file, pieces whose size differs between experts.
  Status add_layer(uint32_t experts, std::span<const ByteRange> ranges);

  // The next layer from tensors that each hold one piece of all experts back to back. More errors: a tensor whose size
  // is no multiple of `experts`.
  Status add_stacked_layer(uint32_t experts, std::span<const ByteRange> tensors);

  // A model without experts has a table without layers. Errors: ranges that overlap, sizes beyond 63 bits.
  Result<ExpertTable> build() &&;

 private:
  Status check_range(const ByteRange& range) const;
  Status check_overlaps() const;
  Status assign_classes();

  const std::vector<uint64_t> part_sizes_bytes_;
  ExpertTable table_;
};

}  // namespace hotset
