// What callers get wrong is a code and a line, never a crash: handles that are not, structs of other sizes, no buffer, too little room.
#include <doctest/doctest.h>

#include <hotset/hotset.h>

#include <cstring>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "platform/file.h"
#include "tests/api/bad_calls.h"
#include "tests/api/exported_functions.h"

using hotset::test::Handles;

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

hotset_options* as_options(void* handle) { return static_cast<hotset_options*>(handle); }

void check_all_refuse(const Handles& with) {
  for (const auto& [name, call] : hotset::test::handle_calls()) {
    // NULL options are the defaults.
    if (with.options == nullptr && name.starts_with("hotset_engine_open")) continue;
    CAPTURE(name);
    CHECK(call(with) == HOTSET_INVALID_HANDLE);
  }
}

Handles open_all() {
  Handles all;
  all.options = hotset_options_create();
  all.engine = open_small();
  REQUIRE(hotset_session_open(all.engine, nullptr, &all.session, nullptr) == HOTSET_OK);
  REQUIRE(hotset_parser_open(all.engine, "", nullptr, &all.parser, nullptr) == HOTSET_OK);
  return all;
}

void close_all(const Handles& all) {
  CHECK(hotset_options_destroy(all.options) == HOTSET_OK);
  CHECK(hotset_parser_close(all.parser) == HOTSET_OK);
  CHECK(hotset_session_close(all.session) == HOTSET_OK);
  CHECK(hotset_engine_close(all.engine) == HOTSET_OK);
}

// Functions of the headers that take a pointer to a struct which begins with its size, but for the hotset_error that most have.
std::set<std::string> functions_with_sized_structs() {
  std::string headers;
  for (const char* name : {"hotset.h", "hotset_vulkan.h"}) {
    headers += *hotset::read_whole_file(std::string(HOTSET_SOURCE_DIR) + "/runtime/include/hotset/" + name, 1u << 20);
  }
  const auto after = [&](size_t at, std::string_view begin, char end) { return headers.substr(at + begin.size(), headers.find(end, at + begin.size()) - at - begin.size()); };
  std::vector<std::string> pointers;
  constexpr std::string_view kStruct = "typedef struct ", kFunction = "\nHOTSET_API ";
  for (size_t at = headers.find(kStruct); at != headers.npos; at = headers.find(kStruct, at + 1)) {
    const std::string name = after(at, kStruct, ' ');
    if (name != "hotset_error" && headers.compare(at + kStruct.size() + name.size(), 16, " {\n  size_t size") == 0) pointers.push_back(name + "*");
  }
  std::set<std::string> functions;
  for (size_t at = headers.find(kFunction); at != headers.npos; at = headers.find(kFunction, at + 1)) {
    const std::string declared = after(at, kFunction, ';');
    const size_t open = declared.find('(');
    const bool takes_one = std::ranges::any_of(pointers, [&](const std::string& pointer) { return declared.find(pointer, open) != declared.npos; });
    if (takes_one) functions.insert(declared.substr(declared.rfind(' ', open) + 1, open - declared.rfind(' ', open) - 1));
  }
  return functions;
}

}  // namespace

TEST_CASE("bad use: the tables have every function that the library exports") {
  std::set<std::string> known;
  for (const auto& row : hotset::test::handle_calls()) CHECK(known.insert(std::string(row.name)).second);
  for (const auto& row : hotset::test::empty_calls()) CHECK(known.insert(std::string(row.name)).second);
  for (const std::string_view name : hotset::test::harmless_functions()) CHECK(known.insert(std::string(name)).second);
  CHECK(known == hotset::test::exported_functions());
  std::set<std::string> sized;
  for (const auto& row : hotset::test::sized_calls()) sized.insert(std::string(row.name));
  CHECK(sized.size() > 10);
  CHECK(sized == functions_with_sized_structs());
}

