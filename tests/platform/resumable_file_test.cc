// ResumableFile: what a run leaves and the next one finds.
#include "platform/resumable_file.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "platform/file.h"
#include "tests/format/gguf_builder.h"

namespace {

using namespace hotset;

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace

TEST_CASE("resumable file: goes on where it was kept, and only then has its name") {
  const test::TempFolder folder;
  const std::string path = folder.file("model");
  {
    const auto file = ResumableFile::open(path, "a", 8);
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    CHECK((*file)->done_bytes() == 0);
    REQUIRE((*file)->write(0, bytes("abcd")).ok());
    REQUIRE((*file)->keep(3).ok());
    const auto second = ResumableFile::open(path, "a", 8);
    CHECK(second.status().message().find("another run") != std::string::npos);
  }
  CHECK_FALSE(file_exists(path));
  {
    const auto file = ResumableFile::open(path, "a", 8);
    REQUIRE(file.ok());
    CHECK((*file)->done_bytes() == 3);
    REQUIRE((*file)->write(3, bytes("defgh")).ok());
    REQUIRE((*file)->commit().ok());
  }
  CHECK(read_whole_file(path, 100).value() == "abcdefgh");
  CHECK_FALSE(file_exists(path + ".part"));
  CHECK_FALSE(file_exists(path + ".part.state"));
  CHECK(ResumableFile::open(path, "a", 8).status().message().find("exists already") != std::string::npos);
}

TEST_CASE("resumable file: what is not of the same kind is begun anew") {
  const test::TempFolder folder;
  const std::string path = folder.file("model");
  const auto leave = [&](const std::string& key, uint64_t size) {
    const auto file = ResumableFile::open(path, key, size);
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    REQUIRE((*file)->write(0, bytes("abcd")).ok());
    REQUIRE((*file)->keep(4).ok());
  };
  const auto found = [&](const std::string& key, uint64_t size) {
    const auto file = ResumableFile::open(path, key, size);
    REQUIRE(file.ok());
    return (*file)->done_bytes();
  };
  leave("a", 8);
  CHECK(found("a", 8) == 4);
  CHECK(found("b", 8) == 0);
  leave("a", 8);
  CHECK(found("a", 9) == 0);
  leave("a", 8);
  std::filesystem::resize_file(path + ".part", 5);
  CHECK(found("a", 8) == 0);
  for (const char* state : {"", "a\n8\n", "a\n8\n9\n", "a\n8\n4", "a\n8\nx\n", "a\n8\n4\nmore"}) {
    leave("a", 8);
    folder.write("model.part.state", state);
    CHECK(found("a", 8) == 0);
  }
  CHECK(ResumableFile::open("", "a", 8).status().code() == Code::kInvalidArgument);
  CHECK(!std::filesystem::exists(".part"));
  // What is begun anew holds nothing of what was there.
  CHECK(read_whole_file(path + ".part", 100).value() == std::string(8, '\0'));
}
