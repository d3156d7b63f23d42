// Whole sessions while files and memory fail: a clear error or a slower way, never another token, and the retry is as if nothing had been.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>

#include "offload/routing_trace.h"
#include "tests/engine/fault_rig.h"
#include "tests/process_limits.h"

using namespace hotset;
using namespace hotset::test;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kRamBytes = 2u << 20;  // a third of the experts

// Bytes of private memory that the system counts for this process, as RLIMIT_DATA has it.
uint64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmData:")) return std::strtoull(line.c_str() + 7, nullptr, 10) * 1024;
  }
  return 0;
}

struct DiskRig {
  FaultModel model;
  ReadFaults faults;
  Seams seams;
  EngineOptions options = model.options("cpu");

  DiskRig() {
    options.ram = ByteSize{kRamBytes, 0, false};
    seams.queue = [this](std::unique_ptr<IoQueue> queue) { return std::make_unique<FaultyQueue>(std::move(queue), faults); };
  }
  Told reference() const { return tell(model.options("cpu")); }
};

}  // namespace

TEST_CASE("faults: reads that are short, slow or refused past the page cache change no token") {
  DiskRig rig;
  const Told reference = rig.reference();
  rig.options.seams = &rig.seams;
  for (const char* fault : {"none", "short", "slow", "no direct I/O"}) {
    CAPTURE(fault);
    rig.faults = {};
    rig.faults.short_reads = fault == std::string_view("short");
    rig.faults.slow = fault == std::string_view("slow");
    if (fault == std::string_view("no direct I/O")) rig.faults.fail_in = 1;
    rig.faults.error = EINVAL;
    CHECK(tell(rig.options).logits == reference.logits);
    CHECK(rig.faults.reads > 48);
    CHECK(rig.faults.fail_in == 0);
  }
}

TEST_CASE("faults: one failed read costs at most one token's try, whichever read it is") {
  DiskRig rig;
  const Told reference = rig.reference();
  rig.options.seams = &rig.seams;
  for (const PrefetchChoice prefetch : {PrefetchChoice::kOff, PrefetchChoice::kRouter}) {
    rig.options.prefetch = prefetch;
    const auto engine = open_engine(rig.options);
    const auto session = open_session(*engine);
    size_t failures = 0;
    for (int read = 1; read < 400; read += 1 + read / 4) {
      CAPTURE(read);
      rig.faults = {.fail_in = read};
      const Told told = tell(*session, 1);
      CHECK(told.logits == reference.logits);
      failures += told.failures.size();
      for (const std::string& failure : told.failures) CHECK(failure.find("cannot read '" + rig.model.model() + "'") != std::string::npos);
    }
    CHECK(failures > 0);
  }
}

TEST_CASE("faults: a disk that is gone fails every token, and none once it is back") {
  DiskRig rig;
  const Told reference = rig.reference();
  rig.options.seams = &rig.seams;
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  rig.faults = {.fail_in = 1, .times = 1 << 30};
  const std::vector<TokenId> prompt = {7, 68, 129};
  for (int i = 0; i < 5; ++i) {
    check_clean(session->feed(prompt), *session, 0);
    check_clean(session->feed({prompt.data(), 1}), *session, 0);
  }
  rig.faults = {};
  CHECK(tell(*session).logits == reference.logits);
  rig.faults = {.fail_in = 150, .times = 60};
  CHECK(tell(*session, 60).logits == reference.logits);
}

TEST_CASE("faults: a model that is cut off while it is in use is an error, not a wrong token") {
  DiskRig rig;
  const Told reference = rig.reference();
  const auto content = read_whole_file(rig.model.model(), 64u << 20);
  REQUIRE(content.ok());
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  CHECK(tell(*session).logits == reference.logits);
  fs::resize_file(rig.model.model(), content->size() / 2);
  REQUIRE(engine->set_ram_budget(kRamBytes / 2).ok());
  REQUIRE(engine->set_ram_budget(kRamBytes).ok());
  session->rewind(0);
  Status fed;
  for (TokenId token = 0; fed.ok() && token < 60; ++token) fed = session->feed({&token, 1});
  CHECK(fed.code() == Code::kIo);
  CHECK_MESSAGE(fed.message().find("cut") != std::string::npos, fed.message());
  std::ofstream(rig.model.model(), std::ios::binary | std::ios::in).write(content->data(), static_cast<std::streamsize>(content->size()));
  CHECK(tell(*session).logits == reference.logits);
}

