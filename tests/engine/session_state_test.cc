// A session's timeline that is saved, loaded or forked goes on as the one it came from, bit for bit; and what is no such state is refused.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "platform/crc32c.h"
#include "runtime/engine/state_format.h"
#include "tests/engine/fixture_run.h"
#include "tests/engine/model_rig.h"
#include "tests/process_limits.h"
#include "tests/temp_folder.h"

using namespace hotset;
using namespace hotset::test;

namespace {

namespace fs = std::filesystem;

constexpr SamplerOptions kDrawn = {.seed = 7, .temperature = 0.9f, .top_k = 0, .repeat_penalty = 1.2f, .repeat_last_n = 5};
// Models with every kind of state: KV, latent, windows, recurrences of all kinds, compressed rows, indexer keys.
constexpr const char* kKinds[] = {"deepseek4", "gemma4", "hy_v4", "jamba", "kimi-linear", "llama4", "minimax-01", "mistral4", "nemotron-h-moe", "qwen3next"};

struct Course {
  std::vector<float> logits;  // after each token
  std::vector<TokenId> picks;
  bool operator==(const Course& other) const {
    return picks == other.picks && logits.size() == other.logits.size() &&
           std::memcmp(logits.data(), other.logits.data(), logits.size() * sizeof(float)) == 0;
  }
};

void feed(Session& session, std::span<const TokenId> tokens) {
  const Status fed = session.feed(tokens);
  REQUIRE_MESSAGE(fed.ok(), fed.message());
}

// What comes after where the session is: a draw, then the tokens one by one with a draw after each, the last ones as a prompt.
Course course(Session& session, std::span<const TokenId> tokens) {
  Course course;
  const auto note = [&] {
    const auto logits = session.logits();
    course.logits.insert(course.logits.end(), logits.begin(), logits.end());
    if (!logits.empty()) course.picks.push_back(session.sample());
  };
  note();
  const size_t singly = std::min<size_t>(tokens.size(), 3);
  for (size_t i = 0; i < singly; ++i) {
    feed(session, tokens.subspan(i, 1));
    note();
  }
  if (singly < tokens.size()) feed(session, tokens.subspan(singly));
  note();
  return course;
}

std::vector<std::byte> saved(Session& session) {
  const auto size_bytes = session.state_bytes();
  REQUIRE_MESSAGE(size_bytes.ok(), size_bytes.status().message());
  std::vector<std::byte> bytes(*size_bytes);
  const Status done = session.save_state(bytes);
  REQUIRE_MESSAGE(done.ok(), done.message());
  return bytes;
}

void load(Session& session, std::span<const std::byte> bytes) {
  const Status done = session.load_state(bytes);
  REQUIRE_MESSAGE(done.ok(), done.message());
}

std::unique_ptr<Session> drawing_session(Engine& engine) {
  auto session = open_session(engine);
  REQUIRE(session->set_sampler(kDrawn).ok());
  return session;
}

// Half of the prompt, a piece and single tokens, with a draw so that the sampler is under way.
void feed_half(Session& session, std::span<const TokenId> half) {
  feed(session, half.first(half.size() - 2));
  feed(session, half.subspan(half.size() - 2, 1));
  session.sample();
  feed(session, half.last(1));
}

void check_goes_on(const ModelFixture& fixture, const std::string& device, bool forks, bool new_engine) {
  const EngineOptions options = fixture_options(fixture, device);
  const auto engine = open_engine(options);
  const std::span<const TokenId> prompt(fixture.prompt);
  const size_t middle = std::max<size_t>(3, prompt.size() / 2);
  const auto first = drawing_session(*engine);
  feed_half(*first, prompt.first(middle));
  const std::vector<std::byte> state = saved(*first);
  CHECK(saved(*first) == state);
  const TempFolder folder;
  const std::string path = folder.file("state");
  REQUIRE(first->save_state(path).ok());
  std::unique_ptr<Session> forked;
  if (forks) {
    auto made = first->fork();
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    forked = std::move(made).value();
  }
  const Course expected = course(*first, prompt.subspan(middle));
  if (forked) CHECK(course(*forked, prompt.subspan(middle)) == expected);
  const auto other = open_session(*engine);
  feed(*other, prompt.last(2));  // which goes
  load(*other, state);
  CHECK(std::ranges::equal(other->tokens(), prompt.first(middle)));
  CHECK(saved(*other) == state);
  CHECK(course(*other, prompt.subspan(middle)) == expected);

  // In the middle, after a rewind: there are no logits, and recurrent states are made anew.
  first->rewind(static_cast<uint32_t>(middle - 1));
  const std::vector<std::byte> rewound = saved(*first);
  const Course after = course(*first, prompt.subspan(middle - 1));
  load(*other, rewound);
  CHECK(other->logits().empty());
  CHECK(course(*other, prompt.subspan(middle - 1)) == after);
  if (!new_engine) return;
  const auto second_engine = open_engine(options);
  const auto third = open_session(*second_engine);
  const Status from_file = third->load_state(path);
  REQUIRE_MESSAGE(from_file.ok(), from_file.message());
  CHECK(course(*third, prompt.subspan(middle)) == expected);
}

ModelFixture fixture_named(const std::string& name) {
  const auto fixture = load_model_fixture(data_path("models/") + name);
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  return *fixture;
}

void check_all_fixtures(const std::string& device) {
  for (const auto& entry : fs::directory_iterator(data_path("models"))) {
    if (!fs::exists(entry.path() / "logits.bin")) continue;
    const std::string name = entry.path().filename();
    CAPTURE(name);
    check_goes_on(fixture_named(name), device, device == "cpu" || std::ranges::find(kKinds, name) != std::end(kKinds), false);
  }
}

EngineOptions small_cpu(const char* fixture = "qwen3moe") {
  EngineOptions options = fixture_options(fixture_named(fixture), "cpu");
  options.context_tokens = 32;
  return options;
}

// The same with a checksum that fits.
void sign_header(std::vector<std::byte>& state) {
  constexpr size_t kCrcAt = 12;
  std::memset(&state[kCrcAt], 0, sizeof(uint32_t));
  const uint32_t crc = crc32c(std::span(state).first(kStateHeaderBytes));
  std::memcpy(&state[kCrcAt], &crc, sizeof crc);
}

}  // namespace

