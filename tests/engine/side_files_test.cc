// Files beside a model that are cut, damaged, of another model or of a later version: one clear error, or they are passed over with one
// line in the log. What they hold is never half believed.
#include <doctest/doctest.h>

#include <fstream>

#include "offload/model_identity.h"
#include "offload/pack_file.h"
#include "offload/routing_trace.h"
#include "offload/trace_writer.h"
#include "runtime/engine/hot_set.h"
#include "runtime/engine/link_file.h"
#include "runtime/engine/machine_links.h"
#include "runtime/engine/pack_model.h"
#include "tests/engine/fault_rig.h"
#include "tests/offload/fake_bank.h"

using namespace hotset;
using namespace hotset::test;
namespace fs = std::filesystem;

namespace {

struct Damaged {
  std::string what;
  std::string content;
};

// Cut after every byte, and with every `step`-th bit turned, one at a time.
std::vector<Damaged> damages(const std::string& good, int step = 1) {
  std::vector<Damaged> all;
  for (size_t at = 0; at < good.size(); ++at) {
    all.push_back({"cut at " + std::to_string(at), good.substr(0, at)});
    for (int bit = static_cast<int>(at) % step; bit < 8; bit += step) {
      all.push_back({"bit " + std::to_string(bit) + " of byte " + std::to_string(at), good});
      all.back().content[at] = static_cast<char>(all.back().content[at] ^ (1 << bit));
    }
  }
  return all;
}

void check_one_line(const Status& status) {
  CAPTURE(status.message());
  CHECK((status.code() == Code::kCorrupt || status.code() == Code::kInvalidArgument || status.code() == Code::kUnsupported));
  CHECK(status.message().size() > 8);
  CHECK(status.message().size() < 400);
  // A byte of the file may be quoted, but not so that it breaks the line.
  CHECK(status.message().find('\n') == std::string::npos);
}

// What a reader makes of every damage: an error, or something that `sane` finds possible. Returns how many it refused.
template <class Read, class Sane>
size_t check_damages(const std::vector<Damaged>& all, Read read, Sane sane) {
  size_t refused = 0;
  for (const Damaged& damaged : all) {
    CAPTURE(damaged.what);
    const auto made = read(damaged.content);
    if (made.ok()) CHECK(sane(*made));
    else check_one_line(made.status());
    refused += made.ok() ? 0 : 1;
  }
  return refused;
}

LinkProbe some_probe() {
  LinkProbe probe;
  probe.rates.device_bytes_per_s = 1.25e11;
  probe.rates.copy_bytes_per_s = 2.4e10;
  probe.rates.ram_bytes_per_s = 5e10;
  probe.copy_path = CopyPath::kDirect;
  probe.copies[static_cast<size_t>(CopyPath::kDirect)] = {2.4e10, 12345.5};
  return probe;
}

bool is_rate(double value) { return value >= 0 && value <= 1e15; }

std::string content_of(const std::string& path) {
  auto content = read_whole_file(path, 64u << 20);
  REQUIRE_MESSAGE(content.ok(), content.status().message());
  return std::move(*content);
}

}  // namespace

TEST_CASE("side files: damaged hot sets") {
  const ExpertTable table = make_table(12, {100, 100, 900});
  const std::vector<ExpertId> experts = {{0, 3}, {2, 11}, {1, 0}, {2, 10}};
  const std::string good = write_hot_set(experts, table);
  REQUIRE(*parse_hot_set(good, table) == experts);
  const auto read = [&](const std::string& text) { return parse_hot_set(text, table); };
  const size_t refused = check_damages(damages(good), read, [&](const std::vector<ExpertId>& ids) {
    return ids.size() <= experts.size() && std::all_of(ids.begin(), ids.end(), [](ExpertId id) { return id.layer < 3 && id.expert < 12; });
  });
  CHECK(refused > good.size() * 7);
  for (const std::string& text : {std::string(), good + good, "HOTSET-EXPERTS 2" + good.substr(16), std::string(1000, '\0'), good + "0 1"}) {
    check_one_line(read(text).status());
  }
  CHECK(read(good + "0 1\n").ok());
}

