// Pack files: written whole or not at all, rejected when they are not the model's own, and a source of right bytes.
#include <doctest/doctest.h>

#include <filesystem>

#include "offload/pack_file.h"
#include "offload/pack_writer.h"
#include "tests/offload/disk_rig.h"
#include "tests/temp_folder.h"

using namespace hotset;
using test::DiskRig;
namespace fs = std::filesystem;

namespace {

struct PackRig : DiskRig {
  const File* part;
  std::string path = folder.file("model.pack");

  PackRig() : DiskRig(test::make_table(5, {5000, 5000, 9000})), part(file.get()) {}

  Status write(const PackProgress& progress = {}) { return write_pack(path, table, {&part, 1}, progress); }
  ModelIdentity model() const { return identify_model(table, {&part, 1}).value(); }
  Result<std::unique_ptr<PackFile>> open_pack() const { return PackFile::open(path, table, model()); }

  std::string content() const { return read_whole_file(path, 1 << 24).value(); }
  // The pack with one byte changed.
  void spoil(size_t at) const {
    std::string bytes = content();
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    REQUIRE(write_whole_file(path, bytes).ok());
  }
};

}  // namespace

TEST_CASE("pack: layers of fewer experts") {
  PackRig rig;
  rig.table = test::make_uneven_table({5, 2, 4}, {5000, 5000, 9000});
  REQUIRE(rig.write().ok());
  const auto pack = rig.open_pack();
  REQUIRE_MESSAGE(pack.ok(), pack.status().message());
  CHECK((*pack)->check_all({}).ok());
  CHECK(std::filesystem::file_size(rig.path) == PackLayout(rig.table).file_bytes());
}

TEST_CASE("pack: a tier that reads from it holds the same bytes in one part each") {
  PackRig rig;
  uint64_t told_bytes = 0;
  REQUIRE(rig.write([&](uint64_t done, uint64_t total) {
    CHECK(done > told_bytes);
    CHECK(total == rig.table.total_bytes());
    told_bytes = done;
    return true;
  }).ok());
  CHECK(told_bytes == rig.table.total_bytes());
  CHECK_FALSE(test::has_partial(rig.path));
  CHECK(is_pack_file(rig.path));
  auto pack = rig.open_pack();
  REQUIRE_MESSAGE(pack.ok(), pack.status().message());
  CHECK((*pack)->check_all({}).ok());
  for (uint16_t e = 0; e < 5; ++e) CHECK((*pack)->offset_bytes({1, e}) % 4096 == 0);
  rig.source = ExpertSource::from_pack(rig.table, std::move(pack).value(), true).value();
  HostTierOptions options;
  options.top_k = 2;
  options.budget_bytes = 2 * rig.slot_bytes(0) + 2 * rig.slot_bytes(2);
  CHECK(options.budget_bytes <= least_host_bytes(rig.table, 2));
  rig.script.short_share = 0.3;
  REQUIRE(rig.open(options).ok());
  for (uint16_t e = 0; e < 5; ++e) {
    rig.use({{0, e}, {1, e}});
    rig.use({{2, e}});
    CHECK(rig.tier->parts({2, e}).size() == 1);
    CHECK(rig.tier->parts({2, e})[0].bytes.size() == rig.table.record_bytes(2));
  }
}