TEST_CASE("session state: on the CPU every family goes on as it would have") { check_all_fixtures("cpu"); }

TEST_CASE("session state: on the GPU every family goes on as it would have") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_all_fixtures("vulkan");
}

TEST_CASE("session state: a file goes on in another engine") {
  for (const char* name : kKinds) {
    CAPTURE(name);
    check_goes_on(fixture_named(name), "cpu", false, true);
  }
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_goes_on(fixture_named("kimi-linear"), "vulkan", false, true);
}

TEST_CASE("session state: what the CPU saved goes on on a GPU, within rounding") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for (const char* name : {"deepseek4", "gemma4", "jamba", "kimi-linear"}) {
    CAPTURE(name);
    const ModelFixture fixture = fixture_named(name);
    const size_t middle = fixture.prompt.size() / 2;
    std::vector<std::vector<float>> after;
    std::vector<std::byte> state;
    for (const char* device : {"cpu", "vulkan"}) {
      const auto engine = open_engine(fixture_options(fixture, device));
      const auto session = open_session(*engine);
      if (state.empty()) {
        feed(*session, std::span(fixture.prompt).first(middle));
        state = saved(*session);
      } else {
        load(*session, state);
      }
      feed(*session, std::span(fixture.prompt).subspan(middle, 1));
      after.emplace_back(session->logits().begin(), session->logits().end());
    }
    CHECK(nmse(after[1], after[0]) < 0.05);
  }
}

TEST_CASE("session state: an empty timeline is a state as well, and so is the sampler's seed from the system") {
  const auto engine = open_engine(small_cpu());
  const auto session = open_session(*engine);
  SamplerOptions options = kDrawn;
  options.seed = 0;
  REQUIRE(session->set_sampler(options).ok());
  const std::vector<std::byte> empty = saved(*session);
  const auto other = open_session(*engine);
  feed(*other, {{1, 2, 3}});
  load(*other, empty);
  CHECK(other->position() == 0);
  const std::vector<TokenId> prompt = fixture_named("qwen3moe").prompt;
  CHECK(course(*other, prompt) == course(*session, prompt));
}

