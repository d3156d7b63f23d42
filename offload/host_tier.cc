#include "offload/host_tier.h"

#include <algorithm>
#include <utility>

#include "offload/host_cache.h"
#include "platform/bytes.h"
#include "platform/seams.h"
#include "platform/threads.h"

namespace hotset {
namespace {

constexpr uint64_t kProgressBytes = 16u << 20;  // a few calls a second from a slow disk, no cost from a fast one

uint64_t file_bytes(const ExpertTable& table) {
  uint64_t total = 0;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) {
    for (uint32_t piece = 0; piece < table.pieces(layer); ++piece) {
      total += table.piece({static_cast<uint16_t>(layer), 0}, piece).file.size_bytes * table.experts(layer);
    }
  }
  return total;
}

}  // namespace

HostTier::HostTier(const ExpertTable& table, std::unique_ptr<HostArena> arena, uint32_t threads)
    : table_(table), threads_(threads), held_(table.layers()), arena_(std::move(arena)) {
  uint64_t offset_bytes = 0;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) {
    layer_offsets_bytes_.push_back(offset_bytes);
    offset_bytes += table.record_bytes(layer) * table.experts(layer);
  }
  describe_records();
}

HostTier::HostTier(const ExpertTable& table, std::unique_ptr<HostCache> cache) : table_(table), threads_(1), cache_(std::move(cache)) {}

HostTier::~HostTier() = default;

void HostTier::describe_records() {
  records_.resize(table_.entries());
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    const uint64_t record_bytes = table_.record_bytes(layer);
    for (uint32_t expert = 0; expert < table_.experts(layer); ++expert) {
      const ExpertId id{static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)};
      records_[table_index(id)] = {std::as_const(*arena_).bytes().subspan(layer_offsets_bytes_[layer] + expert * record_bytes, record_bytes), 0};
    }
  }
}

Result<std::unique_ptr<HostTier>> HostTier::create(const ExpertTable& table, uint32_t threads) {
  HOTSET_ASSIGN(auto arena, HostArena::create(table.total_bytes()));
  return std::unique_ptr<HostTier>(new HostTier(table, std::move(arena), threads));
}

Result<std::unique_ptr<HostTier>> HostTier::create(const ExpertTable& table, const ExpertSource& source, const HostTierOptions& options) {
  if (options.budget_bytes == 0 || options.budget_bytes >= table.total_bytes()) return create(table, options.threads);
  HOTSET_ASSIGN(auto queue, IoQueue::create({options.queue_depth, options.queue}));
  if (options.seams && options.seams->queue) queue = options.seams->queue(std::move(queue));
  return create_bounded(table, source, options, std::move(queue));
}

Result<std::unique_ptr<HostTier>> HostTier::create_bounded(const ExpertTable& table, const ExpertSource& source,
                                                           const HostTierOptions& options, std::unique_ptr<IoQueue> queue) {
  HOTSET_ASSIGN(auto cache, HostCache::create(table, source, options, std::move(queue)));
  return std::unique_ptr<HostTier>(new HostTier(table, std::move(cache)));
}

std::span<const std::byte> HostTier::bytes(ExpertId id) const {
  HOTSET_CHECK(holds_all() && held_[id.layer]);
  return records_[table_index(id)].bytes;
}

std::vector<uint64_t> HostTier::record_offsets_bytes() const {
  std::vector<uint64_t> offsets_bytes;
  for (const RecordPart& record : records_) offsets_bytes.push_back(static_cast<uint64_t>(record.bytes.data() - std::as_const(*arena_).bytes().data()));
  return offsets_bytes;
}

std::span<std::byte> HostTier::piece_bytes(ExpertId id, const ExpertPiece& piece) {
  const uint64_t record = layer_offsets_bytes_[id.layer] + id.expert * table_.record_bytes(id.layer);
  return arena_->bytes().subspan(record + piece.record_offset_bytes, piece.file.size_bytes);
}

Status HostTier::load(const ReadFunction& read, const ProgressFunction& progress) {
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) HOTSET_RETURN_IF_ERROR(load_layer(layer, read, progress));
  return ok_status();
}

Status HostTier::load_layer(uint32_t layer, const ReadFunction& read, const ProgressFunction& progress) {
  // Piece by piece over all experts: a stacked tensor is then read from its first byte to its last, so that the
  // system's read-ahead works; the records' interleaving costs only where the bytes land.
  for (uint32_t piece = 0; piece < table_.pieces(layer); ++piece) {
    HOTSET_RETURN_IF_ERROR(load_piece(layer, piece, read, progress));
  }
  held_[layer] = true;
  return ok_status();
}

