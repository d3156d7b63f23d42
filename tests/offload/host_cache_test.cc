// The bounded RAM tier: what it holds, reads, forgets, and what it does when the disk does not play along.
#include "offload/host_cache.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>

#include "platform/log.h"
#include "tests/offload/disk_rig.h"
#include "tests/test_support.h"

using namespace hotset;
using test::DiskRig;

namespace {

// Six experts in each of two layers of one size.
ExpertTable small_table() { return test::make_table(6, {9000, 9000}); }

HostTierOptions room_for(const DiskRig& rig, uint64_t slots) {
  HostTierOptions options;
  options.budget_bytes = slots * rig.slot_bytes();
  return options;
}

}  // namespace

TEST_CASE("host cache: what does not fit the budget is read again, and the least recent goes") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  CHECK_FALSE(rig.tier->holds_all());
  CHECK(rig.tier->max_batch() == 4);
  CHECK(rig.tier->size_bytes() == 4 * rig.slot_bytes());
  for (uint16_t i = 0; i < 4; ++i) rig.use({{0, i}});
  rig.use({{0, 0}});
  rig.use({{1, 5}});
  CHECK(rig.tier->resident({0, 0}));
  CHECK(rig.tier->resident({1, 5}));
  CHECK_FALSE(rig.tier->resident({0, 1}));
  CHECK_FALSE(rig.tier->resident({7, 0}));
  const HostTierStats stats = rig.tier->stats();
  CHECK(stats.demand_hits == 1);
  CHECK(stats.demand_misses == 5);
  CHECK(stats.evictions == 1);
  CHECK(stats.residents == 4);
  CHECK(stats.slots == 4);
  CHECK(stats.reads == 5 * 3);
  CHECK(stats.read_bytes == 5 * 9600);
  CHECK(stats.disk_bytes >= stats.read_bytes);
  CHECK(stats.disk_bytes <= 5 * rig.slot_bytes());
}

TEST_CASE("host cache: residents are handed out first, then arrivals in any order, all reads begun before") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 6)).ok());
  rig.use({{0, 3}});
  rig.script.stuck = true;
  rig.script.shuffled = true;
  rig.script.submitted.clear();
  std::vector<size_t> order;
  const std::vector<ExpertId> ids = {{0, 0}, {1, 1}, {0, 3}, {1, 2}};
  const Status status = rig.tier->acquire(ids, [&](size_t index) {
    if (order.empty()) CHECK(rig.script.submitted.size() == 8);  // nine reads, a queue of eight
    order.push_back(index);
    return ok_status();
  });
  REQUIRE(status.ok());
  CHECK(order.size() == 4);
  CHECK(order[0] == 2);
  CHECK(rig.script.most_under_way == 8);
  CHECK(rig.tier->acquire(std::vector<ExpertId>{{0, 4}, {0, 5}, {1, 5}}, {}).code() == Code::kOverBudget);
  rig.tier->release(ids);
  rig.check();
}

TEST_CASE("host cache: whoever leaves is named, however it left") {
  // Once, only experts that made room in one of several ways were named, and an address of bytes long gone was used.
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 3)).ok());
  std::vector<ExpertId> gone;
  rig.tier->set_evict_listener([&](ExpertId id) { gone.push_back(id); });
  for (uint16_t i = 0; i < 3; ++i) rig.use({{0, i}});
  CHECK(gone.empty());
  rig.use({{1, 0}});  // the policy's choice
  CHECK(gone == std::vector<ExpertId>{{0, 0}});
  rig.tier->demote({0, 2});
  rig.use({{1, 1}});
  CHECK(gone.back() == ExpertId{0, 2});
  CHECK(rig.tier->hint(std::vector<ExpertId>{{1, 2}}) == 1);
  CHECK(gone.back() == ExpertId{1, 0});  // layer 0 keeps its last
  REQUIRE(rig.tier->set_budget(rig.slot_bytes()).ok());
  CHECK(gone.size() == 5);
  CHECK(rig.tier->stats().evictions == 5);
}