TEST_CASE("session state: what is damaged, cut off or no state is refused, and the session stays as it was") {
  const auto engine = open_engine(small_cpu());
  const std::vector<TokenId> prompt = fixture_named("qwen3moe").prompt;
  const auto session = drawing_session(*engine);
  feed(*session, std::span(prompt).first(5));
  const std::vector<std::byte> state = saved(*session);
  const auto other = drawing_session(*engine);
  feed(*other, std::span(prompt).first(7));
  const std::vector<std::byte> before = saved(*other);
  for (size_t bytes = 0; bytes < state.size(); bytes += bytes < 200 ? 1 : 509) {
    CHECK(other->load_state(std::span(state).first(bytes)).code() == Code::kCorrupt);
  }
  std::vector<std::byte> longer = state;
  longer.push_back({});
  CHECK(other->load_state(longer).code() == Code::kCorrupt);
  for (size_t at = 0; at < state.size(); at += at < 200 ? 1 : 127) {
    std::vector<std::byte> damaged = state;
    damaged[at] ^= std::byte{0x10};
    const Status refused = other->load_state(damaged);
    CAPTURE(at);
    CHECK((refused.code() == Code::kCorrupt || refused.code() == Code::kUnsupported));  // a version to come
  }
  std::vector<std::byte> last = state;
  last.back() ^= std::byte{1};
  CHECK(other->load_state(last).code() == Code::kCorrupt);
  CHECK(saved(*other) == before);
  CHECK(other->load_state("/nonexistent/state").code() == Code::kNotFound);
  CHECK(other->save_state("/nonexistent/state").code() != Code::kOk);
  std::vector<std::byte> small(state.size() - 1);
  CHECK(session->save_state(std::span(small)).code() == Code::kInvalidArgument);
}

TEST_CASE("session state: sizes that a header makes up allocate nothing and are refused") {
  const auto engine = open_engine(small_cpu());
  const auto session = drawing_session(*engine);
  feed(*session, {{1, 2, 3}});
  const std::vector<std::byte> state = saved(*session);
  struct Forgery {
    size_t at;
    uint32_t value;
    Code code;
  };
  constexpr size_t kVersionAt = 8, kPositionAt = 48, kLogitsAt = 52, kTopPAt = 84, kRepeatAt = 100;
  const Forgery forgeries[] = {{kVersionAt, 2, Code::kUnsupported},    {kPositionAt, UINT32_MAX, Code::kInvalidArgument}, {kPositionAt, 33, Code::kInvalidArgument},
                               {kPositionAt, 32, Code::kCorrupt},      {kPositionAt, 0, Code::kCorrupt},                  {kLogitsAt, 0, Code::kCorrupt},
                               {kTopPAt, 0x7fc00000, Code::kCorrupt},  {kRepeatAt, UINT32_MAX, Code::kCorrupt}};
  for (const Forgery& forgery : forgeries) {
    std::vector<std::byte> forged = state;
    std::memcpy(&forged[forgery.at], &forgery.value, sizeof forgery.value);
    sign_header(forged);
    const Status refused = session->load_state(forged);
    CAPTURE(forgery.at);
    CHECK_MESSAGE(refused.code() == forgery.code, refused.message());
  }
  std::vector<std::byte> same = state;
  sign_header(same);
  CHECK(same == state);
  CHECK(saved(*session) == state);
}

TEST_CASE("session state: another model, KV type or a shorter context is refused with a word on it") {
  const auto refusal = [&](const std::vector<std::byte>& state, const EngineOptions& options) {
    const auto engine = open_engine(options);
    const auto session = open_session(*engine);
    const Status refused = session->load_state(state);
    CHECK(refused.code() == Code::kInvalidArgument);
    CHECK(session->position() == 0);
    return refused.message();
  };
  std::vector<std::byte> state;
  {
    const auto engine = open_engine(small_cpu());
    const auto session = open_session(*engine);
    feed(*session, std::vector<TokenId>(20, 3));
    state = saved(*session);
  }
  CHECK(refusal(state, small_cpu("qwen3moe-q8_0")).find("another model") != std::string::npos);
  CHECK(refusal(state, small_cpu("jamba")).find("another model") != std::string::npos);
  EngineOptions options = small_cpu();
  options.kv_type = KvType::kF16;
  CHECK(refusal(state, options).find("--kv-type f32") != std::string::npos);
  options = small_cpu();
  options.context_tokens = 19;
  CHECK(refusal(state, options).find("20 tokens") != std::string::npos);
  options.context_tokens = 20;
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  load(*session, state);
  CHECK(session->position() == 20);
  const TokenId token = 1;
  CHECK(session->feed({&token, 1}).code() == Code::kInvalidArgument);  // full
}

