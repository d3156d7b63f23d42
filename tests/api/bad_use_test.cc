// What callers get wrong is a code and a line, never a crash: handles that are not, structs of other sizes, no buffer, too little room.
#include <doctest/doctest.h>

#include <hotset/hotset.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/test_support.h"

namespace {

struct Said : hotset_error {
  Said() : hotset_error(HOTSET_ERROR_INIT) {}
};

hotset_engine* open_small() {
  hotset_options* options = hotset_options_create();
  for (const auto& [name, value] : {std::pair{"device", "cpu"}, {"ctx", "32"}, {"temp", "0"}}) {
    REQUIRE(hotset_options_set(options, name, value, nullptr) == HOTSET_OK);
  }
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.options = options;
  hotset_engine* engine = nullptr;
  Said said;
  REQUIRE_MESSAGE(hotset_engine_open(&params, &engine, &said) == HOTSET_OK, said.message);
  CHECK(hotset_options_destroy(options) == HOTSET_OK);
  return engine;
}

// Every function of an engine and of a session, with all else in order.
std::vector<hotset_code> call_all(hotset_engine* engine, hotset_session* session) {
  hotset_engine_info info = HOTSET_ENGINE_INFO_INIT;
  hotset_stats stats = HOTSET_STATS_INIT;
  hotset_generate_params generate = HOTSET_GENERATE_PARAMS_INIT;
  hotset_session* made = nullptr;
  hotset_token token = 1;
  const float* logits = nullptr;
  size_t count = 0;
  uint32_t position = 0;
  int32_t flag = 0;
  char text[64];
  const hotset_message message = {"user", "hello"};
  return {hotset_engine_get_info(engine, &info, nullptr),
          hotset_engine_model_name(engine, text, sizeof text, nullptr, nullptr),
          hotset_engine_device_name(engine, text, sizeof text, nullptr, nullptr),
          hotset_engine_set_vram(engine, 1, nullptr),
          hotset_engine_set_ram(engine, 1, nullptr),
          hotset_engine_give_vram_back(engine, 1, nullptr, nullptr),
          hotset_tokenize(engine, "a", 1, 0, &token, 1, &count, nullptr),
          hotset_detokenize(engine, &token, 1, 0, text, sizeof text, nullptr, nullptr),
          hotset_is_end_of_text(engine, 1, &flag, nullptr),
          hotset_apply_chat_template(engine, &message, 1, text, sizeof text, nullptr, nullptr),
          hotset_session_open(engine, nullptr, &made, nullptr),
          hotset_session_feed(session, &token, 1, nullptr),
          hotset_session_logits(session, &logits, &count, nullptr),
          hotset_session_sample(session, &token, nullptr),
          hotset_session_set_logits_function(session, nullptr, nullptr, nullptr),
          hotset_session_generate(session, &generate, nullptr, nullptr),
          hotset_session_rewind(session, 0, nullptr),
          hotset_session_position(session, &position, nullptr),
          hotset_session_stop(session),
          hotset_session_get_stats(session, &stats, nullptr),
          hotset_session_explain(session, text, sizeof text, nullptr, nullptr),
          hotset_session_trace(session, nullptr, nullptr),
          hotset_session_tokens(session, &token, 1, &count, nullptr),
          hotset_session_fork(session, &made, nullptr),
          hotset_session_embed(session, &token, 1, HOTSET_POOL_LAST, nullptr, 0, nullptr),
          hotset_session_set_sampler(session, nullptr, nullptr),
          hotset_session_set_routing_function(session, nullptr, nullptr, nullptr),
          hotset_engine_embedding_size(engine, &count, nullptr),
          hotset_engine_save_hot_set(engine, nullptr, nullptr),
          hotset_apply_chat_template_json(engine, "[]", nullptr, nullptr, text, sizeof text, nullptr, nullptr),
          hotset_session_save(session, "", nullptr),
          hotset_session_load(session, "", nullptr),
          hotset_session_save_bytes(session, text, sizeof text, &count, nullptr),
          hotset_session_load_bytes(session, text, sizeof text, nullptr),
          hotset_session_close(session),
          hotset_engine_close(engine)};
}

}  // namespace

