// Every family's metadata and tensors, spoilt one at a time: opening says in a line what is wrong, or the model runs.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "platform/bytes.h"
#include "runtime/format/gguf.h"
#include "runtime/format/quant.h"
#include "tests/engine/model_rig.h"
#include "tests/format/gguf_builder.h"

using namespace hotset;
using namespace hotset::test;

namespace {

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kNoType = 97;

struct Entry {
  std::string key;
  uint32_t type;
  std::string payload;  // as it lies in the file
};

struct Shape {
  std::string name;
  std::vector<uint64_t> dims;
  uint32_t type;
};

uint64_t bytes_of(const Shape& shape) {
  const uint32_t block = block_elements(static_cast<BlockType>(shape.type));
  if (block == 0) return 0;  // no type that is known
  uint64_t elements = 1;
  for (const uint64_t dim : shape.dims) elements *= dim;
  return elements / block * block_bytes(static_cast<BlockType>(shape.type));
}

// The head of a fixture, taken apart. Its weights are left out: written files have zeros in their place, as holes.
struct Head {
  std::vector<Entry> entries;
  std::vector<Shape> tensors;

  static Head of(const GgufFile& file) {
    Head head;
    for (const GgufValue& value : file.values()) {
      std::string payload;
      if (value.is_array()) {
        append_number(payload, static_cast<uint32_t>(value.element_type()));
        append_number(payload, value.count());
      }
      payload.append(reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size());
      head.entries.push_back({std::string(value.key()), static_cast<uint32_t>(value.type()), payload});
    }
    for (const TensorInfo& tensor : file.tensors()) {
      head.tensors.push_back({tensor.name, {tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims}, static_cast<uint32_t>(tensor.type)});
    }
    return head;
  }