TEST_CASE("session state: two sessions that save to one path at once leave one of the two whole") {
  const auto engine = open_engine(small_cpu());
  const std::vector<TokenId> prompt = fixture_named("qwen3moe").prompt;
  const TempFolder folder;
  const std::string path = folder.file("state");
  std::unique_ptr<Session> sessions[2];
  std::vector<std::byte> states[2];
  for (size_t i = 0; i < 2; ++i) {
    sessions[i] = drawing_session(*engine);
    feed(*sessions[i], std::span(prompt).first(5 + i * 3));
    states[i] = saved(*sessions[i]);
  }
  REQUIRE(sessions[0]->save_state(path).ok());
  Status done[2];
  std::atomic<int> running{2};
  const auto save = [&](size_t i) {
    for (int times = 0; times < 50 && done[i].ok(); ++times) done[i] = sessions[i]->save_state(path);
    --running;
  };
  std::jthread threads[] = {std::jthread(save, 0), std::jthread(save, 1)};
  const auto reader = open_session(*engine);
  const auto check = [&] {
    const Status loaded = reader->load_state(path);
    REQUIRE_MESSAGE(loaded.ok(), loaded.message());
    const std::vector<std::byte> state = saved(*reader);
    CHECK((state == states[0] || state == states[1]));
  };
  while (running > 0) check();
  for (std::jthread& thread : threads) thread.join();
  check();
  for (const Status& status : done) CHECK_MESSAGE(status.ok(), status.message());
  CHECK_FALSE(has_partial(path));
}

TEST_CASE("session state: a disk without room is an error, and the former file stays") {
  const auto engine = open_engine(small_cpu());
  const auto session = drawing_session(*engine);
  feed(*session, {{1, 2, 3}});
  const std::vector<std::byte> before = saved(*session);
  const TempFolder folder;
  const std::string path = folder.file("state");
  REQUIRE(session->save_state(path).ok());
  feed(*session, {{4, 5, 6}});
  Status refused;
  {
    const FullDisk full(before.size() / 2);
    refused = session->save_state(path);
  }
  CHECK(refused.code() == Code::kIo);
  CHECK_MESSAGE(refused.message().starts_with("cannot write '" + path + "': "), refused.message());
  CHECK_FALSE(has_partial(path));
  REQUIRE(session->load_state(path).ok());
  CHECK(saved(*session) == before);
}

TEST_CASE("session state: a fork takes its context out of the VRAM budget, or is refused") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  EngineOptions options;
  options.model_path = *shipped_model_path();
  options.device = "vulkan";
  options.context_tokens = 64;
  options.batch_tokens = 16;
  options.miss = MissChoice::kGpu;
  options.vram = ByteSize{least_vram_bytes(options) + (4u << 20), 0, false};
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const std::vector<TokenId> prompt = *engine->tokenize("Once upon a time", true, false);
  feed(*session, prompt);
  const auto forked = session->fork();
  REQUIRE_MESSAGE(forked.ok(), forked.status().message());
  const Course expected = course(*session, prompt);
  CHECK(course(**forked, prompt) == expected);
  std::vector<std::unique_ptr<Session>> more;
  Status refused;
  while (refused.ok() && more.size() < 64) {
    auto another = session->fork();
    if (another.ok()) more.push_back(std::move(another).value());
    else refused = another.status();
  }
  CHECK(refused.code() == Code::kOverBudget);
  CHECK(session->stats().vram_peak_bytes <= session->stats().vram_budget_bytes);
}