TEST_CASE("bad use: handles that are not are refused by every function") {
  for (const hotset_code code : call_all(nullptr, nullptr)) CHECK(code == HOTSET_INVALID_HANDLE);
  int something = 0;
  for (const hotset_code code : call_all(reinterpret_cast<hotset_engine*>(&something), reinterpret_cast<hotset_session*>(&something))) {
    CHECK(code == HOTSET_INVALID_HANDLE);
  }
  hotset_engine* engine = open_small();
  hotset_session* session = nullptr;
  REQUIRE(hotset_session_open(engine, nullptr, &session, nullptr) == HOTSET_OK);
  // One in place of the other.
  for (const hotset_code code : call_all(reinterpret_cast<hotset_engine*>(session), reinterpret_cast<hotset_session*>(engine))) {
    CHECK(code == HOTSET_INVALID_HANDLE);
  }
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
  for (const hotset_code code : call_all(engine, session)) CHECK(code == HOTSET_INVALID_HANDLE);
  // A new engine in the same place does not answer to the old name.
  hotset_engine* other = open_small();
  CHECK(other != engine);
  CHECK(hotset_engine_close(engine) == HOTSET_INVALID_HANDLE);
  CHECK(hotset_engine_close(other) == HOTSET_OK);
  CHECK(hotset_options_destroy(nullptr) == HOTSET_INVALID_HANDLE);
}