TEST_CASE("host cache: pinned experts stay, whatever is asked for") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 3)).ok());
  const std::vector<ExpertId> kept = {{0, 0}, {0, 1}};
  REQUIRE(rig.acquire(kept).ok());
  for (uint16_t i = 0; i < 6; ++i) rig.use({{1, i}});
  for (const ExpertId id : kept) CHECK(test::parts_are_right(rig.table, id, rig.tier->parts(id)));
  const std::vector<ExpertId> again = {{0, 0}};
  REQUIRE(rig.acquire(again).ok());
  rig.tier->release(kept);
  for (uint16_t i = 0; i < 6; ++i) rig.use({{1, i}});
  CHECK(rig.tier->resident({0, 0}));
  CHECK(rig.tier->set_budget(1 << 20).code() == Code::kInvalidArgument);
  rig.tier->release(again);
}

TEST_CASE("host cache: the least budget works, a byte less says so") {
  // Two classes of size, so each needs room for the experts of a token.
  DiskRig rig(test::make_table(6, {9000, 20000}));
  const uint64_t least = 2 * (rig.slot_bytes(0) + rig.slot_bytes(1));
  CHECK(least <= least_host_bytes(rig.table, 2));
  HostTierOptions options;
  options.top_k = 2;
  options.budget_bytes = least - 1;
  const Status status = rig.open(options);
  CHECK(status.code() == Code::kOverBudget);
  CHECK(status.message().find(std::to_string(least) + " bytes") != std::string::npos);
  options.budget_bytes = least;
  REQUIRE(rig.open(options).ok());
  CHECK(rig.tier->max_batch() == 2);
  for (uint16_t i = 0; i < 5; ++i) rig.use({{1, i}, {1, static_cast<uint16_t>(i + 1)}});
  for (uint16_t i = 0; i < 5; ++i) rig.use({{0, i}, {1, i}});
  CHECK(rig.tier->size_bytes() == least);
  options.top_k = 7;
  CHECK(rig.open(options).code() == Code::kInvalidArgument);
  options.top_k = 2;
  options.policy = "nonsense";
  CHECK(rig.open(options).code() == Code::kInvalidArgument);
}

TEST_CASE("host cache: wrong requests are refused and change nothing") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  rig.use({{0, 0}});
  CHECK(rig.acquire({{2, 0}}).code() == Code::kInvalidArgument);
  CHECK(rig.acquire({{0, 6}}).code() == Code::kInvalidArgument);
  CHECK(rig.acquire({{0, 0}, {0, 0}}).code() == Code::kInvalidArgument);
  CHECK(rig.acquire({{0, 1}, {0, 2}, {0, 1}}).code() == Code::kInvalidArgument);
  CHECK(rig.acquire({}).ok());
  CHECK(rig.tier->hint(std::vector<ExpertId>{{9, 9}, {0, 0}}) == 0);
  rig.tier->touch({9, 9});
  rig.tier->demote({9, 9});
  rig.use({{0, 1}, {0, 2}, {1, 1}, {1, 2}});
}

TEST_CASE("host cache: hints are read ahead, joined by demand, and counted") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 6), 4).ok());
  const std::vector<ExpertId> guess = {{0, 0}, {0, 1}, {0, 2}, {0, 3}};
  CHECK(rig.tier->hint(guess) == 3);  // half of the slots at most
  for (int i = 0; i < 20; ++i) rig.tier->poll();
  CHECK(rig.tier->hint(guess) == 1);
  for (int i = 0; i < 20; ++i) rig.tier->poll();
  for (const ExpertId id : guess) CHECK(rig.tier->resident(id));
  CHECK(rig.script.waits == 0);
  rig.use({{0, 0}, {0, 1}});
  CHECK(rig.tier->stats().hint_useful == 2);
  rig.script.stuck = true;
  CHECK(rig.tier->hint(std::vector<ExpertId>{{1, 0}}) == 1);
  CHECK_FALSE(rig.tier->resident({1, 0}));
  rig.use({{1, 0}});
  CHECK(rig.tier->stats().hint_late == 1);
  rig.script.stuck = false;
  rig.use({{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}});
  const HostTierStats stats = rig.tier->stats();
  CHECK(stats.hinted == 5);
  CHECK(stats.hint_useful == 2);
  CHECK(stats.hint_late == 1);
  CHECK(stats.hint_wasted == 2);
}

