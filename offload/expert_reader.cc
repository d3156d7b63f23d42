#include "offload/expert_reader.h"

#include <algorithm>
#include <cerrno>

#include "platform/clock.h"
#include "platform/log.h"

namespace hotset {
namespace {

// A quarter of a deep queue still keeps a fast disk busy when there are hints alone.
uint32_t hint_depth(uint32_t depth) { return std::max(1u, depth / 4); }

}  // namespace

ExpertReader::ExpertReader(const ExpertSource& source, std::unique_ptr<IoQueue> queue, uint32_t slots, bool direct_io)
    : source_(source),
      hint_depth_(hint_depth(queue->depth())),
      slots_(slots),
      lists_(slots, kFinished + 1),
      reads_(queue->depth()),
      done_(queue->depth()),
      queue_(std::move(queue)) {
  for (uint32_t i = 0; i < source.files(); ++i) direct_.push_back(direct_io && source.file(i).direct());
  for (uint32_t tag = queue_->depth(); tag-- > 0;) free_.push_back(tag);
}

void ExpertReader::begin(SlotId slot, ExpertId id, std::span<std::byte> memory, Lane lane) {
  expert(slot) = {id, memory, ok_status(), 0, 0, 0, 0};
  lists_.append(static_cast<uint32_t>(lane), slot);
  ++experts_;
}

void ExpertReader::move(SlotId slot, Lane lane) {
  const uint32_t list = lists_.list_of(slot);
  if (list == SlotLists::kNone || list == kFinished) return;
  lists_.remove(slot);
  lists_.append(static_cast<uint32_t>(lane), slot);
}

bool ExpertReader::cancel(SlotId slot) {
  const uint32_t list = lists_.list_of(slot);
  if (list == SlotLists::kNone || list == kFinished || expert(slot).next_extent > 0) return false;
  lists_.remove(slot);
  --experts_;
  return true;
}

std::optional<SlotId> ExpertReader::waiting_hint() const {
  for (SlotId slot = lists_.first(static_cast<uint32_t>(Lane::kHint)); slot != kNoSlot; slot = lists_.after(slot)) {
    if (slots_[index_of(slot)].next_extent == 0) return slot;
  }
  return std::nullopt;
}

SlotId ExpertReader::next_slot() const {
  const SlotId demand = lists_.first(static_cast<uint32_t>(Lane::kDemand));
  if (demand != kNoSlot || hint_reads_ >= hint_depth_) return demand;
  return lists_.first(static_cast<uint32_t>(Lane::kHint));
}

void ExpertReader::pump() {
  while (queue_->under_way() < queue_->depth()) {
    const SlotId slot = next_slot();
    if (slot == kNoSlot) break;
    submit_next_extent(slot);
  }
  queue_->flush();
}

void ExpertReader::submit_next_extent(SlotId slot) {
  Expert& of = expert(slot);
  const uint32_t tag = free_.back();
  free_.pop_back();
  Read& read = reads_[tag];
  read = {slot, source_.extent(of.id, of.next_extent), 0, false, lists_.list_of(slot) == static_cast<uint32_t>(Lane::kHint)};
  read.direct = direct_[read.extent.file];
  hint_reads_ += read.hint ? 1 : 0;
  ++of.under_way;
  if (events_ && of.start_ns == 0) of.start_ns = now_ns();
  if (++of.next_extent == source_.extents(of.id.layer)) lists_.remove(slot);
  if (busy_since_ns_ == 0) busy_since_ns_ = now_ns();
  submit(tag);
}

void ExpertReader::submit(uint32_t tag) {
  const Read& read = reads_[tag];
  const SourceExtent& extent = read.extent;
  const auto out = expert(read.slot).memory.subspan(extent.slot_offset_bytes + read.done_bytes, extent.size_bytes - read.done_bytes);
  queue_->submit({&source_.file(extent.file), read.direct, extent.offset_bytes + read.done_bytes, out, tag});
}

bool ExpertReader::refused_directly(const Read& read, const IoDone& done) {
  if (done.error != EINVAL || !read.direct) return false;
  if (direct_[read.extent.file]) {
    log_line(LogLevel::kInfo, "'%s' is read through the page cache: direct I/O was refused", source_.file(read.extent.file).path().c_str());
  }
  direct_[read.extent.file] = false;
  return true;
}

// What a result means for its read; `over` unless it goes on.
Status ExpertReader::advance(uint32_t tag, const IoDone& done, bool* over) {
  Read& read = reads_[tag];
  const SourceExtent& extent = read.extent;
  const File& file = source_.file(extent.file);
  *over = true;
  if (refused_directly(read, done)) {
    read.direct = false;
    *over = false;
    return ok_status();
  }
  const uint64_t at_bytes = extent.offset_bytes + read.done_bytes;
  if (done.error != 0) return read_error(file, at_bytes, done.error);
  read.done_bytes += done.size_bytes;
  ++stats_.reads;
  stats_.bytes += done.size_bytes;
  if (read.done_bytes >= extent.lead_bytes + extent.wanted_bytes) return ok_status();  // the rest is alignment, or behind the file's end
  if (done.size_bytes == 0) {
    return error(Code::kIo, "'%s' ended at byte %llu while more was expected: was it cut while in use?", file.path().c_str(),
                 static_cast<unsigned long long>(at_bytes));
  }
  if (read.done_bytes % file.direct_alignment_bytes() != 0) read.direct = false;
  *over = false;
  return ok_status();
}

void ExpertReader::end_read(uint32_t tag, Status status) {
  const Read& read = reads_[tag];
  Expert& of = expert(read.slot);
  hint_reads_ -= read.hint ? 1 : 0;
  of.bytes += read.done_bytes;
  free_.push_back(tag);
  --of.under_way;
  if (!status.ok()) {
    // What has not begun is not worth beginning.
    lists_.remove(read.slot);
    of.next_extent = source_.extents(of.id.layer);
    if (of.status.ok()) of.status = std::move(status);
  }
  if (of.under_way != 0 || of.next_extent != source_.extents(of.id.layer)) return;
  lists_.append(kFinished, read.slot);
  if (events_ && of.status.ok() && of.start_ns != 0) events_->add({EventLink::kDiskToHost, of.id, of.bytes, of.start_ns, now_ns() - of.start_ns});
}

void ExpertReader::take_in(uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const auto tag = static_cast<uint32_t>(done_[i].tag);
    bool over = true;
    Status status = advance(tag, done_[i], &over);
    if (over) end_read(tag, std::move(status));
    else submit(tag);
  }
  pump();
  if (queue_->under_way() > 0 || busy_since_ns_ == 0) return;
  stats_.busy_ns += now_ns() - busy_since_ns_;
  busy_since_ns_ = 0;
}

void ExpertReader::poll() {
  pump();
  if (queue_->under_way() > 0) take_in(queue_->poll(done_));
}

Status ExpertReader::wait() {
  pump();
  if (queue_->under_way() == 0) return ok_status();  // all that is left is to be taken
  HOTSET_ASSIGN(const uint32_t count, queue_->wait(done_));
  take_in(count);
  return ok_status();
}

std::optional<ExpertReader::Finished> ExpertReader::take_finished() {
  const SlotId slot = lists_.first(kFinished);
  if (slot == kNoSlot) return std::nullopt;
  lists_.remove(slot);
  --experts_;
  Expert& of = expert(slot);
  Finished finished{slot, std::move(of.status)};
  if (finished.status.ok()) finished.status = source_.check(of.id, of.memory);
  return finished;
}

ExpertReader::Stats ExpertReader::stats() const {
  Stats stats = stats_;
  if (busy_since_ns_ != 0) stats.busy_ns += now_ns() - busy_since_ns_;
  return stats;
}

}  // namespace hotset
