// What the header promises of threads: a session is in one call at a time, stop and figures at any time, closing ends what is under way, and
// all else from any thread at once.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <atomic>
#include <future>
#include <thread>

#include "tests/api/bad_calls.h"
#include "tests/api/tokens.h"
#include "tests/temp_folder.h"

namespace api = hotset::api;
using hotset::test::Handles;
using hotset::test::told;

namespace {

api::options small() {
  api::options options;
  options.set("device", "cpu").set("ctx", "64").set("batch", "16").set("threads", "2").set("temp", "0");
  return options;
}

// A session that generates in a thread of its own, held in its text callback until it is let go.
class HeldGeneration {
 public:
  explicit HeldGeneration(hotset_session* session) {
    thread_ = std::thread([this, session] { code_ = generate(session); });
    inside_.get_future().wait();
  }
  ~HeldGeneration() {
    if (thread_.joinable()) let_go();
  }
  HeldGeneration(const HeldGeneration&) = delete;
  HeldGeneration& operator=(const HeldGeneration&) = delete;

  // What the call gave in the end.
  hotset_code let_go() {
    go_.set_value();
    thread_.join();
    return code_;
  }
  hotset_stop_reason reason() const { return reason_; }

 private:
  hotset_code generate(hotset_session* session) {
    const hotset_token prompt[] = {1, 2, 3};
    hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
    params.prompt = prompt;
    params.prompt_count = std::size(prompt);
    params.text_user = this;
    params.text = [](void* user, const char*, size_t) -> int32_t {
      auto& self = *static_cast<HeldGeneration*>(user);
      if (self.held_) return 1;
      self.held_ = true;
      self.inside_.set_value();
      self.go_.get_future().wait();
      return 1;
    };
    const hotset_code code = hotset_session_generate(session, &params, &reason_, nullptr);
    if (!held_) inside_.set_value();
    return code;
  }

  std::thread thread_;
  std::promise<void> inside_, go_;
  bool held_ = false;
  hotset_code code_ = -1;
  hotset_stop_reason reason_ = -1;
};

bool is_of_a_session_in_turn(std::string_view name) {
  for (const char* other : {"hotset_session_open", "hotset_session_close", "hotset_session_stop", "hotset_session_get_stats"}) {
    if (name == other) return false;
  }
  return name.starts_with("hotset_session_");
}

}  // namespace

