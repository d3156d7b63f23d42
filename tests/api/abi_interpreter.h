// AbiInterpreter: bytes as a program of calls of the C functions, good and bad ones: for a fuzzer, and for a seeded generator.
//
// Handles are open ones, closed ones, NULL, of another kind, or made up; structs have any size, buffers any room; callbacks cancel, throw,
// stop and call back; states are cut and changed. It knows which handles are open, which sessions are in a call and where their timelines
// are, so it knows which calls must be refused and what they may change. No test framework.
#pragma once

#include <hotset/hotset.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/api/abi_places.h"
#include "tests/api/sized.h"

namespace hotset::test {

class AbiInterpreter {
 public:
  struct Tally {
    uint64_t calls = 0;
    uint64_t good = 0;  // that gave HOTSET_OK
  };

  AbiInterpreter(std::span<const uint8_t> program, AbiPlaces places);
  ~AbiInterpreter();
  AbiInterpreter(const AbiInterpreter&) = delete;
  AbiInterpreter& operator=(const AbiInterpreter&) = delete;

  // Until the program ends, or `most_operations` were done, each a call or a few.
  void run(uint32_t most_operations);

  // What was answered that must not be; each is a bug.
  const std::vector<std::string>& complaints() const { return complaints_; }
  // By the whole name of the function.
  const std::map<std::string, Tally>& tallies() const { return tallies_; }

 private:
  using Operation = void (AbiInterpreter::*)();
  static std::span<const Operation> operations();
  void do_any();

  // --- the program's choices

  // Its next number; 0 when it has ended.
  uint8_t byte();
  uint32_t number(uint32_t below) { return below == 0 ? 0 : (uint32_t{byte()} << 8 | byte()) % below; }
  bool one_in(uint32_t count) { return number(count) == 0; }
  template <class T>
  T one_of(std::span<const T> values) {
    return values[number(static_cast<uint32_t>(values.size()))];
  }
  std::string text();
  // A path to write to, and one to read that is `good` half of the time.
  const char* out_path();
  const char* in_path(const std::string& good);
  // A struct of one of the sizes that programs have, not cut within a field.
  template <class Struct>
  Sized<Struct> sized(const Struct& values) {
    const size_t sizes[] = {sizeof values, sizeof values, sizeof values, sizeof values, sizeof values + 64, sizeof values + 8, SIZE_MAX,
                            sizeof(void*) * number(sizeof values / sizeof(void*) + 1), 3, 0};
    return {values, sizes[number(std::size(sizes))], one_in(2) ? std::byte{0} : std::byte{byte()}};
  }

  // The same where `fits` says that no field is there without another that belongs to it; else the whole struct.
  template <class Struct, class Fits>
  Sized<Struct> sized(const Struct& values, Fits fits) {
    Sized<Struct> made = sized(values);
    return !made.can_be() || fits(made.values()) ? std::move(made) : Sized<Struct>(values, sizeof values, std::byte{0});
  }

  // --- handles

  template <class Handle>
  Handle* handle(const std::vector<Handle*>& known);
  hotset_options* options() { return handle(options_); }
  hotset_engine* engine() { return handle(engines_); }
  hotset_session* session() { return handle(sessions_); }
  hotset_parser* parser() { return handle(parsers_); }
  // Open, and of the kind that its type says.
  bool is_open(const hotset_options* handle) const { return open_.contains(handle) && contains(options_, handle); }
  bool is_open(const hotset_engine* handle) const { return open_.contains(handle) && contains(engines_, handle); }
  bool is_open(const hotset_session* handle) const { return open_.contains(handle) && contains(sessions_, handle); }
  bool is_open(const hotset_parser* handle) const { return open_.contains(handle) && contains(parsers_, handle); }
  bool is_none_or_open(const hotset_options* handle) const { return handle == nullptr || is_open(handle); }
  template <class Handle>
  static bool contains(const std::vector<Handle*>& known, const Handle* handle) {
    return std::find(known.begin(), known.end(), handle) != known.end();
  }
  template <class Handle>
  size_t open_count(const std::vector<Handle*>& known) const {
    return static_cast<size_t>(std::count_if(known.begin(), known.end(), [&](const Handle* handle) { return is_open(handle); }));
  }
  template <class Handle>
  void opened(std::vector<Handle*>& known, Handle* handle) {
    known.push_back(handle);
    all_.push_back(handle);
    open_.insert(handle);
  }
  void add_session(hotset_session* session, const void* owner);
  void forget_sessions_of(const void* engine);
  // What position a session says it has; none when it does not say.
  std::optional<uint32_t> position_of(hotset_session* session) const;

  // --- calls and what their answers must be

  enum class Must {
    kAny,     // nothing is known
    kRefuse,  // HOTSET_INVALID_ARGUMENT, when handles are open
    kSucceed,
  };
  static Must must_refuse(bool bad) { return bad ? Must::kRefuse : Must::kAny; }
  // Of a function that a session can be in only once.
  Must in_turn(const hotset_session* session, bool bad = false) const { return must_refuse(bad || in_call_.contains(session)); }

  using Said = std::optional<Sized<hotset_error>>;
  Said said();
  void complain(const std::string& call, const char* what);
  // Notes the answer of a call with handles that are `open`, or not; true when it was HOTSET_OK.
  bool judge(const std::string& call, bool open, Must must, hotset_code code);
  // `call`: hotset_code(hotset_error*).
  template <class Call>
  bool make(const char* name, bool open, Must must, Call call) {
    Said where = said();
    return heard(name, where, judge(name, open, must, call(where ? where->get() : nullptr)));
  }
  bool heard(const char* name, const Said& said, bool ok);
  // `call`: hotset_code(char* buffer, size_t capacity, size_t* length, hotset_error*).
  template <class Call>
  void make_text(const char* name, bool open, Must must, Call call);
  // The same, of a session that moves its timeline on by `count` where it succeeds and nowhere else.
  template <class Call>
  void make_move(const char* name, hotset_session* of, bool bad, size_t count, Call call);
  // Nothing is known of functions that cannot fail, but that they were called.
  void make_plain(const char* name) { judge(name, true, Must::kSucceed, HOTSET_OK); }
  template <class Struct>
  void check_kept(const char* name, const Sized<Struct>& out) {
    if (!out.is_kept()) complain(name, "wrote beyond the struct, or its size");
  }