  void write(const std::string& path) const {
    GgufBuilder builder;
    for (const Entry& entry : entries) builder.raw(entry.key, entry.type, entry.payload);
    uint64_t end = 0;
    for (const Shape& tensor : tensors) {
      builder.raw_tensor(tensor.name, tensor.dims, tensor.type, end);
      end = align_up(end + bytes_of(tensor), kAlignment);
    }
    const std::string bytes = builder.header();
    std::ofstream(path, std::ios::binary) << bytes;
    std::filesystem::resize_file(path, align_up(bytes.size(), kAlignment) + end);
  }
};

template <class T>
void put(Entry& entry, T value) {
  entry.type = gguf_number<T>();
  entry.payload.clear();
  append_number(entry.payload, value);
}

bool is_float(const Entry& entry) { return entry.type == static_cast<uint32_t>(GgufType::kF32); }

struct Spoiling {
  const char* what;
  void (*spoil)(Entry&);
  bool runs = false;  // worth running where the model opens
};

const Spoiling kSpoilings[] = {
    {"gone", [](Entry& entry) { entry.key = "test.unused." + entry.key; }, true},
    {"a text",
     [](Entry& entry) {
       entry.type = static_cast<uint32_t>(GgufType::kString);
       entry.payload.clear();
       append_string(entry.payload, "seven");
     }},
    {"zero", [](Entry& entry) { is_float(entry) ? put(entry, 0.0f) : put(entry, 0u); }, true},
    {"one", [](Entry& entry) { is_float(entry) ? put(entry, 1.0f) : put(entry, 1u); }, true},
    {"odd", [](Entry& entry) { is_float(entry) ? put(entry, 0.37f) : put(entry, 37u); }},
    {"large", [](Entry& entry) { is_float(entry) ? put(entry, 1e9f) : put(entry, 1u << 20); }, true},
    {"huge", [](Entry& entry) { is_float(entry) ? put(entry, 1e38f) : put(entry, std::numeric_limits<uint32_t>::max()); }},
    {"negative", [](Entry& entry) { is_float(entry) ? put(entry, -1.0f) : put(entry, int32_t{-1}); }},
    {"no number", [](Entry& entry) { put(entry, std::numeric_limits<float>::quiet_NaN()); }},
    {"an empty list",
     [](Entry& entry) {
       entry.type = static_cast<uint32_t>(GgufType::kArray);
       entry.payload.clear();
       append_number(entry.payload, static_cast<uint32_t>(GgufType::kU32));
       append_number(entry.payload, uint64_t{0});
     }},
};

struct Damage {
  const char* what;
  void (*damage)(Shape&);
};

const Damage kDamages[] = {
    {"gone", [](Shape& shape) { shape.name = "unused." + shape.name; }},
    {"wider", [](Shape& shape) { shape.dims[0] *= 2; }},
    {"longer", [](Shape& shape) { shape.dims.size() > 1 ? shape.dims.back() += 1 : shape.dims[0] += 256; }},
    {"of one row more dimension", [](Shape& shape) { shape.dims.size() < 4 ? shape.dims.push_back(2) : void(); }},
    {"of floats", [](Shape& shape) { shape.type = shape.type == 0 ? 1 : 0; }},
    {"of whole numbers", [](Shape& shape) { shape.type = 26; }},  // I32
    {"of a type unknown", [](Shape& shape) { shape.type = kNoType; }},
};

// One fixture for each family, by name.
std::vector<std::string> fixture_files() {
  std::vector<std::string> files;
  for (const auto& folder : std::filesystem::directory_iterator(data_path("models"))) {
    const bool another_type = folder.path().filename().string().rfind("qwen3moe-", 0) == 0;
    const std::string path = folder.path() / "model.gguf";
    if (!another_type && std::filesystem::exists(path)) files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

void check_message(const std::string& message) {
  CHECK_FALSE(message.empty());
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.size() < 2000);
}

// A model that opens must run or say why not; three tokens are enough for each kind of layer.
void run_briefly(const std::string& path) {
  EngineOptions options;
  options.model_path = path;
  options.device = "cpu";
  options.context_tokens = 16;
  options.threads = 1;
  options.prefetch = PrefetchChoice::kOff;
  const auto engine = Engine::open(options);
  if (!engine.ok()) return check_message(engine.status().message());
  const auto session = (*engine)->create_session();
  if (!session.ok()) return check_message(session.status().message());
  const TokenId tokens[] = {1, 2, 3};
  const Status fed = (*session)->feed(tokens, {});
  if (!fed.ok()) check_message(fed.message());
}

// What is wrong with the model; empty: nothing, and it ran where it was to.
std::string try_model(const std::string& path, bool runs) {
  const auto report = inspect_model(path);
  const std::string message = !report.ok() ? report.status().message() : report->why_not;
  if (!report.ok() || !report->runnable) check_message(message);
  else if (runs) run_briefly(path);
  return message;
}

uint64_t peak_bytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

// Parts whose damage says something new: of a name ("attn_q.weight") the first and the last.
std::vector<size_t> telling_tensors(const Head& head) {
  std::map<std::string, std::pair<size_t, size_t>> ends;
  for (size_t i = 0; i < head.tensors.size(); ++i) {
    const std::string& name = head.tensors[i].name;
    const std::string part = name.rfind("blk.", 0) == 0 ? name.substr(name.find('.', 4) + 1) : name;
    ends.try_emplace(part, i, i).first->second.second = i;
  }
  std::set<size_t> chosen;
  for (const auto& [part, range] : ends) chosen.insert({range.first, range.second});
  return {chosen.begin(), chosen.end()};
}

}  // namespace

TEST_CASE("malformed models: a fixture's head without weights is a model that runs") {
  TempFolder folder;
  for (const std::string& path : fixture_files()) {
    CAPTURE(path);
    const auto file = GgufFile::open(path);
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    if ((*file)->part_count() > 1) continue;
    Head::of(**file).write(folder.file("m.gguf"));
    CHECK(try_model(folder.file("m.gguf"), true) == "");
  }
}

TEST_CASE("malformed models: metadata that is gone, of another type, zero, huge, negative or no number") {
  TempFolder folder;
  const uint64_t before = peak_bytes();
  for (const std::string& path : fixture_files()) {
    CAPTURE(path);
    const auto file = GgufFile::open(path);
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    const Head whole = Head::of(**file);
    for (size_t i = 0; i < whole.entries.size(); ++i) {
      const std::string key = whole.entries[i].key;
      if (key.rfind("tokenizer.", 0) == 0 || (key.rfind("general.", 0) == 0 && key != "general.architecture")) continue;
      CAPTURE(key);
      for (const Spoiling& spoiling : kSpoilings) {
        CAPTURE(spoiling.what);
        Head head = whole;
        spoiling.spoil(head.entries[i]);
        head.write(folder.file("m.gguf"));
        const std::string message = try_model(folder.file("m.gguf"), spoiling.runs);
        const bool names_it = message.find(key) != std::string::npos || message.find("'seven'") != std::string::npos;
        if (spoiling.what == std::string_view("a text") && message != "" && key != "general.architecture") CHECK_MESSAGE(names_it, message);
      }
    }
  }
  CHECK(peak_bytes() - before < 1ull << 30);
}

TEST_CASE("malformed models: tensors that are gone, of another shape or of another type") {
  TempFolder folder;
  const uint64_t before = peak_bytes();
  for (const std::string& path : fixture_files()) {
    CAPTURE(path);
    const auto file = GgufFile::open(path);
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    const Head whole = Head::of(**file);
    for (const size_t i : telling_tensors(whole)) {
      const std::string name = whole.tensors[i].name;
      CAPTURE(name);
      for (const Damage& damage : kDamages) {
        CAPTURE(damage.what);
        Head head = whole;
        damage.damage(head.tensors[i]);
        head.write(folder.file("m.gguf"));
        try_model(folder.file("m.gguf"), false);
      }
    }
  }
  CHECK(peak_bytes() - before < 1ull << 30);
}