TEST_CASE("pack: what is damaged is found, when it is opened or when it is read") {
  PackRig rig;
  REQUIRE(rig.write().ok());
  const std::string good = rig.content();
  const auto refused = [&](Code code, const char* says) {
    const auto pack = rig.open_pack();
    REQUIRE_FALSE(pack.ok());
    CAPTURE(pack.status().message());
    CHECK(pack.status().code() == code);
    CHECK(pack.status().message().find(says) != std::string::npos);
    CHECK(pack.status().message().find("'" + rig.path + "'") != std::string::npos);
    REQUIRE(write_whole_file(rig.path, good).ok());
  };
  rig.spoil(0);
  refused(Code::kInvalidArgument, "not a pack file");
  rig.spoil(8);
  refused(Code::kUnsupported, "version");
  rig.spoil(12);
  refused(Code::kInvalidArgument, "another model");
  rig.spoil(32);
  refused(Code::kInvalidArgument, "another model");
  rig.spoil(40);
  refused(Code::kInvalidArgument, "another model");
  rig.spoil(24);
  refused(Code::kCorrupt, "cut off");
  rig.spoil(50);  // a checksum
  refused(Code::kCorrupt, "header");
  for (const size_t size : {size_t{0}, size_t{20}, size_t{48}, size_t{4000}, size_t{5000}, good.size() - 1}) {
    fs::resize_file(rig.path, size);
    refused(size < 48 ? Code::kInvalidArgument : Code::kCorrupt, size < 48 ? "not a pack file" : "cut off");
  }
  REQUIRE(rig.open_pack().ok());

  const uint64_t at = rig.open_pack().value()->offset_bytes({2, 3}) + 777;
  rig.spoil(at);
  auto pack = rig.open_pack();
  REQUIRE(pack.ok());
  const Status status = (*pack)->check_all({});
  CHECK(status.code() == Code::kCorrupt);
  CHECK(status.message().find("expert 3 of MoE layer 2") != std::string::npos);
  rig.source = ExpertSource::from_pack(rig.table, std::move(pack).value(), true).value();
  HostTierOptions options;
  options.budget_bytes = 4 * rig.slot_bytes(2);
  REQUIRE(rig.open(options).ok());
  CHECK(rig.acquire({{2, 3}}).code() == Code::kCorrupt);
  CHECK_FALSE(rig.tier->resident({2, 3}));
  rig.use({{2, 2}});
}

TEST_CASE("pack: another model's is refused") {
  PackRig rig;
  REQUIRE(rig.write().ok());
  std::string other = test::bank_content(rig.table);
  for (char& c : other) c = static_cast<char>(c + 1);
  const auto changed = File::open(rig.folder.write("changed", other)).value();
  const File* part = changed.get();
  const auto model = identify_model(rig.table, {&part, 1}).value();
  CHECK(model.layout_hash == rig.model().layout_hash);
  CHECK(PackFile::open(rig.path, rig.table, model).status().code() == Code::kInvalidArgument);
  const ExpertTable larger = test::make_table(5, {5000, 5000, 9001});
  const auto bank = File::open(rig.folder.write("larger", test::bank_content(larger))).value();
  part = bank.get();
  CHECK(PackFile::open(rig.path, larger, identify_model(larger, {&part, 1}).value()).status().code() == Code::kInvalidArgument);
}

TEST_CASE("pack: stopped or failed, it leaves neither half a file nor harm") {
  PackRig rig;
  CHECK(rig.write([](uint64_t, uint64_t) { return false; }).code() == Code::kCancelled);
  CHECK_FALSE(file_exists(rig.path));
  CHECK_FALSE(test::has_partial(rig.path));
  REQUIRE(rig.write().ok());
  const std::string good = rig.content();
  CHECK(rig.write([](uint64_t, uint64_t) { return false; }).code() == Code::kCancelled);
  CHECK(rig.content() == good);
  REQUIRE(rig.write().ok());  // over an earlier one
  CHECK(rig.content() == good);
  CHECK(rig.open_pack().value()->check_all([](uint64_t, uint64_t) { return false; }).code() == Code::kCancelled);

  fs::resize_file(rig.file->path(), 5000);  // the model is cut while it is read
  CHECK(rig.write().code() == Code::kIo);
  CHECK(rig.content() == good);
  CHECK_FALSE(test::has_partial(rig.path));
}

TEST_CASE("pack: never over the model or a stranger's file") {
  PackRig rig;
  rig.path = rig.file->path();
  CHECK(rig.write().message().find("is the model itself") != std::string::npos);
  fs::create_hard_link(rig.file->path(), rig.folder.file("link"));
  rig.path = rig.folder.file("link");
  CHECK(rig.write().code() == Code::kInvalidArgument);
  rig.path = rig.folder.write("letter", "dear");
  CHECK(rig.write().message().find("is not a pack file") != std::string::npos);
  CHECK(rig.content() == "dear");
  rig.path = rig.folder.file("none/pack");
  CHECK(rig.write().code() == Code::kNotFound);
  CHECK(fs::file_size(rig.file->path()) == test::bank_content(rig.table).size());
}
