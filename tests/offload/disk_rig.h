// Experts in a real file whose every byte is known, and a bounded RAM tier on them with a queue that obeys the test.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "offload/host_tier.h"
#include "tests/format/gguf_builder.h"
#include "tests/offload/fake_bank.h"
#include "tests/offload/fake_queue.h"

namespace hotset::test {

// The made-up file that make_table speaks of.
inline std::string bank_content(const ExpertTable& table) {
  uint64_t end = 0;
  for (uint32_t layer = 0; layer < table.layers(); ++layer) {
    const ExpertId last{static_cast<uint16_t>(layer), static_cast<uint16_t>(table.experts() - 1)};
    for (uint32_t i = 0; i < table.pieces(layer); ++i) {
      const ByteRange range = table.piece(last, i).file;
      end = std::max(end, range.offset_bytes + range.size_bytes);
    }
  }
  std::string content(end, '\0');
  for (uint64_t i = 0; i < end; ++i) content[i] = static_cast<char>(file_byte(i));
  return content;
}

// Parts that hold the expert's bytes, all of them, where they belong.
inline bool parts_are_right(const ExpertTable& table, ExpertId id, std::span<const RecordPart> parts) {
  std::vector<std::byte> record(table.record_bytes(id.layer));
  for (const RecordPart& part : parts) {
    if (part.record_offset_bytes + part.bytes.size() > record.size()) return false;
    std::copy(part.bytes.begin(), part.bytes.end(), record.begin() + static_cast<std::ptrdiff_t>(part.record_offset_bytes));
  }
  std::vector<std::byte> wanted(record.size());
  for (uint32_t i = 0; i < table.pieces(id.layer); ++i) {
    const ExpertPiece piece = table.piece(id, i);
    for (uint64_t b = 0; b < piece.file.size_bytes; ++b) wanted[piece.record_offset_bytes + b] = file_byte(piece.file.offset_bytes + b);
  }
  return record == wanted;
}

struct DiskRig {
  TempFolder folder;
  ExpertTable table;
  std::unique_ptr<File> file;
  std::unique_ptr<ExpertSource> source;
  QueueScript script;
  std::unique_ptr<HostTier> tier;

  explicit DiskRig(ExpertTable made) : table(std::move(made)) {
    file = File::open(folder.write("model", bank_content(table))).value();
    const File* part = file.get();
    source = ExpertSource::from_model(table, {&part, 1}).value();
  }

  uint64_t slot_bytes(uint32_t layer = 0) const { return source->slot_bytes(table.size_class(layer)); }

  Status open(HostTierOptions options, uint32_t depth = 8) {
    auto made = HostTier::create_bounded(table, *source, options, std::make_unique<FakeQueue>(depth, script));
    if (made.ok()) tier = std::move(made).value();
    return made.status();
  }

  // Acquires, checks every byte as it arrives, keeps the order of arrival.
  Status acquire(const std::vector<ExpertId>& ids, std::vector<size_t>* order = nullptr) {
    std::vector<bool> seen(ids.size());
    const Status status = tier->acquire(ids, [&](size_t index) {
      REQUIRE(index < ids.size());
      CHECK_FALSE(seen[index]);
      seen[index] = true;
      CHECK(tier->resident(ids[index]));
      CHECK(parts_are_right(table, ids[index], tier->parts(ids[index])));
      if (order) order->push_back(index);
      return ok_status();
    });
    if (status.ok()) CHECK(std::count(seen.begin(), seen.end(), true) == static_cast<std::ptrdiff_t>(ids.size()));
    check();
    return status;
  }

  // Acquires and lets go at once.
  void use(const std::vector<ExpertId>& ids) {
    const Status status = acquire(ids);
    REQUIRE_MESSAGE(status.ok(), status.message());
    tier->release(ids);
    check();
  }

  void check() const {
    const Status status = tier->check();
    CHECK_MESSAGE(status.ok(), status.message());
  }
};

}  // namespace hotset::test