  // --- callbacks

  // Any call, sometimes: of those callbacks that the library has nothing under way in. False: stop.
  int32_t on_any();
  // What is marked "from callbacks".
  int32_t on_strict();
  void throw_once_in(uint32_t count);
  void on_logits(float* logits, size_t count);
  void on_log();

  // --- operations: abi_engine_calls.cc

  void create_options();
  void destroy_options();
  void set_option();
  void get_option();
  void look_at_names();
  void open_engine();
  void open_engine_on_device();
  void close_engine();
  void ask_engine();
  void set_budget();
  void tokenize();
  void detokenize();
  void apply_template();
  void apply_template_json();
  void open_parser();
  void close_parser();
  void parse();
  void save_hot_set();
  struct EngineOptions {
    hotset_options* handle;
    bool is_own;  // made for this, and to be destroyed
    bool is_open;
  };
  EngineOptions small_options();
  hotset_engine_params engine_params(const hotset_options* options);
  template <class Call>
  void open_with(const char* name, Must must, Call call);

  // abi_session_calls.cc

  void open_session();
  void close_session();
  void feed();
  void feed_each();
  void logits_and_sample();
  void set_filter();
  void set_sampler();
  void generate();
  void rewind();
  void ask_session();
  void look_back();
  void trace();
  void fork();
  void save_and_load_file();
  void save_bytes();
  void load_bytes();
  void embed();
  void look_at_routing();
  void show_special();
  std::vector<hotset_token> some_tokens(size_t most);

  // abi_tool_calls.cc

  void report_machine();
  void report_model();
  void report_plan();
  void report_simulation();
  void draw_heatmap();
  void pack();
  void convert();
  void measure_links();
  void enable_features();
  void ask_needs();
  // `call`: hotset_code(hotset_format, hotset_text_function, void*, hotset_error*).
  template <class Call>
  bool make_report(const char* name, bool bad, Call call);

  const std::span<const uint8_t> program_;
  const AbiPlaces places_;
  size_t at_ = 0;
  uint32_t depth_ = 0;  // of calls from callbacks
  uint64_t calls_ = 0;
  std::vector<std::string> complaints_;
  std::map<std::string, Tally> tallies_;
  std::string in_path_, out_path_;
  std::vector<std::byte> state_;  // saved last
  std::vector<hotset_options*> options_;
  std::vector<hotset_engine*> engines_;
  std::vector<hotset_session*> sessions_;
  std::vector<hotset_parser*> parsers_;
  std::vector<void*> all_;                              // of these, open and closed
  std::map<const hotset_session*, const void*> owners_;  // each session's engine
  std::set<const void*> open_;
  std::multiset<const hotset_session*> in_call_;
  std::set<const hotset_parser*> finished_;
};

template <class Handle>
Handle* AbiInterpreter::handle(const std::vector<Handle*>& known) {
  const uint32_t kind = number(48);
  if (kind == 0) return nullptr;
  if (kind == 1) return reinterpret_cast<Handle*>((uintptr_t{byte()} << 56) | (uintptr_t{byte()} << 16) | byte());
  if (kind == 2 && !all_.empty()) return static_cast<Handle*>(all_[number(static_cast<uint32_t>(all_.size()))]);
  if (known.empty()) return nullptr;
  // Mostly one of the last, which are likely to be open.
  const uint32_t back = one_in(4) ? number(static_cast<uint32_t>(known.size())) : number(std::min<uint32_t>(3, static_cast<uint32_t>(known.size())));
  return known[known.size() - 1 - back];
}

template <class Call>
void AbiInterpreter::make_text(const char* name, bool open, Must must, Call call) {
  constexpr size_t kRooms[] = {4096, 4096, 200, 16, 1, 0};
  std::vector<char> buffer(one_of<size_t>(kRooms), 'x');
  char* const to = one_in(12) ? nullptr : buffer.data();
  size_t length = SIZE_MAX;
  size_t* const told = one_in(4) ? nullptr : &length;
  const bool ok = make(name, open, must, [&](hotset_error* said) { return call(to, buffer.size(), told, said); });
  if (ok && told && (length >= buffer.size() || buffer[length] != '\0')) complain(name, "the text does not end where it says");
  const size_t written = !ok ? 0 : told ? length + 1 : buffer.size();
  if (std::any_of(buffer.begin() + static_cast<std::ptrdiff_t>(std::min(written, buffer.size())), buffer.end(), [](char c) { return c != 'x'; })) {
    complain(name, "wrote beyond the text");
  }
}

template <class Call>
void AbiInterpreter::make_move(const char* name, hotset_session* of, bool bad, size_t count, Call call) {
  const std::optional<uint32_t> before = position_of(of);
  if (is_open(of)) in_call_.insert(of);
  const Must must = must_refuse(bad || in_call_.count(of) > 1);
  const bool ok = make(name, is_open(of), must, call);
  if (const auto entry = in_call_.find(of); entry != in_call_.end()) in_call_.erase(entry);
  const std::optional<uint32_t> after = position_of(of);
  if (before && after && *after != *before + (ok ? count : 0)) complain(name, "the timeline is not where it should be");
}

}  // namespace hotset::test
