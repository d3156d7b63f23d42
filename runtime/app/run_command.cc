// `hotset run`: continues a prompt, answers it, or chats.
#include <optional>
#include <random>

#include "platform/clock.h"
#include "platform/file.h"
#include "runtime/app/chat.h"
#include "runtime/app/command.h"
#include "runtime/app/figures.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

// A plain continuation has no natural end in a model that tells stories, so it gets one.
constexpr uint32_t kPlainTokens = 256;
constexpr uint64_t kWatchNs = 1'000'000'000;

class RunCommand : public Command {
 public:
  const char* name() const override { return "run"; }
  const char* summary() const override { return "Continue a prompt, or chat when there is none and this is a terminal"; }

  void add_flags(Flags& flags) override {
    add_model_flags(flags, flags_);
    flags.add("-p,--prompt", &prompt_, "Text to continue. Without it and --file: standard input, or a chat on a terminal.").value_name("PROMPT");
    flags.add("-f,--file", &file_, "Read the prompt from a file; - is standard input.").value_name("FILE");
    flags.add("-n,--max-tokens", &max_tokens_,
              "Most tokens to write; 0 is until the text ends or the context is full. Without it: 256, and no limit in a chat.").value_name("N");
    flags.add("--chat", &chat_, "Put the prompt through the model's chat template, so that it answers.");
    flags.add("--system", &system_, "System message of a chat.").value_name("TEXT");
    flags.add("--trace", &trace_, "Write the experts that each token chooses to a file, for `hotset simulate` and `hotset heatmap`.")
        .value_name("FILE");
    flags.add("--trace-links", &trace_links_, "With --trace: also write when each expert crossed which link, for the picture of `hotset heatmap`.");
    flags.add("--save-state", &save_state_,
              "Keep the timeline in a file at the end, so that another run with --load-state goes on from there: a long system message or text is "
              "then read once (see --prefill-only). Ctrl-C keeps what was written so far. An earlier file stays until the new one is whole, and "
              "when Ctrl-C comes before the first word or the run fails.").value_name("FILE");
    flags.add("--prefill-only", &prefill_only_, "With --save-state: read the prompt and write nothing.");
    flags.add("--load-state", &load_state_,
              "Begin with the timeline of such a file. A plain prompt goes on after it, and -p '' as if there had been no break; a chat goes on "
              "from what it has in common with it. Of the same model and --kv-type. Sampling goes on as it was saved, or anew as any sampling "
              "flags of this run say.").value_name("FILE");
    flags.add("--explain", &explain_, "Say before the text what goes where and why, and what speed is expected of it.");
    flags.add("--watch", &watch_, "Show speed, hit rate and links on standard error, about once a second.");
    add_options(flags, FlagGroup::kSampler, flags_.options, &sampling_is_given_);
    add_json_flag(flags, flags_.json, "Write one JSON object with the text and the run's figures, instead of the text.");
  }

  Status check_usage() const override {
    if (prompt_ && file_) return error(Code::kInvalidArgument, "--prompt and --file were both given: one of them is enough");
    if (trace_links_ && !trace_) return error(Code::kInvalidArgument, "--trace-links goes with --trace, which names the file");
    if (prefill_only_ && !save_state_) return error(Code::kInvalidArgument, "--prefill-only goes with --save-state, which keeps what was read");
    if (prefill_only_ && max_tokens_) return error(Code::kInvalidArgument, "--prefill-only writes nothing: leave out --max-tokens");
    return ok_status();
  }

  Status execute(Console& console) override {
    Interrupt interrupt;
    return interruptible(interrupt, [&] { return run(console, interrupt); });
  }

 private:
  Status run(Console& console, Interrupt& interrupt) {
    HOTSET_RETURN_IF_ERROR(check_state_files());
    const bool interactive = !prompt_ && !file_ && console.input_is_terminal() && !flags_.json && !prefill_only_;
    HOTSET_ASSIGN(const std::string prompt, interactive ? std::string() : load_prompt());
    const api::engine engine = open_engine(flags_, console, interrupt);
    if ((interactive || chat_) && !engine.info().has_chat_template) {
      return error(Code::kUnsupported, "this model has no chat template: give it a text to continue with -p");
    }
    // Drawn here rather than in the library, so that the figures can name it and the run can be had again.
    if (flags_.options.get("seed") == "0") flags_.options.set("seed", std::to_string(std::random_device{}()));
    api::session session(engine, flags_.options);
    if (load_state_) HOTSET_RETURN_IF_ERROR(load(session));
    if (trace_) trace_links_ ? session.trace_links(*trace_) : session.trace(*trace_);
    if (explain_) console.draw(session.explain());
    const Status told = interactive ? chat(engine, session, console, interrupt) : write_once(engine, session, prompt, console, interrupt);
    if (!told.ok() && told.code() != Code::kCancelled) return told;
    HOTSET_RETURN_IF_ERROR(save(session, console, interrupt));
    return told;
  }