TEST_CASE("side files: damaged files of measured links") {
  const LinkOwner owner = {"Some GPU", "10de-2684", 8};
  const std::string good = write_link_file(some_probe(), owner);
  REQUIRE(read_link_file(good, owner).ok());
  const auto read = [&](const std::string& text) { return read_link_file(text, owner); };
  const size_t refused = check_damages(damages(good), read, [](const LinkProbe& probe) {
    return is_rate(probe.rates.device_bytes_per_s) && is_rate(probe.rates.copy_bytes_per_s) && static_cast<size_t>(probe.copy_path) < kCopyPaths;
  });
  CHECK(refused > good.size());
}

TEST_CASE("side files: a folder in place of the file of measured links is passed over") {
  const auto device = Device::open({});
  if (!device.ok()) HOTSET_SKIP("no usable Vulkan device");
  const FaultModel folder;
  const LinkOwner owner = {(*device)->name(), (*device)->cache_key(), 2};
  fs::create_directories(link_file_path(folder.file(""), owner));
  DeviceMemory memory(**device, 64u << 20);
  LinkProbeOptions options;
  options.meter.host_bytes = 4 << 20;
  options.meter.device_bytes = 2 << 20;
  options.meter.staging_bytes = 1 << 20;
  options.meter.threads = 2;
  options.rounds_ns = 0;
  const LogLines log;
  CHECK(probe_links(memory, options, folder.file("")).ok());
  CHECK(log.count("the links will be measured again") == 1);
}

