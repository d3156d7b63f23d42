// hotset_disk_bench FILE: how fast random blocks of the size of an expert come from disk through an IoQueue.
// tests/compare/disk runs it beside fio.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "platform/host_memory.h"
#include "platform/io_queue.h"

using namespace hotset;

namespace {

constexpr uint64_t kLeastMemoryBytes = 64u << 20;  // so that it lies on huge pages, as that of a tier does

struct Flags {
  std::string path;
  std::string block = "1M";
  uint32_t depth = 16;
  double seconds = 5;
  std::string queue = "auto";
  bool buffered = false;
};

class Bench {
 public:
  static Result<Bench> open(const Flags& flags);
  // Bytes per second.
  Result<double> run(double seconds);
  const char* queue_name() const { return queue_->name(); }
  bool direct() const { return direct_; }

 private:
  void submit(uint64_t slot);

  std::unique_ptr<File> file_;
  std::unique_ptr<HostArena> memory_;  // [depth] blocks
  std::unique_ptr<IoQueue> queue_;
  uint64_t block_bytes_ = 0;
  bool direct_ = false;
  std::mt19937_64 random_{std::random_device{}()};
};

IoQueueKind kind_of(const std::string& name) {
  if (name == "io_uring") return IoQueueKind::kUring;
  return name == "threads" ? IoQueueKind::kThreads : IoQueueKind::kAuto;
}

Result<Bench> Bench::open(const Flags& flags) {
  Bench bench;
  HOTSET_ASSIGN(const auto plain, File::open(flags.path));
  HOTSET_ASSIGN(bench.file_, plain->reopen_direct());
  HOTSET_ASSIGN(const ByteSize block, parse_byte_size(flags.block));
  bench.direct_ = bench.file_->direct() && !flags.buffered;
  bench.block_bytes_ = align_up(std::max<uint64_t>(block.bytes, 1), bench.file_->direct_alignment_bytes());
  if (bench.file_->size_bytes() < 2 * bench.block_bytes_) return error(Code::kInvalidArgument, "the file is smaller than two blocks");
  HOTSET_ASSIGN(bench.memory_, HostArena::create(std::max(kLeastMemoryBytes, flags.depth * bench.block_bytes_)));
  HOTSET_ASSIGN(bench.queue_, IoQueue::create({flags.depth, kind_of(flags.queue)}));
  return bench;
}

void Bench::submit(uint64_t slot) {
  const uint64_t blocks = file_->size_bytes() / block_bytes_;
  const uint64_t offset_bytes = random_() % blocks * block_bytes_;
  queue_->submit({file_.get(), direct_, offset_bytes, memory_->bytes().subspan(slot * block_bytes_, block_bytes_), slot});
}

Result<double> Bench::run(double seconds) {
  const uint64_t start_ns = now_ns();
  uint64_t bytes = 0;
  for (uint64_t slot = 0; slot < queue_->depth(); ++slot) submit(slot);
  std::vector<IoDone> done(queue_->depth());
  while (queue_->under_way() > 0) {
    HOTSET_ASSIGN(const uint32_t count, queue_->wait(done));
    const bool more = seconds_between(start_ns, now_ns()) < seconds;
    for (uint32_t i = 0; i < count; ++i) {
      if (done[i].error != 0) return read_error(*file_, 0, done[i].error);
      bytes += done[i].size_bytes;
      if (more) submit(done[i].tag);
    }
  }
  return static_cast<double>(bytes) / seconds_between(start_ns, now_ns());
}

int fail(const Status& status) {
  std::fprintf(stderr, "hotset_disk_bench: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Reads random blocks of a file through Hotset's queue and prints MB/s.", "hotset_disk_bench");
  app.add_option("FILE", flags.path)->required();
  app.add_option("--block", flags.block, "Bytes of a read")->capture_default_str();
  app.add_option("--depth", flags.depth, "Reads under way at once")->capture_default_str();
  app.add_option("--seconds", flags.seconds, "How long")->capture_default_str();
  app.add_option("--queue", flags.queue)->capture_default_str()->check(CLI::IsMember({"auto", "io_uring", "threads"}));
  app.add_flag("--buffered", flags.buffered, "Through the page cache instead of direct I/O");
  CLI11_PARSE(app, argc, argv);
  auto bench = Bench::open(flags);
  if (!bench.ok()) return fail(bench.status());
  const auto rate = bench->run(flags.seconds);
  if (!rate.ok()) return fail(rate.status());
  std::printf("%.1f MB/s %s %s\n", *rate * 1e-6, bench->queue_name(), bench->direct() ? "direct" : "buffered");
  return 0;
}
