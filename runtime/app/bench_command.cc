// `hotset bench`: how fast a model runs here.
#include <algorithm>
#include <cstdio>

#include "platform/bytes.h"
#include "platform/clock.h"
#include "runtime/app/bench_summary.h"
#include "runtime/app/command.h"
#include "runtime/app/figures.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

// One repetition's times.
struct Repetition {
  uint64_t prefill_ns = 0;
  uint64_t first_token_ns = 0;  // from the prompt's start until the first new token is known
  uint64_t decode_ns = 0;
};

std::string summary_line(const char* label, const BenchSummary& summary, const char* unit) {
  char text[128];
  std::snprintf(text, sizeof text, "%-12s %10.2f %s   (min %.2f, max %.2f)\n", label, summary.median, unit, summary.least,
                summary.most);
  return text;
}

Json summary_json(const BenchSummary& summary) {
  return {{"median", summary.median}, {"min", summary.least}, {"max", summary.most}};
}

class BenchCommand : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* summary() const override { return "Measure prefill and decode speed"; }

  void add_flags(Flags& flags) override {
    add_model_flags(flags, flags_);
    const auto count = [&](const char* flag, uint32_t& field, const char* help, uint32_t least) {
      flags.add(flag, &field, help).value_name("N").show_default().range(least, 1u << 24);
    };
    count("--prompt-tokens", prompt_tokens_, "Length of the prompt, of tokens drawn by a fixed rule.", 1);
    count("--gen-tokens", gen_tokens_, "Tokens to decode after the prompt, the likeliest each time.", 0);
    count("--reps", reps_, "Measured repetitions. Raise it when min and max lie far apart.", 1);
    count("--warmup", warmup_, "Repetitions before the measured ones. Set 0 to measure a cold expert cache.", 0);
    add_json_flag(flags, flags_.json, "Write the figures as JSON.");
  }

  Status execute(Console& console) override {
    Interrupt interrupt;
    return interruptible(interrupt, [&] { return measure(console, interrupt); });
  }

 private:
  Status measure(Console& console, Interrupt& interrupt) {
    const api::engine engine = open_engine(flags_, console, interrupt);
    const hotset_engine_info info = engine.info();
    if (uint64_t{prompt_tokens_} + gen_tokens_ > info.context_tokens) {
      return error(Code::kInvalidArgument, "%u prompt and %u new tokens do not fit the context of %u: raise --ctx", prompt_tokens_, gen_tokens_,
                   info.context_tokens);
    }
    api::session session(engine, api::options().set("seed", "1").set("temp", "0"));
    const auto prompt = bench_prompt(prompt_tokens_, info.vocab_size);
    hotset_stats before = HOTSET_STATS_INIT;
    std::vector<Repetition> measured;
    {
      const Interrupt::Watch watch(interrupt, session);
      for (uint32_t i = 0; i < warmup_ + reps_; ++i) {
        if (i == warmup_) before = session.stats();
        const Repetition repetition = repeat(session, prompt);
        if (i >= warmup_) measured.push_back(repetition);
      }
    }
    report(console, engine, session, measured, before);
    return ok_status();
  }

  Repetition repeat(api::session& session, std::span<const hotset_token> prompt) const {
    Repetition times;
    session.rewind(0);
    const uint64_t start_ns = now_ns();
    session.feed(prompt);
    times.prefill_ns = now_ns() - start_ns;
    hotset_token next = session.sample();
    const uint64_t decode_start_ns = now_ns();
    times.first_token_ns = decode_start_ns - start_ns;
    for (uint32_t i = 0; i < gen_tokens_; ++i) {
      session.feed(std::span(&next, 1));
      next = session.sample();
    }
    times.decode_ns = now_ns() - decode_start_ns;
    return times;
  }

  void report(Console& console, const api::engine& engine, const api::session& session, const std::vector<Repetition>& repetitions,
              const hotset_stats& before) const {
    const hotset_stats after = session.stats();
    std::vector<double> prefill, decode, first_ms;
    for (const Repetition& times : repetitions) {
      prefill.push_back(rate_per_second(prompt_tokens_, times.prefill_ns));
      decode.push_back(rate_per_second(gen_tokens_, times.decode_ns));
      first_ms.push_back(static_cast<double>(times.first_token_ns) * 1e-6);
    }
    const double hits = hit_rate(after.expert_hits - before.expert_hits, after.expert_lookups - before.expert_lookups);
    const double decode_hits = hit_rate(after.decode_hits - before.decode_hits, after.decode_lookups - before.decode_lookups);
    const uint64_t link_bytes = after.host_to_device_bytes - before.host_to_device_bytes;
    const uint64_t link_ns = after.host_to_device_ns - before.host_to_device_ns;
    if (flags_.json) {
      console.write(json_text({{"model", engine.model_name()},
                               {"device", engine.device_name()},
                               {"prompt_tokens", prompt_tokens_},
                               {"gen_tokens", gen_tokens_},
                               {"reps", reps_},
                               {"warmup", warmup_},
                               {"load_seconds", static_cast<double>(after.load_ns) * 1e-9},
                               {"prefill_tokens_per_second", summary_json(summarize(prefill))},
                               {"decode_tokens_per_second", summary_json(summarize(decode))},
                               {"first_token_ms", summary_json(summarize(first_ms))},
                               {"hit_rate", hits},
                               {"decode_hit_rate", decode_hits},
                               {"host_to_device_bytes", link_bytes},
                               {"host_to_device_busy_seconds", static_cast<double>(link_ns) * 1e-9},
                               {"figures", figures_json(session)}}));
      return;
    }
    char line[160];
    std::snprintf(line, sizeof line, "hits         %10.1f %% (decode %.1f %%)\nlink         %s host to device, %.2f GB/s\n",
                  hits * 100, decode_hits * 100, format_bytes(link_bytes).c_str(), rate_per_second(link_bytes, link_ns) * 1e-9);
    console.write(escape_controls(engine.model_name()) + " on " + escape_controls(engine.device_name()) + "\n" +
                  summary_line("prefill", summarize(prefill), "tok/s") + summary_line("decode", summarize(decode), "tok/s") +
                  summary_line("first token", summarize(first_ms), "ms   ") +
                  summary_line("load", summarize({static_cast<double>(after.load_ns) * 1e-6}), "ms   ") + line +
                  "VRAM         " + format_bytes(after.vram_peak_bytes) + " of " + format_bytes(after.vram_budget_bytes) + "\n");
  }

  ModelFlags flags_;
  uint32_t prompt_tokens_ = 512;
  uint32_t gen_tokens_ = 128;
  uint32_t reps_ = 3;
  uint32_t warmup_ = 1;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace hotset
