#include "offload/expert_table.h"

#include <algorithm>

#include "platform/bytes.h"

namespace hotset {
namespace {

using ull = unsigned long long;

constexpr uint64_t kMaxTotalBytes = uint64_t{1} << 62;

bool starts_before(const ByteRange& a, const ByteRange& b) {
  return a.part != b.part ? a.part < b.part : a.offset_bytes < b.offset_bytes;
}

}  // namespace

ExpertPiece ExpertTable::piece(ExpertId id, uint32_t piece) const {
  const Layer& layer = layers_[id.layer];
  return {layer.ranges[id.expert * layer.piece_offsets_bytes.size() + piece], layer.piece_offsets_bytes[piece]};
}

uint64_t ExpertTable::class_least(SizeClassId id, uint32_t top_k) const {
  uint64_t largest = 0;
  for (const Layer& layer : layers_) {
    if (layer.size_class == id) largest = std::max<uint64_t>(largest, std::min(top_k, layer.experts));
  }
  return std::min(class_floor(id, top_k), 2 * largest);
}

uint64_t ExpertTable::class_floor(SizeClassId id, uint32_t top_k) const {
  uint64_t floor = 0;
  for (const Layer& layer : layers_) floor += layer.size_class == id ? std::min(top_k, layer.experts) : 0;
  return floor;
}

ExpertTableBuilder::ExpertTableBuilder(std::vector<uint64_t> part_sizes_bytes) : part_sizes_bytes_(std::move(part_sizes_bytes)) {}

Status ExpertTableBuilder::check_range(const ByteRange& range) const {
  if (range.part >= part_sizes_bytes_.size()) {
    return error(Code::kCorrupt, "an expert lies in file part %u of %zu", range.part, part_sizes_bytes_.size());
  }
  if (range.size_bytes == 0) return error(Code::kCorrupt, "an expert has a piece of 0 bytes");
  const auto end = checked_add(range.offset_bytes, range.size_bytes);
  if (!end || *end > part_sizes_bytes_[range.part]) {
    return error(Code::kCorrupt, "an expert's bytes (%llu from byte %llu) reach past the end of its file of %llu bytes",
                 ull{range.size_bytes}, ull{range.offset_bytes}, ull{part_sizes_bytes_[range.part]});
  }
  return ok_status();
}

Status ExpertTableBuilder::add_layer(uint32_t experts, std::span<const ByteRange> ranges) {
  if (experts == 0 || experts > kMaxExperts) return error(Code::kCorrupt, "%u experts in a layer: 1 to %u work", experts, kMaxExperts);
  if (table_.layers() == kMaxLayers) return error(Code::kCorrupt, "more than %u layers with experts", kMaxLayers);
  const size_t pieces = ranges.size() / experts;
  if (pieces == 0 || pieces > kMaxPieces || ranges.size() % experts != 0) {
    return error(Code::kCorrupt, "%zu byte ranges for %u experts: 1 to %u each work", ranges.size(), experts, kMaxPieces);
  }
  ExpertTable::Layer layer;
  for (size_t i = 0; i < ranges.size(); ++i) {
    HOTSET_RETURN_IF_ERROR(check_range(ranges[i]));
    if (ranges[i].size_bytes != ranges[i % pieces].size_bytes) {
      return error(Code::kCorrupt, "expert %zu of MoE layer %u differs in size from expert 0", i / pieces, table_.layers());
    }
  }
  for (size_t i = 0; i < pieces; ++i) {
    layer.piece_offsets_bytes.push_back(layer.record_bytes);
    const auto end = checked_add(layer.record_bytes, ranges[i].size_bytes);
    const auto aligned = end ? checked_align_up(*end, kRecordAlignment) : end;
    if (!aligned || *aligned > kMaxTotalBytes) return error(Code::kCorrupt, "an expert of MoE layer %u is too large", table_.layers());
    layer.record_bytes = *aligned;
  }
  layer.experts = experts;
  layer.ranges.assign(ranges.begin(), ranges.end());
  table_.experts_ = std::max(table_.experts_, experts);
  table_.count_ += experts;
  table_.layers_.push_back(std::move(layer));
  return ok_status();
}

Status ExpertTableBuilder::add_stacked_layer(uint32_t experts, std::span<const ByteRange> tensors) {
  if (experts == 0 || experts > kMaxExperts) return error(Code::kCorrupt, "%u experts in a layer: 1 to %u work", experts, kMaxExperts);
  if (tensors.size() > kMaxPieces) return error(Code::kCorrupt, "%zu pieces in an expert: at most %u work", tensors.size(), kMaxPieces);
  for (const ByteRange& tensor : tensors) {
    HOTSET_RETURN_IF_ERROR(check_range(tensor));
    if (tensor.size_bytes % experts != 0) {
      return error(Code::kCorrupt, "%llu bytes of MoE layer %u cannot be shared by %u experts", ull{tensor.size_bytes}, table_.layers(), experts);
    }
  }
  std::vector<ByteRange> ranges;
  ranges.reserve(tensors.size() * experts);
  for (uint32_t expert = 0; expert < experts; ++expert) {
    for (const ByteRange& tensor : tensors) {
      const uint64_t size_bytes = tensor.size_bytes / experts;
      ranges.push_back({tensor.part, tensor.offset_bytes + expert * size_bytes, size_bytes});
    }
  }
  return add_layer(experts, ranges);
}

Status ExpertTableBuilder::check_overlaps() const {
  std::vector<ByteRange> all;
  for (const auto& layer : table_.layers_) all.insert(all.end(), layer.ranges.begin(), layer.ranges.end());
  std::sort(all.begin(), all.end(), starts_before);
  for (size_t i = 1; i < all.size(); ++i) {
    if (all[i].part == all[i - 1].part && all[i].offset_bytes < all[i - 1].offset_bytes + all[i - 1].size_bytes) {
      return error(Code::kCorrupt, "two experts overlap at byte %llu of file part %u", ull{all[i].offset_bytes}, all[i].part);
    }
  }
  return ok_status();
}

Status ExpertTableBuilder::assign_classes() {
  auto& sizes = table_.class_record_bytes_;
  for (const auto& layer : table_.layers_) {
    sizes.push_back(layer.record_bytes);
    const auto layer_bytes = checked_multiply(layer.record_bytes, layer.experts);
    const auto total = layer_bytes ? checked_add(table_.total_bytes_, *layer_bytes) : layer_bytes;
    if (!total || *total > kMaxTotalBytes) return error(Code::kCorrupt, "the experts are too large for any memory");
    table_.total_bytes_ = *total;
  }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  table_.class_layers_.assign(sizes.size(), 0);
  table_.class_experts_.assign(sizes.size(), 0);
  for (auto& layer : table_.layers_) {
    const auto at = std::lower_bound(sizes.begin(), sizes.end(), layer.record_bytes) - sizes.begin();
    layer.size_class = SizeClassId{static_cast<uint32_t>(at)};
    ++table_.class_layers_[static_cast<size_t>(at)];
    table_.class_experts_[static_cast<size_t>(at)] += layer.experts;
  }
  return ok_status();
}

Result<ExpertTable> ExpertTableBuilder::build() && {
  HOTSET_RETURN_IF_ERROR(check_overlaps());
  HOTSET_RETURN_IF_ERROR(assign_classes());
  table_.parts_ = static_cast<uint32_t>(part_sizes_bytes_.size());
  return std::move(table_);
}

}  // namespace hotset
