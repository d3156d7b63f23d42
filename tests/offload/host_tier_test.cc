#include "offload/host_tier.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/offload/fake_bank.h"

using namespace hotset;

namespace {

bool record_is_right(const ExpertTable& table, const HostTier& tier, ExpertId id) {
  const auto record = tier.bytes(id);
  if (reinterpret_cast<uintptr_t>(record.data()) % kRecordAlignment != 0) return false;
  uint64_t at = 0;
  for (uint32_t p = 0; p < table.pieces(id.layer); ++p) {
    const ExpertPiece piece = table.piece(id, p);
    for (; at < piece.record_offset_bytes; ++at) {
      if (record[at] != std::byte{0}) return false;
    }
    for (uint64_t i = 0; i < piece.file.size_bytes; ++i, ++at) {
      if (record[at] != test::file_byte(piece.file.offset_bytes + i)) return false;
    }
  }
  for (; at < record.size(); ++at) {
    if (record[at] != std::byte{0}) return false;
  }
  return record.size() == table.record_bytes(id.layer);
}

bool all_right(const ExpertTable& table, const HostTier& tier) {
  for (uint16_t layer = 0; layer < table.layers(); ++layer) {
    for (uint16_t expert = 0; expert < table.experts(); ++expert) {
      if (!record_is_right(table, tier, {layer, expert})) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("host tier: every record is whole, aligned and padded with zeros") {
  const ExpertTable table = test::make_table(5, {700, 1300});
  const auto tier = test::make_host(table);
  CHECK(all_right(table, *tier));
}

TEST_CASE("host tier: loads from files") {
  const ExpertTable table = test::make_table(5, {700, 1300});
  const std::string path = (std::filesystem::temp_directory_path() / "hotset_host_tier_test.bin").string();
  std::string content(64 + 5 * (600 + 700 + 600 + 1300), '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(test::file_byte(i));
  REQUIRE(write_whole_file(path, content).ok());
  auto tier = HostTier::create(table);
  REQUIRE(tier.ok());
  std::vector<std::unique_ptr<File>> parts;
  CHECK((*tier)->load(parts, {}).code() == Code::kInvalidArgument);
  auto file = File::open(path);
  REQUIRE(file.ok());
  parts.push_back(std::move(file).value());
  CHECK((*tier)->load(parts, {}).ok());
  CHECK(all_right(table, **tier));
  std::filesystem::remove(path);
}

TEST_CASE("host tier: progress reaches the total and may cancel; a failed read is reported") {
  const ExpertTable table = test::make_table(3, {20u << 20});  // more than one call's worth
  auto tier = HostTier::create(table);
  REQUIRE(tier.ok());
  const auto no_read = [](const ByteRange&, std::span<std::byte>) { return ok_status(); };
  std::vector<uint64_t> seen;
  uint64_t whole = 0;
  CHECK((*tier)->load(no_read, [&](uint64_t done, uint64_t total) {
    seen.push_back(done);
    whole = total;
    return true;
  }).ok());
  CHECK(seen.size() == 3);
  CHECK(seen.back() == whole);
  CHECK(whole == 3 * ((20u << 20) + 600));
  CHECK((*tier)->load(no_read, [](uint64_t, uint64_t) { return false; }).code() == Code::kCancelled);
  const auto bad_read = [](const ByteRange&, std::span<std::byte>) { return error(Code::kIo, "made to fail"); };
  CHECK((*tier)->load(bad_read, {}).code() == Code::kIo);
}
