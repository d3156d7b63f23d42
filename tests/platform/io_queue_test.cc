// Both queues under one suite: what is read, what ends short, what fails, how many are under way.
#include "platform/io_queue.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <random>

#include "platform/host_memory.h"
#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

constexpr uint64_t kFileBytes = 300'000;  // no multiple of a page

char byte_at(uint64_t offset_bytes) { return static_cast<char>((offset_bytes * 2654435761u) >> 11); }

struct Rig {
  test::TempFolder folder;
  std::unique_ptr<File> file;
  std::unique_ptr<IoQueue> queue;
  std::unique_ptr<HostArena> memory;

  Rig(IoQueueKind kind, uint32_t depth) {
    std::string content;
    for (uint64_t i = 0; i < kFileBytes; ++i) content += byte_at(i);
    file = File::open(folder.write("data", content)).value()->reopen_direct().value();
    auto made = IoQueue::create({depth, kind});
    if (made.ok()) queue = std::move(made).value();
    memory = HostArena::create(1 << 20).value();
  }

  std::span<std::byte> room(uint64_t offset_bytes, uint64_t size_bytes) { return memory->bytes().subspan(offset_bytes, size_bytes); }

  // One read, alone.
  IoDone read(bool direct, uint64_t offset_bytes, uint64_t size_bytes) {
    queue->submit({file.get(), direct, offset_bytes, room(0, size_bytes), 77});
    IoDone done[1];
    REQUIRE(queue->wait(done).value() == 1);
    CHECK(done[0].tag == 77);
    return done[0];
  }

  bool is_right(uint64_t memory_offset_bytes, uint64_t offset_bytes, uint64_t size_bytes) {
    const auto bytes = room(memory_offset_bytes, size_bytes);
    for (uint64_t i = 0; i < size_bytes; ++i) {
      if (static_cast<char>(bytes[i]) != byte_at(offset_bytes + i)) return false;
    }
    return true;
  }
};

#define FOR_BOTH_QUEUES(rig, depth)                                                     \
  IoQueueKind kind = IoQueueKind::kThreads;                                             \
  SUBCASE("threads") { kind = IoQueueKind::kThreads; }                                  \
  SUBCASE("io_uring") { kind = IoQueueKind::kUring; }                                   \
  Rig rig(kind, depth);                                                                 \
  if (!rig.queue) HOTSET_SKIP("io_uring is refused here, or was not built in")

}  // namespace

TEST_CASE("io queue: many reads at once all bring their bytes") {
  FOR_BOTH_QUEUES(rig, 16);
  for (const bool direct : {false, true}) {
    if (direct && !rig.file->direct()) continue;  // a file system without it
    const uint64_t unit = direct ? 4096 : 1;
    const uint64_t slot_bytes = 8 * 4096;
    std::mt19937 random(7);
    std::vector<uint64_t> offsets(16), sizes(16);
    std::vector<bool> free(16, true);
    uint32_t begun = 0, ended = 0;
    while (ended < 400) {
      for (uint32_t slot = 0; slot < 16 && begun < 400; ++slot) {
        if (!free[slot]) continue;
        sizes[slot] = (1 + random() % (slot_bytes / unit)) * unit;
        offsets[slot] = random() % ((kFileBytes - sizes[slot]) / unit) * unit;
        rig.queue->submit({rig.file.get(), direct, offsets[slot], rig.room(slot * slot_bytes, sizes[slot]), slot});
        free[slot] = false;
        ++begun;
      }
      CHECK(rig.queue->under_way() == begun - ended);
      IoDone done[5];
      const uint32_t count = rig.queue->wait(done).value();
      REQUIRE(count >= 1);
      for (uint32_t i = 0; i < count; ++i) {
        const auto slot = static_cast<uint32_t>(done[i].tag);
        REQUIRE(done[i].error == 0);
        REQUIRE(done[i].size_bytes == sizes[slot]);
        REQUIRE(rig.is_right(slot * slot_bytes, offsets[slot], sizes[slot]));
        free[slot] = true;
      }
      ended += count;
    }
    CHECK(rig.queue->under_way() == 0);
  }
}