TEST_CASE("host cache: demand goes before hints, and those not begun can be cancelled") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 8), 4).ok());  // one read at a time for hints
  rig.script.stuck = true;
  CHECK(rig.tier->hint(std::vector<ExpertId>{{0, 0}, {0, 1}, {0, 2}}) == 3);
  CHECK(rig.script.submitted.size() == 1);
  rig.script.submitted.clear();
  REQUIRE(rig.acquire({{1, 4}}).ok());
  for (size_t i = 0; i < 3; ++i) {
    const uint64_t first = rig.table.piece({1, 4}, static_cast<uint32_t>(i)).file.offset_bytes;
    CHECK(rig.script.submitted[i].offset_bytes <= first);
    CHECK(rig.script.submitted[i].offset_bytes + 4096 > first);
  }
  rig.tier->cancel_hints();
  rig.check();
  rig.script.stuck = false;
  for (int i = 0; i < 20; ++i) rig.tier->poll();
  CHECK(rig.tier->resident({0, 0}));
  CHECK_FALSE(rig.tier->resident({0, 2}));
  CHECK(rig.tier->stats().hint_wasted >= 1);
  rig.tier->release(std::vector<ExpertId>{{1, 4}});
  rig.check();
}

TEST_CASE("host cache: a demand takes the room of hints when there is no other") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 3), 4).ok());
  rig.script.stuck = true;
  CHECK(rig.tier->hint(std::vector<ExpertId>{{0, 0}}) == 1);
  rig.use({{1, 0}, {1, 1}, {1, 2}});
  for (uint16_t i = 0; i < 3; ++i) CHECK(rig.tier->resident({1, i}));
}

TEST_CASE("host cache: a demoted expert goes first, unless it is used again") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  for (uint16_t i = 0; i < 4; ++i) rig.use({{0, i}});
  rig.tier->demote({0, 3});
  rig.tier->demote({0, 2});
  rig.tier->touch({0, 3});
  rig.check();
  rig.use({{1, 0}});
  CHECK_FALSE(rig.tier->resident({0, 2}));
  CHECK(rig.tier->resident({0, 3}));
  // Demoted while pinned: when it is let go.
  REQUIRE(rig.acquire({{0, 3}}).ok());
  rig.tier->demote({0, 3});
  rig.check();
  rig.use({{1, 1}});
  CHECK(rig.tier->resident({0, 3}));
  rig.tier->release(std::vector<ExpertId>{{0, 3}});
  rig.use({{1, 2}});
  CHECK_FALSE(rig.tier->resident({0, 3}));
}

TEST_CASE("host cache: a budget that shrinks evicts the least worthy, one that grows takes more in") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 6)).ok());
  for (uint16_t i = 0; i < 6; ++i) rig.use({{0, i}});
  rig.use({{0, 0}});
  rig.tier->demote({0, 5});
  CHECK(rig.tier->hint(std::vector<ExpertId>{{1, 0}}) == 1);
  REQUIRE(rig.tier->set_budget(3 * rig.slot_bytes() + 100).ok());
  rig.check();
  CHECK(rig.tier->size_bytes() == 3 * rig.slot_bytes());
  CHECK(rig.tier->max_batch() == 3);
  CHECK(rig.tier->stats().residents == 3);
  CHECK(rig.tier->resident({0, 0}));
  CHECK_FALSE(rig.tier->resident({0, 5}));
  CHECK(test::parts_are_right(rig.table, {0, 0}, rig.tier->parts({0, 0})));
  const Status status = rig.tier->set_budget(100);
  CHECK(status.code() == Code::kOverBudget);
  CHECK(status.message().find(std::to_string(rig.slot_bytes()) + " bytes") != std::string::npos);
  CHECK(rig.tier->size_bytes() == 3 * rig.slot_bytes());
  REQUIRE(rig.tier->set_budget(uint64_t{1} << 40).ok());
  CHECK(rig.tier->size_bytes() == 12 * rig.slot_bytes());
  for (uint16_t i = 0; i < 6; ++i) rig.use({{0, i}, {1, i}});
  CHECK(rig.tier->stats().residents == 12);
  CHECK(rig.tier->resident({0, 0}));
}

TEST_CASE("host cache: a read that fails is an error with file and place, leaves nothing, and may work later") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  rig.use({{0, 0}});
  const ByteRange bad = rig.table.piece({0, 2}, 1).file;
  rig.script.error_of = [&](const IoRead& read) {
    return read.offset_bytes <= bad.offset_bytes && bad.offset_bytes < read.offset_bytes + read.out.size() && read.out.size() < 8192 ? EIO : 0;
  };
  const Status status = rig.acquire({{0, 0}, {0, 2}, {1, 1}});
  CHECK(status.code() == Code::kIo);
  CHECK(status.message().find("'" + rig.file->path() + "' at byte ") != std::string::npos);
  CHECK(status.message().find("Input/output error") != std::string::npos);
  CHECK_FALSE(rig.tier->resident({0, 2}));
  CHECK(rig.tier->resident({0, 0}));
  rig.script.error_of = {};
  rig.use({{0, 0}, {0, 2}, {1, 1}, {1, 2}});  // four slots: no pin was left
  CHECK(rig.tier->stats().read_errors >= 1);
}

