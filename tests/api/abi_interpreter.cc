#include "tests/api/abi_interpreter.h"

#include <cmath>
#include <stdexcept>

namespace hotset::test {
namespace {

constexpr uint32_t kMostDepth = 2;

}  // namespace

AbiInterpreter::AbiInterpreter(std::span<const uint8_t> program, AbiPlaces places) : program_(program), places_(std::move(places)) {}

AbiInterpreter::~AbiInterpreter() {
  for (hotset_parser* parser : parsers_) hotset_parser_close(parser);
  for (hotset_session* session : sessions_) hotset_session_close(session);
  for (hotset_engine* engine : engines_) hotset_engine_close(engine);
  for (hotset_options* options : options_) hotset_options_destroy(options);
}

std::span<const AbiInterpreter::Operation> AbiInterpreter::operations() {
  using Self = AbiInterpreter;
  // Those that do most come more often.
  static constexpr Operation all[] = {
      &Self::create_options, &Self::destroy_options, &Self::set_option, &Self::set_option, &Self::get_option, &Self::look_at_names,
      &Self::open_engine, &Self::open_engine, &Self::open_engine_on_device, &Self::close_engine, &Self::ask_engine, &Self::set_budget,
      &Self::tokenize, &Self::detokenize, &Self::apply_template, &Self::apply_template_json, &Self::open_parser, &Self::close_parser,
      &Self::parse, &Self::parse, &Self::save_hot_set,
      &Self::open_session, &Self::open_session, &Self::close_session, &Self::feed, &Self::feed, &Self::feed, &Self::feed, &Self::feed_each,
      &Self::logits_and_sample, &Self::logits_and_sample, &Self::set_filter, &Self::set_sampler, &Self::generate, &Self::generate, &Self::generate,
      &Self::rewind, &Self::ask_session, &Self::look_back, &Self::trace, &Self::fork, &Self::save_and_load_file, &Self::save_bytes,
      &Self::save_bytes, &Self::load_bytes, &Self::load_bytes, &Self::load_bytes, &Self::embed, &Self::look_at_routing, &Self::show_special,
      &Self::report_machine, &Self::report_model, &Self::report_plan, &Self::report_simulation, &Self::draw_heatmap, &Self::pack,
      &Self::convert, &Self::measure_links, &Self::enable_features, &Self::ask_needs};
  return all;
}

void AbiInterpreter::do_any() {
  const auto all = operations();
  (this->*all[number(static_cast<uint32_t>(all.size()))])();
}

void AbiInterpreter::run(uint32_t most_operations) {
  for (uint32_t i = 0; i < most_operations && at_ < program_.size(); ++i) do_any();
}

uint8_t AbiInterpreter::byte() { return at_ < program_.size() ? program_[at_++] : uint8_t{0}; }

std::string AbiInterpreter::text() {
  if (!one_in(4)) return std::string("Once upon a time there was").substr(0, number(27));
  std::string text(number(40), '\0');
  for (char& c : text) c = static_cast<char>(byte());
  return text;
}

const char* AbiInterpreter::out_path() {
  switch (number(10)) {
    case 0: return nullptr;
    case 1: out_path_ = places_.out; break;
    case 2: out_path_ = "/nonexistent/file"; break;
    case 3: out_path_ = std::string(5000, 'x'); break;
    case 4: out_path_.clear(); break;
    default: out_path_ = places_.out + "/file" + std::to_string(number(3));
  }
  return out_path_.c_str();
}

const char* AbiInterpreter::in_path(const std::string& good) {
  if (one_in(16)) return nullptr;
  const std::string* const others[] = {&places_.model, &places_.checkpoint, &places_.trace, &places_.links, &places_.out};
  switch (number(10)) {
    case 0: in_path_ = *others[number(std::size(others))]; break;
    case 1: in_path_ = "/nonexistent/file"; break;
    case 2: in_path_.clear(); break;
    case 3: in_path_ = places_.out + "/file" + std::to_string(number(3)); break;
    default: in_path_ = good;
  }
  return in_path_.c_str();
}

AbiInterpreter::Said AbiInterpreter::said() {
  if (one_in(16)) return {};
  hotset_error error = HOTSET_ERROR_INIT;
  error.code = -7;
  return Sized<hotset_error>(error, one_in(8) ? number(600) : sizeof error, std::byte{'x'});
}

void AbiInterpreter::complain(const std::string& call, const char* what) {
  complaints_.push_back(call + ": " + what + " (call " + std::to_string(calls_) + ")");
}

bool AbiInterpreter::judge(const std::string& call, bool open, Must must, hotset_code code) {
  ++calls_;
  const bool ok = code == HOTSET_OK;
  Tally& tally = tallies_["hotset_" + call];
  ++tally.calls;
  tally.good += ok;
  if (code < HOTSET_OK || code > HOTSET_TOO_SMALL) complain(call, "a code that is none");
  if (open == (code == HOTSET_INVALID_HANDLE)) complain(call, open ? "an open handle was refused" : "a handle that is not open was taken");
  if (open && must == Must::kRefuse && code != HOTSET_INVALID_ARGUMENT) complain(call, "what cannot be was not refused as an invalid argument");
  if (open && must == Must::kSucceed && !ok) complain(call, "what is right was refused");
  return ok;
}

bool AbiInterpreter::heard(const char* name, const Said& said, bool ok) {
  if (!said) return ok;
  check_kept(name, *said);
  if (!said->has_all()) return ok;
  const hotset_error error = said->values();
  if ((error.code == HOTSET_OK) != ok || error.code == -7) complain(name, "the error is of another code");
  const std::string_view line(error.message, strnlen(error.message, sizeof error.message));
  if (line.size() == sizeof error.message) complain(name, "the message does not end");
  if (line.empty() != ok) complain(name, "an error says nothing, or success something");
  if (line.find('\n') != line.npos) complain(name, "the message is more than a line");
  return ok;
}

void AbiInterpreter::add_session(hotset_session* session, const void* owner) {
  opened(sessions_, session);
  owners_[session] = owner;
}

void AbiInterpreter::forget_sessions_of(const void* engine) {
  for (const auto& [session, owner] : owners_) {
    if (owner == engine) open_.erase(session);
  }
}

std::optional<uint32_t> AbiInterpreter::position_of(hotset_session* session) const {
  uint32_t position = 0;
  return hotset_session_position(session, &position, nullptr) == HOTSET_OK ? std::optional(position) : std::nullopt;
}

void AbiInterpreter::throw_once_in(uint32_t count) {
  if (one_in(count)) throw std::length_error("of a callback");
}

int32_t AbiInterpreter::on_any() {
  throw_once_in(100);
  if (one_in(20)) return 0;
  if (depth_ < kMostDepth && one_in(6)) {
    ++depth_;
    do_any();
    --depth_;
  }
  return 1;
}

int32_t AbiInterpreter::on_strict() {
  throw_once_in(1000);
  on_log();
  return !one_in(500);
}

void AbiInterpreter::on_log() {
  if (!one_in(20)) return;
  hotset_session* const of = session();
  if (one_in(8)) judge("session_stop", is_open(of), Must::kSucceed, hotset_session_stop(of));
  hotset_stats stats = HOTSET_STATS_INIT;
  make("session_get_stats", is_open(of), Must::kSucceed, [&](hotset_error* said) { return hotset_session_get_stats(of, &stats, said); });
}

void AbiInterpreter::on_logits(float* logits, size_t count) {
  on_strict();
  const float value = one_in(2) ? -INFINITY : NAN;
  const size_t changed = one_in(3) ? count : std::min<size_t>(count, number(300));
  std::fill_n(logits, changed, value);
}

}  // namespace hotset::test