TEST_CASE("bad use: handles that are not are refused by every function") {
  check_all_refuse({});
  int something = 0;
  check_all_refuse({as_options(&something), reinterpret_cast<hotset_engine*>(&something), reinterpret_cast<hotset_session*>(&something),
                    reinterpret_cast<hotset_parser*>(&something)});
  const Handles all = open_all();
  // Each in place of another.
  check_all_refuse({reinterpret_cast<hotset_options*>(all.engine), reinterpret_cast<hotset_engine*>(all.session),
                    reinterpret_cast<hotset_session*>(all.parser), reinterpret_cast<hotset_parser*>(all.options)});
  check_all_refuse({reinterpret_cast<hotset_options*>(all.parser), reinterpret_cast<hotset_engine*>(all.options),
                    reinterpret_cast<hotset_session*>(all.engine), reinterpret_cast<hotset_parser*>(all.session)});
  close_all(all);
  check_all_refuse(all);
  // New ones in the same places do not answer to the old names.
  const Handles others = open_all();
  CHECK(others.engine != all.engine);
  check_all_refuse(all);
  close_all(others);
}

TEST_CASE("bad use: an engine that closes takes its sessions with it, and leaves its parsers") {
  const Handles all = open_all();
  CHECK(hotset_engine_close(all.engine) == HOTSET_OK);
  CHECK(hotset_session_stop(all.session) == HOTSET_INVALID_HANDLE);
  const hotset_part_function ignore = [](void*, hotset_part, const char*, size_t) {};
  CHECK(hotset_parser_push(all.parser, "x", 1, ignore, nullptr, nullptr) == HOTSET_OK);
  CHECK(hotset_parser_finish(all.parser, ignore, nullptr, nullptr) == HOTSET_OK);
  CHECK(hotset_parser_push(all.parser, "x", 1, ignore, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_parser_close(all.parser) == HOTSET_OK);
  CHECK(hotset_options_destroy(all.options) == HOTSET_OK);
}

TEST_CASE("bad use: what a function needs and is not given is refused, without any handle") {
  for (const auto& [name, call] : hotset::test::empty_calls()) {
    CAPTURE(name);
    CHECK(call() == HOTSET_INVALID_ARGUMENT);
  }
}

TEST_CASE("bad use: a struct whose size cannot be is refused by every function that takes one") {
  const Handles all = open_all();
  for (const auto& [name, call] : hotset::test::sized_calls()) {
    CAPTURE(name);
    for (const size_t size : {size_t{0}, size_t{3}, sizeof(size_t) - 1}) CHECK(call(all, size) == HOTSET_INVALID_ARGUMENT);
  }
  close_all(all);
}

TEST_CASE("bad use: a callback that throws ends the call with a code") {
  const Handles all = open_all();
  const hotset_text_function text = [](void*, const char*, size_t) -> int32_t { throw 7; };
  const hotset_logits_function logits = [](void*, float*, size_t) { throw std::length_error("no"); };
  const hotset_token token = 1;
  hotset_generate_params params = HOTSET_GENERATE_PARAMS_INIT;
  params.prompt = &token;
  params.prompt_count = 1;
  params.text = text;
  Said said;
  CHECK(hotset_session_generate(all.session, &params, nullptr, &said) != HOTSET_OK);
  CHECK(said.message[0] != '\0');
  CHECK(hotset_session_set_logits_function(all.session, logits, nullptr, nullptr) == HOTSET_OK);
  hotset_token picked = -1;
  CHECK(hotset_session_sample(all.session, &picked, &said) != HOTSET_OK);
  CHECK(said.message[0] != '\0');
  CHECK(picked == -1);
  CHECK(hotset_report_known(HOTSET_TEXT, text, nullptr, &said) != HOTSET_OK);
  CHECK(said.message[0] != '\0');
  // The session is not in that call any more.
  CHECK(hotset_session_set_logits_function(all.session, nullptr, nullptr, nullptr) == HOTSET_OK);
  CHECK(hotset_session_sample(all.session, &picked, nullptr) == HOTSET_OK);
  close_all(all);
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