TEST_CASE("host cache: a hint that fails is advice that failed") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view line) { lines.emplace_back(line); }, LogLevel::kWarn);
  rig.script.failed_share = 1;
  CHECK(rig.tier->hint(std::vector<ExpertId>{{0, 0}, {0, 1}}) == 2);
  for (int i = 0; i < 10; ++i) rig.tier->poll();
  rig.check();
  set_log_sink({}, LogLevel::kError);
  CHECK(lines.size() == 1);
  CHECK(rig.tier->stats().hint_wasted == 2);
  CHECK_FALSE(rig.tier->resident({0, 0}));
  rig.script.failed_share = 0;
  rig.use({{0, 0}, {0, 1}});
}

TEST_CASE("host cache: an error of the one who receives ends the acquire without a pin") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  const std::vector<ExpertId> ids = {{0, 0}, {0, 1}, {0, 2}};
  int calls = 0;
  const Status status = rig.tier->acquire(ids, [&](size_t) { return ++calls == 2 ? error(Code::kDevice, "made to fail") : ok_status(); });
  CHECK(status.code() == Code::kDevice);
  CHECK(calls == 2);
  rig.check();
  rig.use({{1, 0}, {1, 1}, {1, 2}, {1, 3}});
}

TEST_CASE("host cache: reads that end early go on, those that direct I/O refuses go through the page cache") {
  DiskRig rig(small_table());
  rig.script.short_share = 0.7;
  rig.script.shuffled = true;
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  for (int round = 0; round < 10; ++round) {
    for (uint16_t i = 0; i < 6; ++i) rig.use({{0, i}, {1, i}});
  }
  rig.script.refuses_direct = true;
  for (uint16_t i = 0; i < 6; ++i) rig.use({{0, i}, {1, i}});
  rig.script.submitted.clear();
  for (uint16_t i = 0; i < 6; ++i) rig.use({{0, i}, {1, i}});
  for (const IoRead& read : rig.script.submitted) CHECK_FALSE(read.direct);  // it asks only once
}

TEST_CASE("host cache: a file that was cut is an error, never wrong bytes") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  const ByteRange last = rig.table.piece({1, 5}, 2).file;
  std::filesystem::resize_file(rig.file->path(), last.offset_bytes + 1000);
  const Status status = rig.acquire({{1, 5}});
  CHECK(status.code() == Code::kIo);
  CHECK(status.message().find("ended at byte") != std::string::npos);
  rig.use({{1, 4}});
}

TEST_CASE("host cache: the real queues, past the page cache and through it") {
  DiskRig rig(test::make_table(9, {9000, 31000, 9000}));
  for (const IoQueueKind kind : {IoQueueKind::kUring, IoQueueKind::kThreads}) {
    for (const bool direct_io : {true, false}) {
      HostTierOptions options;
      options.budget_bytes = 6 * (rig.slot_bytes(0) + rig.slot_bytes(1));  // not all, even where reads are aligned to 4 KiB
      options.queue = kind;
      options.direct_io = direct_io;
      options.queue_depth = 5;
      auto made = HostTier::create(rig.table, *rig.source, options);
      if (!made.ok() && kind == IoQueueKind::kUring) continue;  // refused here
      REQUIRE(made.ok());
      rig.tier = std::move(made).value();
      for (uint16_t i = 0; i < 9; ++i) {
        rig.tier->hint(std::vector<ExpertId>{{1, i}, {2, i}});
        rig.use({{0, i}, {1, i}});
        rig.use({{2, i}, {2, static_cast<uint16_t>((i + 5) % 9)}});
      }
      CHECK(rig.tier->stats().read_bytes > 0);
      CHECK(rig.tier->stats().busy_ns > 0);
      CHECK(rig.tier->size_bytes() <= options.budget_bytes);
    }
  }
}