TEST_CASE("faults: a read that fails while a model is opened names the file, whichever read it is") {
  const FaultModel model;
  EngineOptions options = model.options("cpu");
  const Told reference = tell(options);
  Seams seams;
  std::atomic<int> left{0};  // the tier's threads read too
  seams.read = [&](uint64_t, uint64_t) { return --left == 0 ? EIO : 0; };
  options.seams = &seams;
  bool opened = false;
  for (int read = 1; !opened; read += 1 + read / 4) {
    CAPTURE(read);
    REQUIRE(read < 100'000);
    left = read;
    const auto engine = Engine::open(options);
    opened = engine.ok();
    if (opened) {
      CHECK(tell(*open_session(**engine)).logits == reference.logits);
      break;
    }
    CHECK(engine.status().code() == Code::kIo);
    CHECK_MESSAGE(engine.status().message().find("cannot read '" + model.model() + "'") != std::string::npos, engine.status().message());
  }
}

TEST_CASE("faults: memory that the system refuses is an error or a slower way, whichever piece it is") {
  if (sanitized()) HOTSET_SKIP("sanitizers take memory of their own");
  DiskRig rig;
  const Told reference = rig.reference();
  for (const bool bounded : {false, true}) {
    EngineOptions options = rig.options;
    if (!bounded) options.ram.reset();
    bool told_all = false;
    size_t refused = 0;
    for (uint64_t room_bytes = 0; !told_all; room_bytes += (128u << 10) + room_bytes / 16) {
      CAPTURE(room_bytes);
      REQUIRE(room_bytes < (1u << 30));
      Status failed;
      std::vector<float> logits(reference.logits.size());
      size_t count = 0;
      {
        const Limit limit(RLIMIT_DATA, data_bytes() + room_bytes);
        const auto engine = Engine::open(options);
        auto session = engine.ok() ? (*engine)->create_session() : Result<std::unique_ptr<Session>>(engine.status());
        failed = session.status();
        for (int i = 0; failed.ok() && i < 28; i += i == 0 ? 20 : 1) {
          std::array<TokenId, 20> tokens;
          for (int t = 0; t < 20; ++t) tokens[static_cast<size_t>(t)] = ((i + t) * 61 + 7) % 320;
          failed = (*session)->feed(std::span(tokens).first(i == 0 ? 20 : 1));
          if (!failed.ok()) break;
          std::copy((*session)->logits().begin(), (*session)->logits().end(), logits.begin() + static_cast<std::ptrdiff_t>(count));
          count += (*session)->logits().size();
        }
      }
      if (!failed.ok()) CHECK_MESSAGE(failed.code() == Code::kOutOfMemory, failed.message());
      refused += failed.ok() ? 0 : 1;
      CHECK(std::equal(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(count), reference.logits.begin()));
      told_all = failed.ok();
    }
    CHECK(refused > 3);
  }
}

TEST_CASE("faults: RAM that cannot grow leaves the session as it was") {
  if (sanitized()) HOTSET_SKIP("sanitizers take memory of their own");
  DiskRig rig;
  const Told reference = rig.reference();
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  CHECK(tell(*session).logits == reference.logits);
  const uint64_t before_bytes = session->stats().ram_used_bytes;
  {
    const Limit limit(RLIMIT_DATA, data_bytes() + (64u << 10));
    static_cast<void>(engine->set_ram_budget(5u << 20));  // refused, or less than was asked for
  }
  CHECK(session->stats().ram_used_bytes < before_bytes + (1u << 20));
  CHECK(tell(*session).logits == reference.logits);
  REQUIRE(engine->set_ram_budget(5u << 20).ok());
  CHECK(session->stats().ram_used_bytes > before_bytes + (2u << 20));
  CHECK(tell(*session).logits == reference.logits);
}

TEST_CASE("faults: a full disk ends the trace with a whole line, keeps the old hot set, and stops no token") {
  DiskRig rig;
  const Told reference = rig.reference();
  EngineOptions options = rig.options;
  options.hot_set_path = rig.model.file("hot");
  CHECK(tell(options).logits == reference.logits);
  const auto old_hot_set = read_whole_file(options.hot_set_path, 1 << 20);
  REQUIRE(old_hot_set.ok());
  const LogLines log;
  const std::string trace = rig.model.file("trace");
  {
    const auto engine = open_engine(options);
    auto session = open_session(*engine);
    CHECK(session->trace_to("/dev/full", TraceContent::kRouting).code() == Code::kIo);
    REQUIRE(session->trace_to(trace, TraceContent::kRouting).ok());
    CHECK(tell(*session).logits == reference.logits);
    const FullDisk full(150);
    REQUIRE(session->trace_to("", TraceContent::kRouting).ok());
    session.reset();
  }
  CHECK(log.count("the trace ends after") == 1);
  CHECK(log.count("the hot set was not kept") == 1);
  CHECK(*read_whole_file(options.hot_set_path, 1 << 20) == *old_hot_set);
  CHECK(std::distance(fs::directory_iterator(rig.model.file("")), {}) == 3);  // no half files
  const auto read = RoutingTrace::load(trace);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(read->tokens() > 0);
  CHECK(read->tokens() < 28);
}
