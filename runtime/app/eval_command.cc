// `hotset eval`: the logits of a list of tokens as a file, or the perplexity of a text.
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "platform/os_file.h"
#include "runtime/app/command.h"
#include "runtime/app/figures.h"
#include "runtime/app/model_flags.h"
#include "runtime/app/perplexity.h"
#include "runtime/app/token_list.h"

namespace hotset {
namespace {

static_assert(std::endian::native == std::endian::little, "logits files are little-endian");

// The window that perplexities of small models are mostly given for; a smaller context shortens it.
constexpr uint32_t kUsualWindow = 512;

// Where logits go: float32 [positions][vocab]. Keeps the first failure, since a sink cannot report one.
class LogitsFile {
 public:
  static Result<std::unique_ptr<LogitsFile>> create(const std::string& path) {
    const os::OpenedFile opened = os::open_to_write(path, true);
    if (opened.error != 0) return error(Code::kIo, "cannot write '%s': %s", path.c_str(), std::strerror(opened.error));
    return std::unique_ptr<LogitsFile>(new LogitsFile(path, opened.handle));
  }
  ~LogitsFile() { os::close(file_); }
  LogitsFile(const LogitsFile&) = delete;
  LogitsFile& operator=(const LogitsFile&) = delete;

  void append(std::span<const float> logits) {
    const os::MovedBytes put = errno_ == 0 ? os::write_all_at(file_, size_bytes_, std::as_bytes(logits)) : os::MovedBytes();
    size_bytes_ += put.size_bytes;
    errno_ = errno_ == 0 ? put.error : errno_;
    ++positions_;
  }

  Status status() const {
    if (errno_ == 0) return ok_status();
    return error(Code::kIo, "cannot write '%s': %s", path_.c_str(), std::strerror(errno_));
  }

  uint64_t positions() const { return positions_; }

 private:
  LogitsFile(std::string path, os::FileHandle file) : path_(std::move(path)), file_(file) {}

  const std::string path_;
  const os::FileHandle file_;
  uint64_t size_bytes_ = 0;
  uint64_t positions_ = 0;
  int errno_ = 0;  // of the first failure
};

// As one prompt, or token by token.
void feed(api::session& session, std::span<const hotset_token> tokens, bool one_by_one, const api::session::position_function& sink) {
  if (!one_by_one) return session.feed(tokens, sink);
  for (size_t i = 0; i < tokens.size(); ++i) session.feed(tokens.subspan(i, 1), sink);
}

class EvalCommand : public Command {
 public:
  const char* name() const override { return "eval"; }
  const char* summary() const override { return "Write the logits of given tokens, or score a text"; }

  void add_flags(Flags& flags) override {
    add_model_flags(flags, flags_);
    flags.add("--tokens", &tokens_, "Token ids to feed: 1,2,3, or @FILE for a file that holds such a list.").value_name("IDS").check(token_list_flaw);
    flags.add("--logits", &logits_path_, "Where the logits go: little-endian float32 [positions][vocabulary]. Goes with --tokens.").value_name("OUT");
    flags.add("--one-by-one", &one_by_one_, "Feed each token as a step of its own instead of one prompt.");
    flags.add("--text", &text_path_, "A text file to score: token count, mean negative log-likelihood (nats), perplexity. - is standard input.")
        .value_name("FILE");
    flags.add("--window", &window_,
              "Tokens of one context when scoring; a window's first token is not scored. Change it to compare with figures that used another.")
        .value_name("TOKENS=512").range(2, 1u << 24);
    flags.add("--max-tokens", &max_tokens_, "Score only this many tokens of the text; 0 is all.").value_name("N").show_default();
    add_json_flag(flags, flags_.json, "Write the result and the run's figures as JSON.");
  }

  Status check_usage() const override {
    if (tokens_.empty() == text_path_.empty()) return error(Code::kInvalidArgument, "give either --tokens or --text");
    if (tokens_.empty() != logits_path_.empty()) {
      return error(Code::kInvalidArgument, "--tokens and --logits go together");
    }
    return ok_status();
  }

  Status execute(Console& console) override {
    Interrupt interrupt;
    return interruptible(interrupt, [&] { return tokens_.empty() ? score_text(console, interrupt) : write_logits(console, interrupt); });
  }

 private:
  Status write_logits(Console& console, Interrupt& interrupt) {
    HOTSET_ASSIGN(const auto tokens, load_token_list(tokens_));
    const api::engine engine = open_engine(flags_, console, interrupt);
    api::session session(engine);
    HOTSET_ASSIGN(const auto file, LogitsFile::create(logits_path_));
    {
      const Interrupt::Watch watch(interrupt, session);
      feed(session, tokens, one_by_one_, [&](uint32_t, std::span<const float> logits) { file->append(logits); });
    }
    HOTSET_RETURN_IF_ERROR(file->status());
    report(console, session, {{"positions", file->positions()}, {"vocab_size", engine.info().vocab_size}, {"logits_file", logits_path_}});
    return ok_status();
  }

  Status score_text(Console& console, Interrupt& interrupt) {
    HOTSET_ASSIGN(const std::string text, load_text(text_path_, TextEnd::kAsIs));
    const api::engine engine = open_engine(flags_, console, interrupt);
    const uint32_t context_tokens = engine.info().context_tokens;
    const uint32_t window = window_.value_or(std::min(kUsualWindow, context_tokens));
    if (window > context_tokens) {
      return error(Code::kInvalidArgument, "a window of %u tokens does not fit the context of %u: raise --ctx or lower --window", window,
                   context_tokens);
    }
    auto tokens = engine.tokenize(text);
    if (max_tokens_ != 0 && tokens.size() > max_tokens_) tokens.resize(max_tokens_);
    api::session session(engine);
    const LikelihoodSum sum = score(session, tokens, window, interrupt);
    if (sum.scored_tokens == 0) return error(Code::kInvalidArgument, "'%s' is too short to score", text_path_.c_str());
    report(console, session,
           {{"tokens", tokens.size()}, {"scored_tokens", sum.scored_tokens}, {"window", window}, {"mean_nll", sum.mean_nats()},
            {"perplexity", sum.perplexity()}});
    return ok_status();
  }

  LikelihoodSum score(api::session& session, std::span<const hotset_token> tokens, uint32_t window_tokens, Interrupt& interrupt) const {
    const Interrupt::Watch watch(interrupt, session);
    LikelihoodSum sum;
    for (const auto window : evaluation_windows(tokens, window_tokens)) {
      session.rewind(0);
      // The last token is only foretold, so it need not be fed.
      feed(session, window.first(window.size() - 1), one_by_one_, [&](uint32_t position, std::span<const float> logits) {
        sum.add(negative_log_likelihood(logits, window[position + 1]));
      });
    }
    return sum;
  }

  void report(Console& console, const api::session& session, Json result) const {
    if (flags_.json) {
      result["figures"] = figures_json(session);
      console.write(json_text(result));
      return;
    }
    for (const auto& [key, value] : result.items()) {
      std::string label = key;
      label.resize(std::max<size_t>(label.size(), 14), ' ');
      console.write(label + " " + (value.is_string() ? value.get<std::string>() : value.dump()) + "\n");
    }
    if (console.watched() || flags_.verbose) console.draw(figures_text(session.stats()));
  }

  ModelFlags flags_;
  std::string tokens_;
  std::string logits_path_;
  std::string text_path_;
  bool one_by_one_ = false;
  std::optional<uint32_t> window_;
  uint64_t max_tokens_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_eval_command() { return std::make_unique<EvalCommand>(); }

}  // namespace hotset