TEST_CASE("host tier: a budget for everything makes a whole tier, which speaks the same language") {
  DiskRig rig(small_table());
  HostTierOptions options;
  options.budget_bytes = rig.table.total_bytes();
  rig.tier = HostTier::create(rig.table, *rig.source, options).value();
  CHECK(rig.tier->holds_all());
  CHECK_FALSE(rig.tier->resident({0, 0}));
  CHECK(rig.acquire({{0, 0}}).code() == Code::kInvalidArgument);
  REQUIRE(rig.tier->load(test::read_made_up, {}).ok());
  rig.use({{0, 0}, {1, 5}});
  CHECK(rig.tier->parts({1, 5}).size() == 1);
  CHECK(rig.tier->parts({1, 5})[0].bytes.data() == rig.tier->bytes({1, 5}).data());
  CHECK(rig.tier->hint(std::vector<ExpertId>{{0, 1}}) == 0);
  CHECK(rig.tier->max_batch() == 12);
  CHECK(rig.tier->set_budget(rig.table.total_bytes()).ok());
  CHECK(rig.tier->set_budget(100).code() == Code::kUnsupported);
  rig.tier->release_layer(1);
  CHECK_FALSE(rig.tier->resident({1, 5}));
  CHECK(rig.tier->stats().residents == 6);
}

TEST_CASE("host cache: a scan leaves what decode has warmed, and its newcomers take each other's places") {
  // Once, a prefill counted as uses of a bounded tier, and the next token found none of its experts in RAM.
  DiskRig rig(test::make_table(12, {9000, 9000}));
  REQUIRE(rig.open(room_for(rig, 8)).ok());
  const auto scan = [&](const std::vector<ExpertId>& ids) {
    REQUIRE(rig.tier->acquire(ids, [](size_t) { return ok_status(); }, Heat::kCold).ok());
    rig.tier->release(ids);
    rig.check();
  };
  const std::vector<ExpertId> warm = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}};
  for (const ExpertId id : warm) rig.use({id});
  // Two slots are free; everything else a scan wants goes through them.
  for (uint16_t i = 4; i < 12; i += 2) scan({{0, i}, {0, static_cast<uint16_t>(i + 1)}});
  for (uint16_t i = 4; i < 12; i += 2) scan({{1, i}, {1, static_cast<uint16_t>(i + 1)}});
  for (const ExpertId id : warm) CHECK(rig.tier->resident(id));
  CHECK(rig.tier->resident({1, 10}));
  CHECK(rig.tier->resident({1, 11}));
  // A scan of residents is no use of them: the least recent is still the first to go, but for what the scan left.
  scan({{0, 0}, {0, 1}});
  rig.use({{0, 4}});
  CHECK_FALSE(rig.tier->resident({1, 10}));
  rig.use({{0, 5}});
  CHECK_FALSE(rig.tier->resident({1, 11}));
  rig.use({{0, 6}});
  CHECK_FALSE(rig.tier->resident({0, 0}));
  CHECK(rig.tier->resident({0, 1}));
  // What decode uses of a scan's leavings stays.
  scan({{1, 7}});
  CHECK(rig.tier->resident({1, 7}));
  rig.use({{1, 7}});
  scan({{1, 8}});
  CHECK(rig.tier->resident({1, 7}));
}

TEST_CASE("host cache: what a hint brought is told of when it is there, and a use in place makes it useful") {
  DiskRig rig(small_table());
  REQUIRE(rig.open(room_for(rig, 4)).ok());
  std::vector<ExpertId> come;
  rig.tier->set_arrival_listener([&](ExpertId id) {
    CHECK(rig.tier->resident(id));
    CHECK(test::parts_are_right(rig.table, id, rig.tier->parts(id)));
    come.push_back(id);
  });
  rig.script.stuck = true;
  CHECK(rig.tier->hint(std::vector<ExpertId>{{0, 3}, {0, 4}}) == 2);
  rig.tier->poll();
  CHECK(come.empty());
  rig.script.stuck = false;
  for (int i = 0; i < 8; ++i) rig.tier->poll();  // hints have a part of the queue only
  CHECK(come == std::vector<ExpertId>{{0, 3}, {0, 4}});
  rig.use({{0, 5}});
  CHECK(come.back() == ExpertId{0, 5});
  rig.tier->touch({0, 3});
  CHECK(rig.tier->stats().hint_useful == 1);
  CHECK(rig.tier->stats().demand_hits == 1);
  rig.check();
}