TEST_CASE("concurrency: a session that is in a call refuses another thread's, but for stop and figures") {
  const api::engine engine({}, small());
  const api::session session(engine);
  HeldGeneration generation(session.handle());
  Handles with;
  with.session = session.handle();
  uint32_t refused = 0;
  for (const auto& [name, call] : hotset::test::handle_calls()) {
    if (!is_of_a_session_in_turn(name)) continue;
    CAPTURE(name);
    CHECK(call(with) == HOTSET_INVALID_ARGUMENT);
    ++refused;
  }
  CHECK(refused > 20);
  hotset_error said = HOTSET_ERROR_INIT;
  CHECK(hotset_session_rewind(session.handle(), 0, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(std::string(said.message).find("in a call") != std::string::npos);
  hotset_stats stats = HOTSET_STATS_INIT;
  CHECK(hotset_session_get_stats(session.handle(), &stats, nullptr) == HOTSET_OK);
  CHECK(stats.prompt_tokens == 3);
  CHECK(hotset_session_stop(session.handle()) == HOTSET_OK);
  CHECK(generation.let_go() == HOTSET_OK);
  CHECK(generation.reason() == HOTSET_STOP_REQUESTED);
  CHECK(hotset_session_rewind(session.handle(), 0, nullptr) == HOTSET_OK);
}

TEST_CASE("concurrency: of threads that all want one session some are refused, and its timeline stays whole") {
  const api::engine engine({}, small());
  api::session session(engine);
  const auto reference = told(session, engine.tokenize("Once upon a time"), 12);
  session.rewind(0);
  std::atomic<uint32_t> fed{0}, wrong{0};
  std::thread threads[4];
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (int i = 0; i < 15; ++i) {
        const hotset_token token = 1 + i;
        const hotset_code code = hotset_session_feed(session.handle(), &token, 1, nullptr);
        fed += code == HOTSET_OK;
        wrong += code != HOTSET_OK && code != HOTSET_INVALID_ARGUMENT;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(fed > 0);
  CHECK(session.position() == fed);
  CHECK(told(session, engine.tokenize("Once upon a time"), 12) == reference);
}

TEST_CASE("concurrency: a session that is closed while it generates ends soon, and its name is nobody's") {
  const api::engine engine({}, small());
  hotset_session* session = nullptr;
  REQUIRE(hotset_session_open(engine.handle(), nullptr, &session, nullptr) == HOTSET_OK);
  HeldGeneration generation(session);
  CHECK(hotset_session_close(session) == HOTSET_OK);
  CHECK(hotset_session_stop(session) == HOTSET_INVALID_HANDLE);
  CHECK(hotset_session_close(session) == HOTSET_INVALID_HANDLE);
  CHECK(generation.let_go() == HOTSET_OK);
  CHECK(generation.reason() == HOTSET_STOP_REQUESTED);
  api::session next(engine);
  CHECK(next.handle() != session);
  CHECK(told(next, engine.tokenize("Once upon a time"), 4).size() == 4);
}

TEST_CASE("concurrency: an engine that is closed while its sessions generate ends them all") {
  hotset_engine* engine = nullptr;
  const api::options options = small();
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options.handle();
  REQUIRE(hotset_engine_open(&params, &engine, nullptr) == HOTSET_OK);
  hotset_session *first = nullptr, *second = nullptr;
  REQUIRE(hotset_session_open(engine, nullptr, &first, nullptr) == HOTSET_OK);
  REQUIRE(hotset_session_open(engine, nullptr, &second, nullptr) == HOTSET_OK);
  {
    HeldGeneration of_first(first), of_second(second);
    CHECK(hotset_engine_close(engine) == HOTSET_OK);
    CHECK(hotset_session_stop(first) == HOTSET_INVALID_HANDLE);
    CHECK(hotset_engine_set_ram(engine, 1, nullptr) == HOTSET_INVALID_HANDLE);
    for (HeldGeneration* of : {&of_first, &of_second}) {
      CHECK(of->let_go() == HOTSET_OK);
      CHECK(of->reason() == HOTSET_STOP_REQUESTED);
    }
  }
  CHECK(hotset_engine_close(engine) == HOTSET_INVALID_HANDLE);
}

TEST_CASE("concurrency: an engine may be closed below the callback of its own session") {
  struct Closing {
    hotset_engine* engine = nullptr;
    hotset_code code = -1;
  } closing;
  const api::options options = small();
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options.handle();
  REQUIRE(hotset_engine_open(&params, &closing.engine, nullptr) == HOTSET_OK);
  hotset_session* session = nullptr;
  REQUIRE(hotset_session_open(closing.engine, nullptr, &session, nullptr) == HOTSET_OK);
  const hotset_token prompt = 1;
  hotset_generate_params generate = HOTSET_GENERATE_PARAMS_INIT;
  generate.prompt = &prompt;
  generate.prompt_count = 1;
  generate.text_user = &closing;
  generate.text = [](void* user, const char*, size_t) -> int32_t {
    auto& of = *static_cast<Closing*>(user);
    if (of.code == -1) of.code = hotset_engine_close(of.engine);
    return 1;
  };
  hotset_stop_reason reason = -1;
  CHECK(hotset_session_generate(session, &generate, &reason, nullptr) == HOTSET_OK);
  CHECK(closing.code == HOTSET_OK);
  CHECK(reason == HOTSET_STOP_REQUESTED);
  CHECK(hotset_session_close(session) == HOTSET_INVALID_HANDLE);
}

TEST_CASE("concurrency: of threads that close one handle, one does") {
  const api::engine engine({}, small());
  for (int round = 0; round < 20; ++round) {
    hotset_session* session = nullptr;
    REQUIRE(hotset_session_open(engine.handle(), nullptr, &session, nullptr) == HOTSET_OK);
    std::atomic<uint32_t> closed{0}, refused{0};
    std::thread threads[3];
    for (std::thread& thread : threads) {
      thread = std::thread([&] {
        const hotset_code code = hotset_session_close(session);
        closed += code == HOTSET_OK;
        refused += code == HOTSET_INVALID_HANDLE;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(closed == 1);
    CHECK(refused == 2);
  }
}

TEST_CASE("concurrency: an engine serves all its functions in all threads while a session generates, and no token changes") {
  const hotset::test::TempFolder folder;
  api::engine engine({}, small());
  api::session session(engine);
  const auto prompt = engine.tokenize("Once upon a time");
  const auto reference = told(session, prompt, 24);
  std::atomic<bool> done{false};
  std::atomic<uint32_t> wrong{0}, rounds{0};
  std::thread threads[3];
  for (size_t i = 0; i < std::size(threads); ++i) {
    threads[i] = std::thread([&, path = folder.file("hot" + std::to_string(i))] {
      while (!done) {
        wrong += engine.tokenize("Once upon a time") != prompt;
        engine.save_hot_set(path);
        api::session other(engine);
        other.feed(prompt);
        api::session fork = other.fork();
        wrong += fork.sample() != reference[0];
        api::parser(engine, "").push("x", [](hotset_part, std::string_view) {});
        ++rounds;
      }
    });
  }
  while (rounds < 6) wrong += told(session, prompt, 24) != reference;
  done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