  Status chat(const api::engine& engine, api::session& session, Console& console, Interrupt& interrupt) {
    SessionChatModel model(engine, session);
    Chat chat(model, system_, max_tokens_.value_or(0));
    const Status status = chat_on_terminal(chat, session, console, interrupt);
    has_told_ = true;  // between two answers the timeline is whole
    show_figures(console, session);
    return status;
  }

  // What can be known before the model is opened, let alone told a story.
  Status check_state_files() const {
    if (load_state_) {
      const Status found = File::open(*load_state_).status();
      if (!found.ok()) return error(found.code(), "%s; --load-state goes on from a file that --save-state made", found.message().c_str());
    }
    if (!save_state_) return ok_status();
    if (!flags_.model.empty() && same_file(*save_state_, flags_.model)) {
      return error(Code::kInvalidArgument, "'%s' is the model itself: name another file for --save-state", save_state_->c_str());
    }
    const Status found = FileWriter::check(*save_state_);
    if (found.ok()) return found;
    return error(found.code(), "%s; give --save-state a file in a folder that can be written", found.message().c_str());
  }

  Status load(api::session& session) {
    try {
      session.load(*load_state_);
    } catch (const api::error& failed) {
      const auto code = static_cast<Code>(failed.code());
      const char* advice = code == Code::kCorrupt ? "; make it anew with --save-state" : "";
      return error(code, "%s%s", failed.what(), advice);
    }
    sampling_is_loaded_ = !sampling_is_given_;
    if (!sampling_is_loaded_) session.set_sampler(flags_.options);
    return ok_status();
  }

  // After Ctrl-C an error would be taken for its work, and is told here.
  Status save(api::session& session, const Console& console, const Interrupt& interrupt) const {
    if (!save_state_ || session.position() == 0 || (interrupt.pressed() && !has_told_)) return ok_status();
    try {
      session.save(*save_state_);
    } catch (const api::error& failed) {
      if (!interrupt.pressed()) throw;
      console.note(std::string("hotset: ") + failed.what());
    }
    return ok_status();
  }

  Result<std::string> load_prompt() const {
    if (prompt_) return *prompt_;
    return load_text(file_.value_or("-"), TextEnd::kDropNewline);
  }

  Status write_once(const api::engine& engine, api::session& session, const std::string& prompt, Console& console, Interrupt& interrupt) {
    std::string text;
    HOTSET_ASSIGN(const hotset_stop_reason stop, generate(engine, session, prompt, interrupt, [&](std::string_view piece) {
      has_told_ = true;
      show_progress(console, session);
      if (!flags_.json) return console.write(piece);
      text += piece;
      return true;
    }));
    if (!flags_.json && console.output_is_terminal()) console.write("\n");
    if (flags_.json) {
      console.write(json_text({{"model", engine.model_name()},
                               {"device", engine.device_name()},
                               {"text", text},
                               {"stop", stop_reason_name(stop)},
                               {"seed", sampling_is_loaded_ ? Json() : Json(std::stoull(flags_.options.get("seed")))},
                               {"figures", figures_json(session)},
                               {"history", history_json(session.history())}}));
    }
    show_figures(console, session);
    return interrupt.pressed() ? error(Code::kCancelled, "interrupted") : ok_status();
  }

  Result<hotset_stop_reason> generate(const api::engine& engine, api::session& session, const std::string& prompt, Interrupt& interrupt,
                                      const Chat::TextSink& sink) const {
    const Interrupt::Watch watch(interrupt, session);
    if (chat_) {
      SessionChatModel model(engine, session, prefill_only_);
      return Chat(model, system_, max_tokens_.value_or(0)).answer(prompt, sink);
    }
    const bool begins = session.position() == 0;
    const auto tokens = engine.tokenize(prompt, begins ? HOTSET_ADD_SPECIAL : 0);
    if (tokens.empty() && begins) return error(Code::kInvalidArgument, "the prompt is empty: give a text to continue");
    if (!prefill_only_) return session.generate(tokens, max_tokens_.value_or(kPlainTokens), sink);
    session.feed(tokens);
    return hotset_stop_reason{HOTSET_STOP_LENGTH};
  }

  void show_progress(const Console& console, const api::session& session) {
    if (!watch_ || now_ns() - watched_ns_ < kWatchNs) return;
    watched_ns_ = now_ns();
    console.draw(watch_line(session.stats()));
  }

  void show_figures(const Console& console, const api::session& session) const {
    if (flags_.json || !(console.watched() || flags_.verbose)) return;
    console.draw("\n" + figures_text(session.stats()) + "seed     " +
                 (sampling_is_loaded_ ? "that of the state" : flags_.options.get("seed")) + "\n");
  }

  ModelFlags flags_;
  std::optional<std::string> prompt_;
  std::optional<std::string> file_;
  std::string system_;
  std::optional<uint32_t> max_tokens_;
  std::optional<std::string> trace_;
  std::optional<std::string> save_state_;
  std::optional<std::string> load_state_;
  bool chat_ = false;
  bool trace_links_ = false;
  bool explain_ = false;
  bool watch_ = false;
  bool sampling_is_given_ = false;
  bool sampling_is_loaded_ = false;
  bool has_told_ = false;
  bool prefill_only_ = false;
  uint64_t watched_ns_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace hotset
