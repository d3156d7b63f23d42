// What the writer writes the reader reads; a disk that is full ends the trace and nothing else.
#include "offload/trace_writer.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "offload/routing_trace.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "platform/log.h"
#include "tests/process_limits.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

struct Scratch {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("hotset_trace_writer_" + std::to_string(os::process_id()));
  ~Scratch() { std::filesystem::remove(path); }
};

std::vector<std::string>& lines() {
  static std::vector<std::string> all;
  return all;
}

struct Log {
  Log() {
    lines().clear();
    set_log_sink([](LogLevel, std::string_view line) { lines().emplace_back(line); }, LogLevel::kInfo);
  }
  ~Log() { set_log_sink({}, LogLevel::kInfo); }
};

constexpr uint16_t kIds[] = {1, 0, 3, 2};

}  // namespace

TEST_CASE("trace writer: tokens and transfers are read as they were written") {
  const Scratch scratch;
  const uint64_t before_ns = now_ns();
  {
    const auto writer = TraceWriter::create(scratch.path.string(), {"a\nmodel", 2, 4, 2});
    REQUIRE(writer.ok());
    const uint64_t start_ns = now_ns();
    (*writer)->token(0, true, kIds);
    (*writer)->link({EventLink::kHostToDevice, {1, 3}, 4096, start_ns, 500});
    (*writer)->link({EventLink::kDiskToHost, {0, 1}, 8192, start_ns + 7, 900});
    (*writer)->link({EventLink::kDiskToHost, {0, 1}, 8192, before_ns - 1, 900});  // was under way before
    (*writer)->next_sequence();
    (*writer)->token(5, false, kIds);
    CHECK((*writer)->tokens() == 2);
    CHECK((*writer)->lost_tokens() == 0);
  }
  const auto trace = RoutingTrace::load(scratch.path.string());
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->model() == "a model");
  CHECK(trace->tokens() == 2);
  CHECK(trace->ids(1, 1)[0] == 3);
  REQUIRE(trace->links().size() == 2);
  CHECK(trace->links()[0].expert == ExpertId{1, 3});
  CHECK(trace->links()[0].bytes == 4096);
  CHECK(trace->links()[1].start_ns == trace->links()[0].start_ns + 7);
  CHECK(trace->links()[1].duration_ns == 900);
}

TEST_CASE("trace writer: a full disk ends the file with a whole line, is counted and said once, and stops nothing") {
#ifdef _WIN32
  HOTSET_SKIP("Windows has no disk quota for one process");
#else
  const Scratch scratch;
  const Log log;
  constexpr uint64_t kTokens = 20000;
  {
    const test::FullDisk full(100'003);
    const auto writer = TraceWriter::create(scratch.path.string(), {"m", 2, 4, 2});
    REQUIRE(writer.ok());
    for (uint32_t i = 0; i < kTokens; ++i) {
      (*writer)->token(i, false, kIds);
      (*writer)->link({EventLink::kHostToDevice, {1, 3}, 4096, now_ns(), 500});
    }
    (*writer)->finish();
    CHECK((*writer)->tokens() + (*writer)->lost_tokens() == kTokens);
    const auto trace = RoutingTrace::load(scratch.path.string());
    REQUIRE_MESSAGE(trace.ok(), trace.status().message());
    CHECK(trace->tokens() == (*writer)->tokens());
    CHECK(trace->tokens() > 1000);
    CHECK(trace->tokens() < kTokens);
  }
  CHECK(lines().size() == 1);
  CHECK(lines()[0].find("the trace ends after") != std::string::npos);
#endif
}