TEST_CASE("side files: damaged links files") {
  const FaultModel folder;
  const std::string path = folder.file("links.json");
  REQUIRE(write_links_file(path, {"card", some_probe().rates}).ok());
  const std::string good = content_of(path);
  const auto read = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(text.data(), static_cast<std::streamsize>(text.size()));
    return read_links_file(path);
  };
  REQUIRE(read(good).ok());
  const size_t refused = check_damages(damages(good, 5), read, [](const MachineLinks& links) {
    return is_rate(links.rates.device_bytes_per_s) && links.rates.device_bytes_per_s > 0 && is_rate(links.rates.disk_bytes_per_s);
  });
  CHECK(refused > good.size());
  check_one_line(read(std::string(100'000, ' ')).status());
  fs::remove(path);
  fs::create_directory(path);
  check_one_line(read_links_file(path).status());
}

TEST_CASE("side files: damaged traces") {
  const FaultModel folder;
  const std::string path = folder.file("trace");
  {
    const auto writer = TraceWriter::create(path, {"a\nmodel", 2, 12, 2});
    REQUIRE(writer.ok());
    (*writer)->token(0, true, std::vector<uint16_t>{1, 11, 0, 5});
    (*writer)->token(1, false, std::vector<uint16_t>{10, 2, 7, 3});
    (*writer)->next_sequence();
    (*writer)->token(0, false, std::vector<uint16_t>{4, 5, 9, 8});
  }
  const std::string good = content_of(path);
  const auto read = [](const std::string& text) { return RoutingTrace::parse(text); };
  REQUIRE(read(good)->tokens() == 3);
  const size_t refused = check_damages(damages(good), read, [](const RoutingTrace& trace) {
    bool sane = trace.layers() >= 1 && trace.layers() <= 2 && trace.tokens() >= 1 && trace.tokens() <= 6 && trace.experts() <= 65535;
    for (uint64_t token = 0; token < trace.tokens(); ++token) {
      for (uint32_t layer = 0; layer < trace.layers(); ++layer) {
        for (const uint16_t id : trace.ids(token, layer)) sane = sane && id < trace.experts();
      }
    }
    return sane;
  });
  CHECK(refused > good.size());
  check_one_line(read("# MOETRACE 2\n0\t0\td\t1\n").status());
  CHECK(RoutingTrace::load(folder.file("")).status().code() == Code::kInvalidArgument);
}

TEST_CASE("side files: damaged packs are refused when they are opened, or when the expert is read") {
  const FaultModel model;
  const std::string path = model.file("pack");
  REQUIRE(pack_model(model.model(), path, {}).ok());
  const std::string good = content_of(path);
  const auto write = [&](const std::string& bytes) { REQUIRE(write_whole_file(path, bytes).ok()); };
  const auto read = [&](size_t at, const std::string& bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    return check_pack(model.model(), path, {}).status();
  };
  REQUIRE(read(0, good.substr(0, 1)).ok());
  // Magic, version, layers, experts, sizes, hashes, a checksum, the header's checksum: each bit of each.
  const size_t header_bytes = 48 + 4 * 48 + 4;
  for (size_t at = 0; at < header_bytes; at += at < 48 ? 1 : 13) {
    if (at >= 20 && at < 24) continue;  // says nothing yet, and is under the header's checksum
    CAPTURE(at);
    check_one_line(read(at, std::string(1, static_cast<char>(good[at] ^ (1 << at % 8)))));
    REQUIRE(read(at, good.substr(at, 1)).ok());
  }
  for (const size_t size : {size_t{0}, size_t{1}, size_t{47}, size_t{48}, header_bytes - 1, size_t{4095}, size_t{4096}, good.size() / 2, good.size() - 1}) {
    CAPTURE(size);
    write(good.substr(0, size));
    check_one_line(check_pack(model.model(), path, {}).status());
  }
  write(good + "x");
  check_one_line(check_pack(model.model(), path, {}).status());
  write(good);
  for (size_t at = 4096; at < good.size(); at += good.size() / 7) {
    CAPTURE(at);
    const Status checked = read(at, std::string(1, static_cast<char>(good[at] ^ 4)));
    if (!checked.ok()) check_one_line(checked);  // else it lies between two records
    static_cast<void>(read(at, good.substr(at, 1)));
  }
}

// An engine with a pack once checked nothing that it read from it, and ran whatever the disk had made of an expert.
TEST_CASE("side files: an engine refuses a broken pack, and a damaged expert of a good one") {
  const FaultModel model;
  EngineOptions options = model.options("cpu");
  const Told reference = tell(options);
  options.ram = ByteSize{2u << 20, 0, false};
  options.pack_path = model.file("pack");
  REQUIRE(pack_model(model.model(), options.pack_path, {}).ok());
  const std::string good = content_of(options.pack_path);
  CHECK(tell(options).logits == reference.logits);

  std::string other = good;
  other[40] = static_cast<char>(other[40] + 1);
  for (const std::string& bad : {std::string(), good.substr(0, 4000), good.substr(0, good.size() - 4096), other, std::string(5000, 'x')}) {
    REQUIRE(write_whole_file(options.pack_path, bad).ok());
    const auto engine = Engine::open(options);
    check_one_line(engine.status());
    CHECK(engine.status().message().find(options.pack_path) != std::string::npos);
  }

  std::string damaged = good;
  for (size_t at = 8192; at < damaged.size(); at += 4096) damaged[at] = static_cast<char>(damaged[at] ^ 16);
  REQUIRE(write_whole_file(options.pack_path, damaged).ok());
  {
    const auto engine = open_engine(options);
    const auto session = open_session(*engine);
    const TokenId token = 7;
    const Status fed = session->feed({&token, 1});
    CHECK(fed.code() == Code::kCorrupt);
    CHECK_MESSAGE(fed.message().find("is damaged: expert") != std::string::npos, fed.message());
    CHECK(session->position() == 0);
    std::ofstream(options.pack_path, std::ios::binary | std::ios::in).write(good.data(), static_cast<std::streamsize>(good.size()));
    CHECK(tell(*session).logits == reference.logits);
  }

  fs::remove(options.pack_path);
  CHECK(Engine::open(options).status().code() == Code::kNotFound);
  fs::create_directory(options.pack_path);
  check_one_line(Engine::open(options).status());
}

TEST_CASE("side files: an engine passes over a hot set that it cannot use, with one line") {
  const FaultModel model;
  EngineOptions options = model.options("cpu");
  options.ram = ByteSize{2u << 20, 0, false};
  options.hot_set_path = model.file("hot");
  const Told reference = tell(options);
  const std::string good = content_of(options.hot_set_path);
  const std::string other_model = "HOTSET-EXPERTS 1 layers=4 experts=99\n0 98\n";
  for (const std::string& bad : {std::string(), good.substr(0, 20), other_model, std::string("HOTSET-EXPERTS 7\n"), std::string(300, '\xff'), std::string(65u << 20, 'x')}) {
    REQUIRE(write_whole_file(options.hot_set_path, bad).ok());
    const LogLines log;
    CHECK(tell(options).logits == reference.logits);
    CHECK(log.count("the hot set '") == 1);
  }
  fs::remove(options.hot_set_path);
  {
    const LogLines log;
    CHECK(tell(options).logits == reference.logits);
    CHECK(log.count("the hot set '") == 0);  // none yet
  }
  fs::remove(options.hot_set_path);
  fs::create_directory(options.hot_set_path);
  const LogLines log;
  CHECK(tell(options).logits == reference.logits);
  CHECK(log.count("the hot set '") == 1);
  CHECK(log.count("the hot set was not kept") == 1);
}
