// Files, the arena and the log: what they promise when the world does not play along.
#include "platform/file.h"

#include <doctest/doctest.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "platform/host_memory.h"
#include "platform/log.h"
#include "tests/format/gguf_builder.h"
#include "tests/platform/refusals.h"
#include "tests/test_support.h"

using namespace hotset;
namespace fs = std::filesystem;
using test::check_refused;

namespace {

std::string read_all(const std::string& path) {
  const auto bytes = read_whole_file(path, 1 << 20);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  return *bytes;
}

size_t files_in(const test::TempFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.file(".")), fs::directory_iterator()));
}

// Takes the lines of the log while it lives.
struct LogCatcher {
  explicit LogCatcher(LogLevel level) {
    set_log_sink([this](LogLevel at, std::string_view line) { lines.push_back(std::to_string(static_cast<int>(at)) + std::string(line)); }, level);
  }
  ~LogCatcher() { set_log_sink({}, LogLevel::kError); }
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("file: what cannot be opened says why") {
  const test::TempFolder folder;
  const std::string plain = folder.write("plain", "abc");
  check_refused(File::open(folder.file("none")).status(), Code::kNotFound, folder.file("none"), "No such file");
  check_refused(File::open(plain + "/below").status(), Code::kNotFound, plain + "/below", "cannot open");
  check_refused(File::open(folder.file(".")).status(), Code::kInvalidArgument, folder.file("."), "is a directory");
#ifdef _WIN32
  const std::string null_device = "NUL";
#else
  const std::string null_device = "/dev/null";
#endif
  check_refused(File::open(null_device).status(), Code::kInvalidArgument, null_device, "not a regular file");
  check_refused(File::open("").status(), Code::kNotFound, "", "No such file");
  check_refused(read_whole_file(plain, 2).status(), Code::kInvalidArgument, plain, "too large");
  CHECK(read_whole_file(plain, 3).value() == "abc");
  CHECK(file_exists(plain));
  CHECK_FALSE(file_exists(folder.file("none")));
  CHECK_FALSE(file_exists(folder.file(".")));
}

TEST_CASE("file: reads are whole or an error, at any place") {
  const test::TempFolder folder;
  std::string content;
  for (int i = 0; i < 1000; ++i) content += static_cast<char>(i * 37);
  const auto file = File::open(folder.write("data", content)).value();
  CHECK(file->size_bytes() == 1000);
  const auto read = [&](uint64_t offset, size_t size) {
    std::string out(size, '\0');
    const Status status = file->read(offset, std::as_writable_bytes(std::span(out.data(), out.size())));
    return status.ok() ? Result<std::string>(out) : Result<std::string>(status);
  };
  CHECK(read(0, 1000).value() == content);
  CHECK(read(999, 1).value() == content.substr(999));
  CHECK(read(321, 100).value() == content.substr(321, 100));
  CHECK(read(1000, 0).value().empty());
  check_refused(read(999, 2).status(), Code::kIo, file->path(), "ended at byte 1000");
  check_refused(read(5000, 1).status(), Code::kIo, file->path(), "ended at byte 5000");
  CHECK(read(~uint64_t{0} - 5, 2).status().code() == Code::kIo);
  fs::resize_file(file->path(), 400);
  check_refused(read(321, 100).status(), Code::kIo, file->path(), "ended at byte 400");
}

TEST_CASE("file: a file is replaced as a whole or stays as it was") {
  const test::TempFolder folder;
  const std::string path = folder.file("kept");
  REQUIRE(write_whole_file(path, "first").ok());
  CHECK(read_all(path) == "first");
#ifndef _WIN32  // there nobody may have the old file open
  const auto reader = File::open(path).value();
#endif
  const std::string binary("\0second\n", 8);
  REQUIRE(write_whole_file(path, binary).ok());
  CHECK(read_all(path) == binary);
#ifndef _WIN32
  char old[5];
  REQUIRE(reader->read(0, std::as_writable_bytes(std::span(old))).ok());  // the old file, not half of the new
  CHECK(std::string(old, 5) == "first");
#endif
  REQUIRE(write_whole_file(path, "").ok());
  CHECK(read_all(path).empty());
  CHECK(files_in(folder) == 1);

  check_refused(write_whole_file(folder.file("none/x"), "x"), Code::kNotFound, folder.file("none/x"), "No such file");
  fs::create_directory(folder.file("taken"));
  check_refused(write_whole_file(folder.file("taken"), "x"), Code::kIo, folder.file("taken"), "cannot write");
  CHECK(files_in(folder) == 2);  // nothing partial is left
}

TEST_CASE("host arena: starts at zero, and discarded pages read as zero again") {
  constexpr uint64_t kPage = 4096;
  const auto made = HostArena::create(5 * kPage - 100);
  REQUIRE(made.ok());
  HostArena& arena = **made;
  REQUIRE(arena.size_bytes() >= 5 * kPage - 100);
  const auto bytes = arena.bytes();
  CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % kPage == 0);
  CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
#ifndef _WIN32
  if (::sysconf(_SC_PAGESIZE) != kPage) HOTSET_SKIP("pages of another size");
#endif
  const auto zeros = [&] { return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), std::byte{0})); };
  std::memset(bytes.data(), 7, bytes.size());
  arena.discard(100, kPage);  // no whole page
  arena.discard(kPage, kPage - 1);
  arena.discard(kPage, 0);
  CHECK(zeros() == 0);
  arena.discard(100, 3 * kPage);  // pages 1 and 2
  CHECK(zeros() == 2 * kPage);
  CHECK(bytes[kPage - 1] == std::byte{7});
  CHECK(bytes[kPage] == std::byte{0});
  CHECK(bytes[3 * kPage - 1] == std::byte{0});
  CHECK(bytes[3 * kPage] == std::byte{7});
  bytes[kPage] = std::byte{9};  // usable as before
  CHECK(bytes[kPage] == std::byte{9});
  arena.discard(0, arena.size_bytes());
  CHECK(zeros() == bytes.size());
}

