#include "offload/expert_table.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/offload/fake_bank.h"

using namespace hotset;

TEST_CASE("expert table: a record holds its pieces aligned, in order") {
  const ExpertTable table = test::make_table(4, {500, 512, 500});
  CHECK(table.layers() == 3);
  CHECK(table.experts() == 4);
  CHECK(table.pieces(0) == 3);
  CHECK(table.record_bytes(0) == 512 + 512 + 512);
  CHECK(table.piece_offset_bytes(0, 2) == 1024);
  const ExpertPiece piece = table.piece({0, 3}, 1);
  CHECK(piece.record_offset_bytes == 512);
  CHECK(piece.file == ByteRange{0, 64 + 4 * 300 + 3 * 300, 300});
  CHECK(table.classes() == 1);  // 500 and 512 round to the same record
  CHECK(table.total_bytes() == 3 * 4 * 1536);
}

TEST_CASE("expert table: layers of other sizes are other classes, the smallest first") {
  const ExpertTable table = test::make_table(4, {3000, 500, 3000, 3000});
  REQUIRE(table.classes() == 2);
  CHECK(table.class_record_bytes(SizeClassId{0}) < table.class_record_bytes(SizeClassId{1}));
  CHECK(index_of(table.size_class(0)) == 1);
  CHECK(index_of(table.size_class(1)) == 0);
  CHECK(table.class_layers(SizeClassId{1}) == 3);
  CHECK(table.class_experts(SizeClassId{1}) == 12);
}

TEST_CASE("expert table: layers of fewer experts") {
  const ExpertTable table = test::make_uneven_table({6, 2, 3}, {500, 500, 3000});
  CHECK(table.experts() == 6);
  CHECK(table.experts(1) == 2);
  CHECK(table.entries() == 18);
  CHECK(table.count() == 11);
  CHECK(table.has({1, 1}));
  CHECK_FALSE(table.has({1, 2}));
  CHECK_FALSE(table.has({3, 0}));
  CHECK(table.class_experts(SizeClassId{0}) == 8);
  CHECK(table.class_floor(SizeClassId{0}, 4) == 4 + 2);
  CHECK(table.class_floor(SizeClassId{1}, 4) == 3);
  CHECK(table.total_bytes() == 8 * table.record_bytes(0) + 3 * table.record_bytes(2));
}

TEST_CASE("expert table: experts in pieces of their own, over two parts") {
  ExpertTableBuilder builder({1000, 1000});
  const ByteRange ranges[] = {{0, 0, 100}, {1, 0, 200}, {1, 500, 100}, {0, 700, 200}};
  REQUIRE(builder.add_layer(2, ranges).ok());
  const auto table = std::move(builder).build();
  REQUIRE(table.ok());
  CHECK(table->piece({0, 1}, 0).file == ByteRange{1, 500, 100});
  CHECK(table->record_bytes(0) == 512);
}

TEST_CASE("expert table: broken layers") {
  constexpr uint64_t kHuge = ~uint64_t{0};
  struct Row {
    const char* name;
    uint32_t experts;
    std::vector<ByteRange> tensors;
    const char* says;
  };
  const Row rows[] = {
      {"no experts", 0, {{0, 0, 100}}, "0 experts"},
      {"too many experts", 70000, {{0, 0, 70000}}, "70000 experts"},
      {"no pieces", 4, {}, "0 byte ranges"},
      {"too many pieces", 1, std::vector<ByteRange>(9, ByteRange{0, 0, 10}), "9 pieces"},
      {"no such part", 4, {{1, 0, 100}}, "part 1 of 1"},
      {"empty", 4, {{0, 0, 0}}, "0 bytes"},
      {"past the end", 4, {{0, 996, 8}}, "past the end"},
      {"offset at the end of time", 4, {{0, kHuge - 3, 8}}, "past the end"},
      {"size that wraps", 4, {{0, 8, kHuge - 3}}, "past the end"},
      {"no multiple", 3, {{0, 0, 100}}, "cannot be shared by 3"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ExpertTableBuilder builder({1000});
    const Status status = builder.add_stacked_layer(row.experts, row.tensors);
    CHECK(status.code() == Code::kCorrupt);
    CHECK(status.message().find(row.says) != std::string::npos);
  }
}

TEST_CASE("expert table: layers that do not go together") {
  SUBCASE("overlap") {
    ExpertTableBuilder builder({1000});
    const ByteRange first[] = {{0, 0, 100}};
    const ByteRange second[] = {{0, 99, 100}};
    REQUIRE(builder.add_stacked_layer(1, first).ok());
    REQUIRE(builder.add_stacked_layer(1, second).ok());
    const auto table = std::move(builder).build();
    CHECK(table.status().code() == Code::kCorrupt);
    CHECK(table.status().message().find("overlap at byte 99") != std::string::npos);
  }
  SUBCASE("experts of other sizes") {
    ExpertTableBuilder builder({1000});
    const ByteRange ranges[] = {{0, 0, 100}, {0, 100, 101}};
    CHECK(builder.add_layer(2, ranges).code() == Code::kCorrupt);
  }
  SUBCASE("nothing: a model without experts") {
    const auto table = ExpertTableBuilder({1000}).build();
    REQUIRE(table.ok());
    CHECK(table->layers() == 0);
    CHECK(table->count() == 0);
    CHECK(table->total_bytes() == 0);
  }
  SUBCASE("too large for memory") {
    // A sparse file may truly be this long.
    constexpr uint64_t kPart = uint64_t{1} << 62;
    ExpertTableBuilder builder({kPart, kPart, kPart});
    for (uint32_t part = 0; part < 3; ++part) {
      const ByteRange tensor[] = {{part, 0, kPart}};
      REQUIRE(builder.add_stacked_layer(1, tensor).ok());
    }
    CHECK(std::move(builder).build().status().code() == Code::kCorrupt);
  }
}
