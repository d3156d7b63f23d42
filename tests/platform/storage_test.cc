// Checksums, files that are written as a whole or not at all, and memory that comes and goes.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "platform/crc32c.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "tests/format/gguf_builder.h"
#include "tests/temp_folder.h"

using namespace hotset;
namespace fs = std::filesystem;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace

TEST_CASE("crc32c: the checksums that RFC 3720 gives, by instruction and by table") {
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i), falling += static_cast<char>(31 - i);
  const std::pair<std::string, uint32_t> known[] = {
      {"", 0}, {"123456789", 0xe3069283}, {std::string(32, '\0'), 0x8a9136aa}, {std::string(32, '\xff'), 0x62a8ab43}, {rising, 0x46dd794e},
      {falling, 0x113fdb5c}};
  for (const auto& [text, checksum] : known) {
    CHECK(crc32c(bytes_of(text)) == checksum);
    CHECK(crc32c_portable(bytes_of(text)) == checksum);
  }
}

TEST_CASE("crc32c: any length, at any address, in any pieces") {
  std::mt19937 random(3);
  std::string text(5000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (int i = 0; i < 200; ++i) {
    const size_t from = random() % 100, size = random() % 4000, cut = random() % (size + 1);
    const auto bytes = bytes_of(text).subspan(from, size);
    const uint32_t whole = crc32c(bytes);
    REQUIRE(crc32c_portable(bytes) == whole);
    REQUIRE(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))) == whole);
    REQUIRE(crc32c_portable(bytes.subspan(cut), crc32c_portable(bytes.first(cut))) == whole);
  }
}

TEST_CASE("file writer: the file is there after commit, and nothing before or without it") {
  const test::TempFolder folder;
  const std::string path = folder.file("out");
  {
    auto writer = FileWriter::create(path, 10'000);
    REQUIRE(writer.ok());
    CHECK((*writer)->write(9'996, bytes_of("tail")).ok());
    CHECK((*writer)->write(0, bytes_of("head")).ok());
    CHECK_FALSE(file_exists(path));
    CHECK((*writer)->commit().ok());
  }
  const std::string content = read_whole_file(path, 1 << 20).value();
  CHECK(content.size() == 10'000);
  CHECK(content.substr(0, 5) == std::string("head\0", 5));
  CHECK(content.substr(9'996) == "tail");
  {
    auto writer = FileWriter::create(path, 0);
    REQUIRE(writer.ok());
    CHECK((*writer)->write(0, bytes_of("new")).ok());
    CHECK(test::has_partial(path));
  }
  CHECK_FALSE(test::has_partial(path));
  CHECK(read_whole_file(path, 1 << 20).value() == content);
  CHECK(FileWriter::create(folder.file("none/out"), 1).status().code() == Code::kNotFound);
  CHECK(same_file(path, folder.file("./out")));
  CHECK_FALSE(same_file(path, folder.file("none")));
}

#ifndef _WIN32  // there nobody may have open what is replaced
TEST_CASE("file writer: several write one path at once, and the last to commit stands whole") {
  const test::TempFolder folder;
  const std::string path = folder.file("out");
  constexpr size_t kBytes = 300'000;
  const auto write = [&](char fill) {
    const std::string content(kBytes, fill);
    for (int i = 0; i < 50; ++i) {
      const auto writer = FileWriter::create(path, kBytes);
      if (!writer.ok()) return writer.status();
      for (size_t at = 0; at < kBytes; at += kBytes / 10) {
        HOTSET_RETURN_IF_ERROR((*writer)->write(at, bytes_of(content).subspan(at, kBytes / 10)));
      }
      HOTSET_RETURN_IF_ERROR((*writer)->commit_unsynced());
    }
    return ok_status();
  };
  REQUIRE(write_whole_file(path, std::string(kBytes, 'a')).ok());
  Status done[2];
  std::atomic<bool> ended{false};
  std::thread writers[] = {std::thread([&] { done[0] = write('a'); }), std::thread([&] { done[1] = write('b'); })};
  std::string bad;
  std::thread reader([&] {
    while (!ended) {
      const auto content = read_whole_file(path, 1 << 20);
      if (!content.ok()) bad = content.status().message();
      else if (*content != std::string(kBytes, content->front())) bad = "half of each";
    }
  });
  for (std::thread& writer : writers) writer.join();
  ended = true;
  reader.join();
  for (const Status& status : done) CHECK_MESSAGE(status.ok(), status.message());
  CHECK(bad.empty());
  CHECK_FALSE(test::has_partial(path));
  auto early = FileWriter::create(path, 0), late = FileWriter::create(path, 0);
  REQUIRE((*early)->write(0, bytes_of("early")).ok());
  REQUIRE((*late)->write(0, bytes_of("late")).ok());
  REQUIRE((*early)->commit().ok());
  CHECK(read_whole_file(path, 100).value() == "early");
  REQUIRE((*late)->commit().ok());
  CHECK(read_whole_file(path, 100).value() == "late");
}
#endif

TEST_CASE("file writer: what cannot be replaced is told before a byte is written") {
  const test::TempFolder folder;
  const std::string file = folder.write("file", "kept");
  CHECK(FileWriter::check(folder.file("new")).ok());
  CHECK(FileWriter::check(file).ok());
  CHECK_FALSE(file_exists(folder.file("new")));
  CHECK(FileWriter::check(folder.path()).message() == "cannot write '" + folder.path() + "': Is a directory");
  CHECK(FileWriter::check(folder.file("none/out")).message().ends_with("No such file or directory"));
#ifndef _WIN32
  CHECK(FileWriter::check(file + "/out").message().ends_with("Not a directory"));
  CHECK(FileWriter::check("/dev/null").message() == "cannot write '/dev/null': it is there and no regular file");
#endif
  CHECK(read_whole_file(file, 100).value() == "kept");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("host arena: reserved memory is there once it is committed, and zero each time") {
  constexpr uint64_t kPage = 4096;
#ifdef __SANITIZE_THREAD__
  constexpr uint64_t kReserved = uint64_t{1} << 34;  // ThreadSanitizer keeps most of the address space
#else
  constexpr uint64_t kReserved = uint64_t{1} << 40;  // more than any machine has
#endif
  const auto made = HostArena::reserve(kReserved);
  REQUIRE_MESSAGE(made.ok(), made.status().message());
  HostArena& arena = **made;
  const uint64_t far = kReserved - 4 * kPage;
  REQUIRE(arena.commit(far, 4 * kPage).ok());
  const auto bytes = arena.bytes().subspan(far, 4 * kPage);
  std::memset(bytes.data(), 7, bytes.size());
  arena.decommit(far + kPage, 2 * kPage);
  CHECK(bytes[kPage - 1] == std::byte{7});
  CHECK(bytes[3 * kPage] == std::byte{7});
  REQUIRE(arena.commit(far + kPage, 2 * kPage).ok());
  CHECK(bytes[kPage] == std::byte{0});
  CHECK(bytes[3 * kPage - 1] == std::byte{0});
}