TEST_CASE("host arena: memory that the system has not is an error") {
  for (const uint64_t size : {uint64_t{1} << 62, ~uint64_t{0}, ~uint64_t{0} - 4095}) {
    const auto refused = HostArena::create(size);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status().code() == Code::kOutOfMemory);
    CHECK(refused.status().message().find("memory") != std::string::npos);
  }
  CHECK(HostArena::create(0).ok());
  const HostMemoryInfo info = host_memory_info();
  CHECK(info.total_bytes > 0);
  CHECK(info.available_bytes <= info.total_bytes);
  CHECK(peak_resident_bytes() > 1 << 20);
}

TEST_CASE("log: lines above the level are dropped, the others reach the sink") {
  {
    LogCatcher caught(LogLevel::kWarn);
    CHECK(log_enabled(LogLevel::kError));
    CHECK(log_enabled(LogLevel::kWarn));
    CHECK_FALSE(log_enabled(LogLevel::kInfo));
    log_line(LogLevel::kError, "e %d", 1);
    log_line(LogLevel::kWarn, "w %s", "two");
    log_line(LogLevel::kInfo, "i");
    log_line(LogLevel::kDebug, "d");
    CHECK(caught.lines == std::vector<std::string>{"0e 1", "1w two"});
    log_line(LogLevel::kError, "%s", std::string(5000, 'x').c_str());
    REQUIRE(caught.lines.size() == 3);
    CHECK(caught.lines[2].size() > 500);  // long lines are cut, not lost
  }
  {
    LogCatcher caught(LogLevel::kDebug);
    log_line(LogLevel::kDebug, "d");
    CHECK(caught.lines == std::vector<std::string>{"3d"});
  }
  CHECK_FALSE(log_enabled(LogLevel::kError));
  log_line(LogLevel::kError, "nobody hears this");
  set_log_sink({}, LogLevel::kDebug);
  CHECK_FALSE(log_enabled(LogLevel::kError));  // an empty sink drops everything
}