TEST_CASE("io queue: a read at the end of the file is short, behind it empty") {
  FOR_BOTH_QUEUES(rig, 2);
  const IoDone tail = rig.read(false, kFileBytes - 100, 4096);
  CHECK(tail.error == 0);
  CHECK(tail.size_bytes == 100);
  CHECK(rig.is_right(0, kFileBytes - 100, 100));
  CHECK(rig.read(false, kFileBytes + 5, 100).size_bytes == 0);
  if (!rig.file->direct()) return;
  const uint64_t page = kFileBytes / 4096 * 4096;
  const IoDone last = rig.read(true, page, 4096);
  CHECK(last.error == 0);
  CHECK(last.size_bytes == kFileBytes - page);
  CHECK(rig.is_right(0, page, kFileBytes - page));
}

TEST_CASE("io queue: a failed read gives the system's error and the queue goes on") {
  FOR_BOTH_QUEUES(rig, 4);
  rig.queue->submit({rig.file.get(), false, 0, {reinterpret_cast<std::byte*>(4096), 4096}, 3});  // no memory there
  IoDone done[4];
  REQUIRE(rig.queue->wait(done).value() == 1);
  CHECK(done[0].tag == 3);
  CHECK(done[0].error == EFAULT);
  const Status status = read_error(*rig.file, 12, done[0].error);
  CHECK(status.code() == Code::kIo);
  CHECK(status.message() == "cannot read '" + rig.file->path() + "' at byte 12: Bad address");
  CHECK(rig.read(false, 10, 10).size_bytes == 10);
}

TEST_CASE("io queue: poll does not wait, and one that ends waits for its reads") {
  FOR_BOTH_QUEUES(rig, 8);
  IoDone done[8];
  CHECK(rig.queue->poll(done) == 0);
  for (uint64_t i = 0; i < 8; ++i) rig.queue->submit({rig.file.get(), false, i * 1000, rig.room(i * 1000, 1000), i});
  uint32_t ended = 0;
  while (ended < 3) ended += rig.queue->poll(done);
  rig.queue.reset();
  for (uint64_t i = 0; i < 8; ++i) CHECK(rig.is_right(i * 1000, i * 1000, 1000));
}

TEST_CASE("io queue: a depth that cannot be is refused") {
  CHECK(IoQueue::create({0, IoQueueKind::kAuto}).status().code() == Code::kInvalidArgument);
  CHECK(IoQueue::create({kMaxIoDepth + 1, IoQueueKind::kAuto}).status().code() == Code::kInvalidArgument);
  const auto queue = IoQueue::create({1, IoQueueKind::kAuto});
  REQUIRE(queue.ok());
  CHECK((*queue)->depth() == 1);
}

TEST_CASE("direct file: says what it needs, and that it was replaced") {
  const test::TempFolder folder;
  const auto file = File::open(folder.write("data", std::string(9000, 'x'))).value();
  CHECK_FALSE(file->direct());
  CHECK(file->direct_alignment_bytes() == 1);
  const auto again = file->reopen_direct();
  REQUIRE(again.ok());
  CHECK((*again)->size_bytes() == 9000);
  const uint64_t alignment_bytes = (*again)->direct_alignment_bytes();
  CHECK(alignment_bytes <= File::kMostDirectAlignment);
  CHECK((alignment_bytes & (alignment_bytes - 1)) == 0);
  char byte = 0;
  CHECK((*again)->read(8999, std::as_writable_bytes(std::span(&byte, 1))).ok());
  CHECK(byte == 'x');
#ifndef _WIN32  // an open file cannot be replaced there
  folder.write("other", "y");
  std::filesystem::rename(folder.file("other"), folder.file("data"));
  CHECK(file->reopen_direct().status().message().find("was replaced") != std::string::npos);
#endif
}
