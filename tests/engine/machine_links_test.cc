#include "runtime/engine/machine_links.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "platform/file.h"

using namespace hotset;

namespace {

// A path in the system's temporary folder, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const char* name) : path_((std::filesystem::temp_directory_path() / name).string()) {}
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }
  void write(const std::string& text) const { REQUIRE(write_whole_file(path_, text).ok()); }

 private:
  std::string path_;
};

LinkRates some_rates() {
  LinkRates rates;
  rates.device_bytes_per_s = 2.1e11;
  rates.in_place_bytes_per_s = 6e9;
  rates.copy_bytes_per_s = 2.3e10;
  rates.copy_ns = 21000;
  rates.cpu_bytes_per_s = 4.5e10;
  rates.ram_bytes_per_s = 6.25e10;
  rates.disk_bytes_per_s = 5.5e9;
  rates.disk_ns = 100000;
  rates.stop_ns = 70000;
  rates.unified = true;
  rates.copies_overlap = false;
  return rates;
}

bool same(const LinkRates& a, const LinkRates& b) {
  return a.device_bytes_per_s == b.device_bytes_per_s && a.in_place_bytes_per_s == b.in_place_bytes_per_s &&
         a.copy_bytes_per_s == b.copy_bytes_per_s && a.copy_ns == b.copy_ns && a.cpu_bytes_per_s == b.cpu_bytes_per_s &&
         a.ram_bytes_per_s == b.ram_bytes_per_s && a.disk_bytes_per_s == b.disk_bytes_per_s && a.disk_ns == b.disk_ns && a.stop_ns == b.stop_ns &&
         a.unified == b.unified && a.copies_overlap == b.copies_overlap;
}

}  // namespace

TEST_CASE("machine links: what is written is read") {
  const TemporaryFile file("hotset_links_written.json");
  REQUIRE(write_links_file(file.path(), {"a \"card\"\xff", some_rates()}).ok());
  const auto read = read_links_file(file.path());
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(same(read->rates, some_rates()));
  CHECK(read->device == "a \"card\"\xef\xbf\xbd");
}

TEST_CASE("machine links: paths that are left out are not there") {
  const TemporaryFile file("hotset_links_short.json");
  file.write(R"({"hotset_links": 1, "device_bytes_per_s": 1e11})");
  const auto read = read_links_file(file.path());
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(read->rates.device_bytes_per_s == 1e11);
  CHECK(read->rates.copy_bytes_per_s == 0);
  CHECK(read->rates.copies_overlap);
}

TEST_CASE("machine links: broken ones say what is wrong") {
  struct Row {
    const char* text;
    Code code;
    const char* says;
  };
  const Row rows[] = {
      {"", Code::kCorrupt, "not JSON"},
      {"{\"hotset_links\": 1,", Code::kCorrupt, "not JSON"},
      {"\x7f"
       "ELF",
       Code::kCorrupt, "not JSON"},
      {"[1]", Code::kCorrupt, "not a links file"},
      {R"({"rates": 1})", Code::kCorrupt, "not a links file"},
      {R"({"hotset_links": "1"})", Code::kCorrupt, "version number"},
      {R"({"hotset_links": 2, "device_bytes_per_s": 1})", Code::kUnsupported, "version 2"},
      {R"({"hotset_links": 1})", Code::kCorrupt, "no 'device_bytes_per_s'"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 0})", Code::kCorrupt, "no 'device_bytes_per_s'"},
      {R"({"hotset_links": 1, "device_bytes_per_s": -1})", Code::kCorrupt, "'device_bytes_per_s' is not a rate"},
      {R"({"hotset_links": 1, "device_bytes_per_s": "fast"})", Code::kCorrupt, "'device_bytes_per_s' is not a rate"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e300})", Code::kCorrupt, "'device_bytes_per_s' is not a rate"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "copy_ns": 1.5})", Code::kCorrupt, "'copy_ns' is not a whole number"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "copy_ns": -3})", Code::kCorrupt, "'copy_ns' is not a whole number"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "unified": 1})", Code::kCorrupt, "'unified' is neither"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "device": 5})", Code::kCorrupt, "'device' is not a text"},
      {R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "disk_gb_per_s": 5})", Code::kCorrupt, "has no 'disk_gb_per_s'"},
  };
  const TemporaryFile file("hotset_links_broken.json");
  for (const Row& row : rows) {
    CAPTURE(row.text);
    file.write(row.text);
    const auto read = read_links_file(file.path());
    REQUIRE_FALSE(read.ok());
    CHECK(read.status().code() == row.code);
    CHECK(read.status().message().find(row.says) != std::string::npos);
    CHECK(read.status().message().find(file.path()) != std::string::npos);
    CHECK(read.status().message().find('\n') == std::string::npos);
  }
  CHECK(read_links_file("/nowhere/links.json").status().code() == Code::kNotFound);
}

TEST_CASE("machine links: rates that are none are not written") {
  const TemporaryFile file("hotset_links_refused.json");
  LinkRates rates = some_rates();
  rates.copy_bytes_per_s = -1;
  CHECK(write_links_file(file.path(), {"card", rates}).code() == Code::kInvalidArgument);
  CHECK_FALSE(file_exists(file.path()));
}
