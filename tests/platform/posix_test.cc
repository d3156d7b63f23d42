// What can be arranged on POSIX systems alone: files without rights, disks that take no more, system calls and threads that are refused.
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "platform/file.h"
#include "platform/io_queue.h"
#include "platform/resumable_file.h"
#include "platform/thread_pool.h"
#include "tests/format/gguf_builder.h"
#include "tests/platform/refusals.h"
#include "tests/test_support.h"

using namespace hotset;
namespace fs = std::filesystem;
using test::check_refused;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

size_t files_in(const test::TempFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.file(".")), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("file: one that may not be read says so") {
  const test::TempFolder folder;
  const std::string path = folder.write("secret", "abc");
  REQUIRE(::chmod(path.c_str(), 0) == 0);
  const bool is_root = ::geteuid() == 0;
  // Root reads everything: become nobody for the one call.
  if (is_root && ::seteuid(65534) != 0) HOTSET_SKIP("root reads every file and cannot step down here");
  const auto file = File::open(path);
  if (is_root) REQUIRE(::seteuid(0) == 0);
  check_refused(file.status(), Code::kIo, path, "Permission denied");
}

TEST_CASE("file: a write that the system cuts short is an error, and the old file stays") {
  const test::TempFolder folder;
  const std::string path = folder.write("kept", "old");
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {64, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status status = write_whole_file(path, std::string(4096, 'n'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, signal_before);
  check_refused(status, Code::kIo, path, "File too large");
  CHECK(read_whole_file(path, 100).value() == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("file writer: a disk that takes no more is an error and leaves nothing") {
  const test::TempFolder folder;
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {4096, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status at_once = FileWriter::create(folder.file("a"), 8192).status();
  Status later;
  {
    auto writer = FileWriter::create(folder.file("b"), 0);
    if (writer.ok()) later = (*writer)->write(0, bytes_of(std::string(8192, 'x')));
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, signal_before);
  CHECK(at_once.message() == "cannot write '" + folder.file("a") + "': no room for its 8 KiB");
  CHECK(later.message() == "cannot write '" + folder.file("b") + "': File too large");
  CHECK(fs::is_empty(folder.file(".")));
}

TEST_CASE("resumable file: no room is an error that leaves nothing, or what was there") {
  const test::TempFolder folder;
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_signal = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {4096, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto refused = ResumableFile::open(folder.file("model"), "a", 1 << 20);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old_signal);
  CHECK_FALSE(refused.ok());
  CHECK_MESSAGE(refused.status().message().find("no room") != std::string::npos, refused.status().message());
  CHECK_FALSE(file_exists(folder.file("model.part")));
  CHECK_FALSE(ResumableFile::open(folder.file("none/model"), "a", 8).ok());
}

TEST_CASE("io queue: where the system refuses io_uring, threads read") {
  // A filter such as containers have; it holds for the thread that sets it and those that it makes.
  bool filtered = false;
  std::string name;
  Status refused;
  uint64_t size_bytes = 0;
  const test::TempFolder folder;
  const auto file = File::open(folder.write("data", "0123456789")).value();
  std::thread([&] {
    sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program = {4, filter};
    filtered = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (!filtered) return;
    refused = IoQueue::create({4, IoQueueKind::kUring}).status();
    const auto queue = IoQueue::create({4, IoQueueKind::kAuto});
    if (!queue.ok()) return;
    name = (*queue)->name();
    char text[4] = {};
    IoDone done[4];
    (*queue)->submit({file.get(), false, 3, std::as_writable_bytes(std::span(text)), 0});
    const auto count = (*queue)->wait(done);
    if (count.ok() && std::string(text, 4) == "3456") size_bytes = done[0].size_bytes;
  }).join();
  if (!filtered) HOTSET_SKIP("the system takes no filter of system calls");
  CHECK(refused.code() == Code::kUnsupported);
  CHECK(name == "threads");
  CHECK(size_bytes == 4);
}

TEST_CASE("thread pool: an idle pool uses no processor time") {
  ThreadPool pool(3);
  pool.run(3, [](uint32_t, uint32_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto used_us = [] {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  };
  const long before = used_us();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(used_us() - before < 10'000);
}

// Stacks are 8 MiB of address space; the C library keeps a few of them from threads that have ended.
TEST_CASE("thread pool: a system that refuses threads makes the pool smaller") {
#if defined(__SANITIZE_THREAD__)
  HOTSET_SKIP("ThreadSanitizer starts no threads after a fork");
#endif
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    unsigned long pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    const bool known = file && std::fscanf(file, "%lu", &pages) == 1;
    const rlim_t bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (20 << 20);
    const rlimit limit = {bytes, bytes};
    if (!known || setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
    ThreadPool pool(64);
    std::atomic<uint32_t> done{0};
    pool.run(100, [&](uint32_t, uint32_t) { ++done; });
    _exit(pool.threads() < 64 && done == 100 ? 0 : 1);
  }
  int state = 0;
  REQUIRE(waitpid(child, &state, 0) == child);
  CHECK(WIFEXITED(state));
  CHECK(WEXITSTATUS(state) == 0);
}
