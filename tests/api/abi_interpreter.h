// AbiInterpreter: bytes as a program of calls of the C functions, good and bad ones: for a fuzzer, and for a seeded generator.
//
// Handles are open ones, closed ones, NULL, of another kind, or made up; structs have any size, buffers any room; callbacks cancel, stop and
// call back; states are cut and changed. It knows which handles are open, so it knows which calls must be refused. No test framework.
#pragma once

#include <hotset/hotset.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace hotset::test {

class AbiInterpreter {
 public:
  // `model_path`: a small model. Files go to `folder`.
  AbiInterpreter(std::span<const uint8_t> program, std::string model_path, std::string folder);
  ~AbiInterpreter();
  AbiInterpreter(const AbiInterpreter&) = delete;
  AbiInterpreter& operator=(const AbiInterpreter&) = delete;

  // Until the program ends, or `most_calls` were made.
  void run(uint32_t most_calls);

  // What was answered that must not be; each is a bug.
  const std::vector<std::string>& complaints() const { return complaints_; }
  uint64_t calls() const { return calls_; }
  uint64_t good_calls() const { return good_calls_; }

 private:
  using Operation = void (AbiInterpreter::*)();
  static std::span<const Operation> operations();

  // The program's next number; 0 when it has ended.
  uint8_t byte();
  uint32_t number(uint32_t below) { return below == 0 ? 0 : (uint32_t{byte()} << 8 | byte()) % below; }
  bool one_in(uint32_t count) { return number(count) == 0; }
  size_t struct_size(size_t real);
  std::string text();
  const char* path();

  template <class Handle>
  Handle* handle(const std::vector<Handle*>& known);
  hotset_options* options() { return handle(options_); }
  hotset_engine* engine() { return handle(engines_); }
  hotset_session* session() { return handle(sessions_); }
  // Open, and of the kind that its type says.
  bool is_open(const hotset_options* handle) const { return open_.contains(handle) && contains(options_, handle); }
  bool is_open(const hotset_engine* handle) const { return open_.contains(handle) && contains(engines_, handle); }
  bool is_open(const hotset_session* handle) const { return open_.contains(handle) && contains(sessions_, handle); }
  template <class Handle>
  static bool contains(const std::vector<Handle*>& known, const Handle* handle) {
    return std::find(known.begin(), known.end(), handle) != known.end();
  }
  template <class Handle>
  size_t open_count(const std::vector<Handle*>& known) const {
    return static_cast<size_t>(std::count_if(known.begin(), known.end(), [&](const Handle* handle) { return is_open(handle); }));
  }

  // Notes the answer of a call whose handle was `open`, or not; true when it was HOTSET_OK.
  bool answered(const char* call, bool open, hotset_code code);
  hotset_error* error();
  void complain(const char* call, const char* what);

  void create_options();
  void destroy_options();
  void set_option();
  void get_option();
  void look_at_option();
  void open_engine();
  void close_engine();
  void ask_engine();
  void set_budget();
  void tokenize();
  void detokenize();
  void apply_template();
  void open_session();
  void close_session();
  void feed();
  void logits_and_sample();
  void set_filter();
  void generate();
  void rewind();
  void ask_session();
  void trace();
  void fork();
  void save_and_load_file();
  void embed();
  void look_at_routing();
  void save_bytes();
  void load_bytes();

  int32_t on_text();
  void on_logits(float* logits, size_t count);
  void forget_sessions_of(const void* engine);

  const std::span<const uint8_t> program_;
  const std::string model_path_;
  const std::string folder_;
  size_t at_ = 0;
  uint32_t depth_ = 0;  // of calls from callbacks
  uint64_t calls_ = 0;
  uint64_t good_calls_ = 0;
  std::vector<std::string> complaints_;
  hotset_error error_ = HOTSET_ERROR_INIT;
  std::string path_;
  std::array<char, 4096> buffer_ = {};
  std::vector<std::byte> state_;  // saved last
  std::vector<hotset_options*> options_;
  std::vector<hotset_engine*> engines_;
  std::vector<hotset_session*> sessions_;
  std::vector<const void*> owners_;  // of the sessions, in the same order
  std::set<const void*> open_;
};

}  // namespace hotset::test
