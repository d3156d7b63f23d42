// A small model whose files and device fail when a test says so, and a session on it that is tried again after every failure.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <filesystem>
#include <thread>

#include "platform/log.h"
#include "platform/seams.h"
#include "tests/engine/model_rig.h"
#include "tests/tools/synthetic_model.h"

namespace hotset::test {

// What goes wrong with the reads of experts. A test and the queues that it stands in share it.
struct ReadFaults {
  int fail_in = 0;           // the n-th read from now is the first that fails; 0: none
  int times = 1;             // how many in a row do
  int error = EIO;
  bool short_reads = false;  // about half of what is asked for
  bool slow = false;         // a poll sees nothing, a wait takes its time
  uint64_t reads = 0;

  bool fails() {
    ++reads;
    if (fail_in == 0 || --fail_in > 0) return false;
    fail_in = --times > 0 ? 1 : 0;
    return true;
  }
};

class FaultyQueue final : public IoQueue {
 public:
  FaultyQueue(std::unique_ptr<IoQueue> inner, ReadFaults& faults) : inner_(std::move(inner)), faults_(faults) {}

  const char* name() const override { return "faulty"; }
  uint32_t depth() const override { return inner_->depth(); }
  uint32_t under_way() const override { return inner_->under_way() + static_cast<uint32_t>(failed_.size()); }
  void submit(const IoRead& read) override {
    if (faults_.fails()) return failed_.push_back({read.tag, 0, faults_.error});
    IoRead part = read;
    const uint64_t step = read.direct ? read.file->direct_alignment_bytes() : 1;
    const uint64_t half = read.out.size() / 2 / step * step;
    if (faults_.short_reads && half > 0) part.out = read.out.first(half);
    inner_->submit(part);
  }
  void flush() override { inner_->flush(); }
  uint32_t poll(std::span<IoDone> out) override {
    if (faults_.slow) return 0;
    return failed_.empty() ? inner_->poll(out) : take_failed(out);
  }
  Result<uint32_t> wait(std::span<IoDone> out) override {
    if (faults_.slow) std::this_thread::sleep_for(std::chrono::microseconds(500));
    return failed_.empty() ? inner_->wait(out) : Result<uint32_t>(take_failed(out));
  }

 private:
  uint32_t take_failed(std::span<IoDone> out) {
    uint32_t count = 0;
    for (; count < out.size() && !failed_.empty(); failed_.pop_front()) out[count++] = failed_.front();
    return count;
  }

  const std::unique_ptr<IoQueue> inner_;
  ReadFaults& faults_;
  std::deque<IoDone> failed_;
};

// Lines of the log while it lives.
class LogLines {
 public:
  LogLines() {
    set_log_sink([this](LogLevel, std::string_view line) { lines_.emplace_back(line); }, LogLevel::kInfo);
  }
  ~LogLines() { set_log_sink({}, LogLevel::kInfo); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  size_t count(std::string_view part) const {
    size_t found = 0;
    for (const std::string& line : lines_) found += line.find(part) != std::string::npos ? 1 : 0;
    return found;
  }

 private:
  std::vector<std::string> lines_;
};

// A folder with a model of four layers of twelve experts in it, two used; some 6 MB.
class FaultModel {
 public:
  FaultModel() : folder_(std::filesystem::temp_directory_path() / ("hotset_faults_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    ModelShape shape;
    shape.layers = 4;
    shape.experts = 12;
    const auto written = write_synthetic_model(shape, model(), 1);
    REQUIRE_MESSAGE(written.ok(), written.status().message());
  }
  ~FaultModel() {
    std::error_code ec;
    std::filesystem::remove_all(folder_, ec);
  }
  FaultModel(const FaultModel&) = delete;
  FaultModel& operator=(const FaultModel&) = delete;

  std::string file(const char* name) const { return (folder_ / name).string(); }
  std::string model() const { return file("model.gguf"); }
  EngineOptions options(const char* device) const {
    EngineOptions options;
    options.model_path = model();
    options.device = device;
    options.context_tokens = 64;
    options.batch_tokens = 8;
    options.threads = 2;
    return options;
  }

 private:
  const std::filesystem::path folder_;
};

struct Told {
  std::vector<float> logits;          // after the prompt and after each token
  std::vector<std::string> failures;  // of feeds, which were then tried again
};

// An error that a person can act on, and that left the session where it was.
inline void check_clean(const Status& failed, const Session& session, uint32_t position) {
  CAPTURE(failed.message());
  CHECK((failed.code() == Code::kIo || failed.code() == Code::kDevice || failed.code() == Code::kOutOfMemory));
  CHECK(failed.message().size() > 8);
  CHECK(failed.message().find('\n') == std::string::npos);
  CHECK(session.position() == position);
  CHECK(session.logits().empty());
}

// A prompt of two and a half chunks, then token by token. At most `most_failures` feeds may fail.
inline Told tell(Session& session, size_t most_failures = 0) {
  Told told;
  session.rewind(0);
  const auto feed = [&](std::span<const TokenId> tokens) {
    for (;;) {
      const uint32_t before = session.position();
      const Status fed = session.feed(tokens);
      if (fed.ok()) break;
      check_clean(fed, session, before);
      told.failures.push_back(fed.message());
      REQUIRE_MESSAGE(told.failures.size() <= most_failures, fed.message());
    }
    told.logits.insert(told.logits.end(), session.logits().begin(), session.logits().end());
  };
  std::vector<TokenId> tokens;
  for (int i = 0; i < 28; ++i) tokens.push_back((i * 61 + 7) % 320);
  feed(std::span(tokens).first(20));
  for (size_t i = 20; i < tokens.size(); ++i) feed(std::span(tokens).subspan(i, 1));
  return told;
}

inline Told tell(const EngineOptions& options) {
  const auto engine = open_engine(options);
  return tell(*open_session(*engine));
}

}  // namespace hotset::test
