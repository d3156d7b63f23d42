#include "runtime/engine/serving_file.h"

#include <doctest/doctest.h>

using namespace hotset;

namespace {

ServingOwner some_owner() { return {{"Some GPU (driver 1.2)", "10de-2684", 8}, {0x1234, 0x5678}, 5, 16, "policy auto"}; }

std::vector<TriedWay> some_ways(double scale) {
  return {{{MissMode::kWait, false, true}, 10, {1.5e6 * scale, 0.75 * scale}},
          {{MissMode::kCpu, false, true}, 20, {1e6 / 3 * scale, 0.5 * scale}},
          {{MissMode::kCpu, false, false}, 30, {0, 0}}};
}

}  // namespace

TEST_CASE("serving file: times come back as they were") {
  std::vector<TriedWay> read = some_ways(0);
  const Status status = read_serving_file(write_serving_file(some_ways(1), some_owner()), some_owner(), read);
  REQUIRE_MESSAGE(status.ok(), status.message());
  for (size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].time.token_ns == some_ways(1)[i].time.token_ns);
    CHECK(read[i].time.hit_rate == some_ways(1)[i].time.hit_rate);
  }
}

TEST_CASE("serving file: each owner has its own") {
  ServingOwner other = some_owner();
  const std::string path = serving_file_path("/cache", other);
  CHECK(path.starts_with("/cache/serving-10de-2684-"));
  other.vram_sixteenths = 6;
  CHECK(serving_file_path("/cache", other) != path);
}

TEST_CASE("serving file: broken and foreign ones are told from good ones") {
  const std::string good = write_serving_file(some_ways(1), some_owner());
  const auto with = [&](const char* from, const char* to) {
    std::string text = good;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, std::string_view(from).size(), to);
  };
  const auto of = [&](auto change) {
    ServingOwner owner = some_owner();
    change(owner);
    return write_serving_file(some_ways(1), owner);
  };
  struct Case {
    const char* what;
    std::string text;
    Code code;
  };
  const Case cases[] = {
      {"empty", "", Code::kInvalidArgument},
      {"bytes", std::string(1000, '\xff'), Code::kInvalidArgument},
      {"another version", with("hotset serving 1", "hotset serving 10"), Code::kInvalidArgument},
      {"another device", of([](ServingOwner& o) { o.machine.device = "Another"; }), Code::kInvalidArgument},
      {"another driver", of([](ServingOwner& o) { o.machine.cache_key = "x"; }), Code::kInvalidArgument},
      {"other threads", of([](ServingOwner& o) { o.machine.threads = 4; }), Code::kInvalidArgument},
      {"another model", of([](ServingOwner& o) { o.model.sample_hash = 1; }), Code::kInvalidArgument},
      {"another budget", of([](ServingOwner& o) { o.vram_sixteenths = 1; }), Code::kInvalidArgument},
      {"other settings", of([](ServingOwner& o) { o.settings = "policy lru"; }), Code::kInvalidArgument},
      {"cut in a line", good.substr(0, good.size() - 3), Code::kCorrupt},
      {"a way is missing", good.substr(0, good.rfind("\n", good.size() - 2) + 1), Code::kCorrupt},
      {"a way twice", good + "1 1 wait\n", Code::kCorrupt},
      {"an unknown way", with(" wait\n", " walk\n"), Code::kCorrupt},
      {"no number", with("1500000 ", "fast "), Code::kCorrupt},
      {"negative", with("1500000 ", "-1 "), Code::kCorrupt},
      {"not finite", with("1500000 ", "inf "), Code::kCorrupt},
      {"beyond all sense", with("1500000 ", "1e300 "), Code::kCorrupt},
      {"a rate above one", with(" 0.75 ", " 1.75 "), Code::kCorrupt},
      {"nothing behind it", good + "\n", Code::kCorrupt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    std::vector<TriedWay> ways = some_ways(0);
    CHECK(read_serving_file(c.text, some_owner(), ways).code() == c.code);
  }
}
