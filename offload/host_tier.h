// HostTier: all experts of the model in RAM, each as one contiguous record, in an arena of our own.
//
// Owned by the engine. create() and load() belong to one thread; once loaded the bytes never change and any
// thread may read them, the device link among them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "offload/expert_table.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "platform/status.h"

namespace hotset {

class HostTier {
 public:
  // Fills `out` with the bytes of `range`; out.size() == range.size_bytes. Called from several threads at once.
  using ReadFunction = std::function<Status(const ByteRange& range, std::span<std::byte> out)>;
  // How far a load is, in bytes of the files; false stops it.
  using ProgressFunction = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

  // Reserves room for every expert of `table`, which must outlive the tier; loads with up to `threads` threads.
  // Error: kOutOfMemory.
  static Result<std::unique_ptr<HostTier>> create(const ExpertTable& table, uint32_t threads = 1);

  // Reads every piece into its place, in file order: about 16 MiB between two calls of `progress` (may be empty).
  // Errors: kCancelled, or what `read` says; the tier is not usable then.
  Status load(const ReadFunction& read, const ProgressFunction& progress);

  // The same from the model's files, in the order of ByteRange::part.
  Status load(std::span<const std::unique_ptr<File>> parts, const ProgressFunction& progress);

  // One layer of it; `progress` counts the bytes of the layers read so far.
  Status load_layer(uint32_t layer, const ReadFunction& read, const ProgressFunction& progress);

  // Gives a layer's memory back to the system: all of its experts have a place elsewhere for good.
  void release_layer(uint32_t layer);

  // The record of one expert of a layer that is loaded; kRecordAlignment aligned, padding is zero.
  std::span<const std::byte> bytes(ExpertId id) const;

  // Bytes of the layers that are held.
  uint64_t size_bytes() const;

 private:
  HostTier(const ExpertTable& table, std::unique_ptr<HostArena> arena, uint32_t threads);
  Status load_piece(uint32_t layer, uint32_t piece, const ReadFunction& read, const ProgressFunction& progress);
  std::span<std::byte> piece_bytes(ExpertId id, const ExpertPiece& piece);

  const ExpertTable& table_;
  const uint32_t threads_;
  std::vector<uint64_t> layer_offsets_bytes_;  // [layers] into the arena
  std::vector<bool> held_;                     // [layers]: loaded and not released
  uint64_t done_bytes_ = 0;                    // read from the files
  uint64_t told_bytes_ = 0;                    // of these, told to the progress function
  const std::unique_ptr<HostArena> arena_;
};

}  // namespace hotset