Status HostTier::load_piece(uint32_t layer, uint32_t piece, const ReadFunction& read, const ProgressFunction& progress) {
  const uint64_t total_bytes = file_bytes(table_);
  const uint64_t piece_size = table_.piece({static_cast<uint16_t>(layer), 0}, piece).file.size_bytes;
  // Enough experts at a time for every thread and for few calls of `progress`.
  const auto run = static_cast<uint32_t>(std::max<uint64_t>(threads_, kProgressBytes / piece_size));
  for (uint32_t first = 0; first < table_.experts(layer); first += run) {
    const uint32_t count = std::min(run, table_.experts(layer) - first);
    HOTSET_RETURN_IF_ERROR(parallel_for(threads_, count, [&](uint32_t i) {
      const ExpertId id{static_cast<uint16_t>(layer), static_cast<uint16_t>(first + i)};
      const ExpertPiece at = table_.piece(id, piece);
      return read(at.file, piece_bytes(id, at));
    }));
    done_bytes_ += piece_size * count;
    if (!progress || (done_bytes_ - told_bytes_ < kProgressBytes && done_bytes_ != total_bytes)) continue;
    told_bytes_ = done_bytes_;
    if (!progress(done_bytes_, total_bytes)) return error(Code::kCancelled, "loading was stopped");
  }
  return ok_status();
}

void HostTier::release_layer(uint32_t layer) {
  held_[layer] = false;
  arena_->discard(layer_offsets_bytes_[layer], table_.record_bytes(layer) * table_.experts(layer));
}

Status HostTier::load(std::span<const std::unique_ptr<File>> parts, const ProgressFunction& progress) {
  const auto read = [parts](const ByteRange& range, std::span<std::byte> out) {
    if (range.part >= parts.size()) return error(Code::kInvalidArgument, "file part %u of %zu is not open", range.part, parts.size());
    return parts[range.part]->read(range.offset_bytes, out);
  };
  return load(read, progress);
}

bool HostTier::resident(ExpertId id) const { return cache_ ? cache_->resident(id) : held_[id.layer]; }

std::span<const RecordPart> HostTier::parts(ExpertId id) const {
  if (cache_) return cache_->parts(id);
  HOTSET_CHECK(held_[id.layer]);
  return {&records_[table_index(id)], 1};
}

Status HostTier::acquire(std::span<const ExpertId> ids, const ArrivedFunction& arrived, Heat heat) {
  return cache_ ? cache_->acquire(ids, arrived, heat) : acquire_loaded(ids, arrived);
}

Status HostTier::acquire_loaded(std::span<const ExpertId> ids, const ArrivedFunction& arrived) {
  for (const ExpertId id : ids) {
    if (!known(id)) return error(Code::kInvalidArgument, "there is no expert %u in MoE layer %u", id.expert, id.layer);
    if (!held_[id.layer]) return error(Code::kInvalidArgument, "MoE layer %u is not in RAM", id.layer);
  }
  acquired_ += ids.size();
  for (size_t i = 0; i < ids.size(); ++i) HOTSET_RETURN_IF_ERROR(arrived(i));
  return ok_status();
}

void HostTier::release(std::span<const ExpertId> ids) {
  if (cache_) cache_->release(ids);
}

uint32_t HostTier::max_batch() const {
  return cache_ ? cache_->max_batch() : static_cast<uint32_t>(std::min<uint64_t>(table_.count(), UINT32_MAX));
}

uint32_t HostTier::scan_room() const { return cache_ ? cache_->scan_room() : max_batch(); }

uint32_t HostTier::hint(std::span<const ExpertId> ids) { return cache_ ? cache_->hint(ids) : 0; }

void HostTier::poll() {
  if (cache_) cache_->poll();
}

void HostTier::set_evict_listener(EvictListener listener) {
  if (cache_) cache_->set_evict_listener(std::move(listener));
}

void HostTier::set_events(LinkEvents* events) {
  if (cache_) cache_->set_events(events);
}

void HostTier::set_arrival_listener(ArrivalListener listener) {
  if (cache_) cache_->set_arrival_listener(std::move(listener));
}

void HostTier::cancel_hints() {
  if (cache_) cache_->cancel_hints();
}

void HostTier::touch(ExpertId id) {
  if (cache_) cache_->touch(id);
}

void HostTier::demote(ExpertId id) {
  if (cache_) cache_->demote(id);
}

void HostTier::end_token() {
  if (cache_) cache_->end_token();
}

Status HostTier::set_budget(uint64_t bytes) {
  if (cache_) return cache_->set_budget(bytes);
  if (bytes >= size_bytes()) return ok_status();
  return error(Code::kUnsupported, "all experts were loaded into RAM (%s): to change the budget while running, start with one below that",
               format_bytes(size_bytes()).c_str());
}

std::vector<SlotRun> HostTier::slot_runs() const { return cache_ ? cache_->slot_runs() : std::vector<SlotRun>(); }

HostTierStats HostTier::stats() const {
  if (cache_) return cache_->stats();
  HostTierStats stats;
  stats.demand_hits = acquired_;
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) stats.residents += held_[layer] ? table_.experts(layer) : 0;
  stats.slots = stats.residents;
  return stats;
}

uint64_t HostTier::size_bytes() const {
  if (cache_) return cache_->size_bytes();
  uint64_t bytes = 0;
  for (uint32_t layer = 0; layer < table_.layers(); ++layer) {
    if (held_[layer]) bytes += table_.record_bytes(layer) * table_.experts(layer);
  }
  return bytes;
}

Status HostTier::check() const { return cache_ ? cache_->check() : ok_status(); }

}  // namespace hotset