TEST_CASE("bad use: arguments that are missing are named") {
  Said said;
  CHECK(hotset_engine_open(nullptr, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(std::string(said.message).find("params is NULL") == 0);
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  CHECK(hotset_engine_open(&params, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  params.model_path = "/nonexistent/model.gguf";
  hotset_engine* engine = nullptr;
  CHECK(hotset_engine_open(&params, &engine, &said) == HOTSET_NOT_FOUND);
  CHECK(std::strstr(said.message, "/nonexistent/model.gguf") != nullptr);
  CHECK(engine == nullptr);
  engine = open_small();
  CHECK(hotset_tokenize(engine, nullptr, 3, 0, nullptr, 0, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_detokenize(engine, nullptr, 3, 0, nullptr, 0, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  const hotset_message no_role = {nullptr, "x"};
  CHECK(hotset_apply_chat_template(engine, &no_role, 1, nullptr, 0, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_engine_get_info(engine, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  hotset_session* session = nullptr;
  CHECK(hotset_session_open(engine, nullptr, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  REQUIRE(hotset_session_open(engine, nullptr, &session, &said) == HOTSET_OK);
  const float* logits = nullptr;
  hotset_token token = 0;
  CHECK(hotset_session_logits(session, &logits, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_sample(session, &token, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_generate(session, nullptr, nullptr, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_feed(session, nullptr, 2, &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_session_rewind(session, 7, &said) == HOTSET_INVALID_ARGUMENT);
  for (const hotset_token bad : {-1, 1 << 30}) CHECK(hotset_session_feed(session, &bad, 1, &said) == HOTSET_INVALID_ARGUMENT);
  const std::vector<hotset_token> long_prompt(33, 1);
  CHECK(hotset_session_feed(session, long_prompt.data(), long_prompt.size(), &said) == HOTSET_INVALID_ARGUMENT);
  CHECK(std::strstr(said.message, "context") != nullptr);
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
}

TEST_CASE("bad use: buffers with too little room say how much is needed") {
  hotset_engine* engine = open_small();
  char text[256];
  size_t length = 0;
  CHECK(hotset_engine_model_name(engine, nullptr, 0, &length, nullptr) == HOTSET_TOO_SMALL);
  CHECK(length > 0);
  std::memset(text, 'x', sizeof text);
  CHECK(hotset_engine_model_name(engine, text, length, nullptr, nullptr) == HOTSET_TOO_SMALL);
  CHECK(text[0] == 'x');
  CHECK(hotset_engine_model_name(engine, text, length + 1, nullptr, nullptr) == HOTSET_OK);
  CHECK(std::strlen(text) == length);
  CHECK(text[length + 1] == 'x');
  size_t count = 0;
  hotset_token tokens[16] = {};
  CHECK(hotset_tokenize(engine, "Once upon a time", 16, 0, nullptr, 0, &count, nullptr) == HOTSET_TOO_SMALL);
  REQUIRE(count > 1);
  CHECK(hotset_tokenize(engine, "Once upon a time", 16, 0, tokens, count - 1, nullptr, nullptr) == HOTSET_TOO_SMALL);
  CHECK(tokens[0] == 0);
  CHECK(hotset_tokenize(engine, "Once upon a time", 16, 0, tokens, count, nullptr, nullptr) == HOTSET_OK);
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
}

TEST_CASE("bad use: structs of programs that are older or newer than the library") {
  hotset_engine* engine = open_small();
  hotset_session* session = nullptr;
  REQUIRE(hotset_session_open(engine, nullptr, &session, nullptr) == HOTSET_OK);
  hotset_stats stats = HOTSET_STATS_INIT;
  stats.size = 0;
  CHECK(hotset_session_get_stats(session, &stats, nullptr) == HOTSET_INVALID_ARGUMENT);
  stats.size = offsetof(hotset_stats, prompt_ns);
  stats.prompt_ns = 77;
  CHECK(hotset_session_get_stats(session, &stats, nullptr) == HOTSET_OK);
  CHECK(stats.prompt_ns == 77);  // beyond what this program knows
  struct {
    hotset_stats known = HOTSET_STATS_INIT;
    uint64_t added = 55;
  } newer;
  newer.known.size = sizeof newer;
  CHECK(hotset_session_get_stats(session, &newer.known, nullptr) == HOTSET_OK);
  CHECK(newer.added == 55);
  CHECK(newer.known.size == sizeof newer);
  hotset_error small = HOTSET_ERROR_INIT;
  small.size = offsetof(hotset_error, message) + 8;
  small.message[8] = 'x';
  CHECK(hotset_session_feed(nullptr, nullptr, 0, &small) == HOTSET_INVALID_HANDLE);
  CHECK(std::strlen(small.message) == 7);
  CHECK(small.message[8] == 'x');
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
}

TEST_CASE("bad use: a session is in one call at a time, below a callback too") {
  hotset_engine* engine = open_small();
  hotset_session* session = nullptr;
  REQUIRE(hotset_session_open(engine, nullptr, &session, nullptr) == HOTSET_OK);
  struct Inner {
    hotset_session* session;
    hotset_code feed, rewind, stats, stop;
  } inner = {session, -1, -1, -1, -1};
  const hotset_token prompt[] = {1, 2, 3};
  hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
  params.prompt = prompt;
  params.prompt_count = 3;
  params.text_user = &inner;
  params.text = [](void* user, const char*, size_t) -> int32_t {
    auto& of = *static_cast<Inner*>(user);
    hotset_stats stats = HOTSET_STATS_INIT;
    of.feed = hotset_session_feed(of.session, nullptr, 0, nullptr);
    of.rewind = hotset_session_rewind(of.session, 0, nullptr);
    of.stats = hotset_session_get_stats(of.session, &stats, nullptr);
    of.stop = hotset_session_stop(of.session);
    return 1;
  };
  hotset_stop_reason reason = 0;
  CHECK(hotset_session_generate(session, &params, &reason, nullptr) == HOTSET_OK);
  CHECK(reason == HOTSET_STOP_REQUESTED);
  CHECK(inner.feed == HOTSET_INVALID_ARGUMENT);
  CHECK(inner.rewind == HOTSET_INVALID_ARGUMENT);
  CHECK(inner.stats == HOTSET_OK);
  CHECK(inner.stop == HOTSET_OK);
  CHECK(hotset_session_rewind(session, 0, nullptr) == HOTSET_OK);
  CHECK(hotset_engine_close(engine) == HOTSET_OK);
}

TEST_CASE("bad use: codes have names") {
  for (hotset_code code = HOTSET_OK; code <= HOTSET_TOO_SMALL; ++code) CHECK(std::string(hotset_code_name(code)) != "unknown");
  CHECK(std::string(hotset_code_name(-1)) == "unknown");
  CHECK(std::string(hotset_code_name(99)) == "unknown");
  CHECK(std::string(hotset_version()).size() >= 5);
}
