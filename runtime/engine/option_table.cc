#include "runtime/engine/option_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "offload/policy.h"

namespace hotset {
namespace {

// Values longer than this are cut in messages.
constexpr int kShownChars = 40;

int shown(std::string_view text) { return static_cast<int>(std::min<size_t>(text.size(), kShownChars)); }

template <class T>
Status set_count(T& field, std::string_view text, T least, T most) {
  T value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return error(Code::kInvalidArgument, "'%.*s' is not a whole number from %llu to %llu", shown(text), text.data(),
                 static_cast<unsigned long long>(least), static_cast<unsigned long long>(most));
  }
  field = value;
  return ok_status();
}

Status set_number(float& field, std::string_view text, float least, float most) {
  float value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most)) {
    return error(Code::kInvalidArgument, "'%.*s' is not a number from %g to %g", shown(text), text.data(),
                 static_cast<double>(least), static_cast<double>(most));
  }
  field = value;
  return ok_status();
}

// Shortest text that reads back as the same number.
std::string number_text(float value) {
  std::array<char, 32> text;
  const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc() ? std::string(text.data(), end) : std::string();
}

Status set_budget(std::optional<ByteSize>& field, std::string_view text) {
  if (text == "auto") {
    field.reset();
    return ok_status();
  }
  HOTSET_ASSIGN(field, parse_byte_size(text));
  return ok_status();
}

std::string budget_text(const std::optional<ByteSize>& budget) {
  if (!budget) return "auto";
  if (!budget->is_percent) return std::to_string(budget->bytes);
  return number_text(static_cast<float>(budget->percent)) + "%";
}

Status set_policy(OptionSet& options, std::string_view text) {
  const auto names = policy_names();
  if (text != "auto" && std::find(names.begin(), names.end(), text) == names.end()) {
    std::string known = "auto";
    for (const std::string_view name : names) known += ", " + std::string(name);
    return error(Code::kInvalidArgument, "'%.*s' is not a policy: write one of %s", shown(text), text.data(), known.c_str());
  }
  options.engine.policy = text;
  return ok_status();
}

// A choice by name: `names` in the order of the enumeration.
template <class Choice, size_t kCount>
Status set_choice(Choice& field, std::string_view text, const std::array<const char*, kCount>& names) {
  for (size_t i = 0; i < kCount; ++i) {
    if (text != names[i]) continue;
    field = static_cast<Choice>(i);
    return ok_status();
  }
  std::string known = names[0];
  for (size_t i = 1; i < kCount; ++i) known += std::string(i + 1 == kCount ? " or " : ", ") + names[i];
  return error(Code::kInvalidArgument, "'%.*s' is not a choice: write %s", shown(text), text.data(), known.c_str());
}

constexpr std::array kMissNames = {"auto", "gpu", "cpu", "wait"};             // MissChoice
constexpr std::array kPriorityNames = {"normal", "low"};                     // GpuPriority
constexpr std::array kPrefetchNames = {"auto", "off", "router", "history"};  // PrefetchChoice

Status set_kv_type(OptionSet& options, std::string_view text) {
  if (text == "f16") options.engine.kv_type = KvType::kF16;
  else if (text == "f32") options.engine.kv_type = KvType::kF32;
  else return error(Code::kInvalidArgument, "'%.*s' is not a type: write f16 or f32", shown(text), text.data());
  return ok_status();
}

Status set_switch(bool& field, std::string_view text) {
  if (text == "true") field = true;
  else if (text == "false") field = false;
  else return error(Code::kInvalidArgument, "'%.*s' is neither true nor false", shown(text), text.data());
  return ok_status();
}

Status set_device(OptionSet& options, std::string_view text) {
  if (text.empty()) return error(Code::kInvalidArgument, "a device is auto, its number or part of its name");
  options.engine.device = text;
  return ok_status();
}

using O = OptionSet;
using V = std::string_view;
using enum OptionGroup;
using enum OptionKind;

// Upper bounds are where 32-bit sizes of one pass would end, far above what any model wants.
constexpr uint32_t kMostContext = 1u << 24;
constexpr uint32_t kMostBatch = 1u << 16;
constexpr uint32_t kMostThreads = 4096;

constexpr std::array kTable = {
    OptionSpec{"device", kEngine, kText, "DEVICE",
               "What runs the model: auto, cpu, vulkan, the number of a Vulkan device in `hotset devices`, or part of its name. Change it "
               "when there are several.",
               set_device, [](const O& o) { return o.engine.device; }},
    OptionSpec{"vram", kEngine, kSize, "SIZE",
               "Hard budget for all device memory: 512M, 6GiB, or 80% of what is free; auto is 90%. Lower it to leave "
               "room for other programs.",
               [](O& o, V text) { return set_budget(o.engine.vram, text); }, [](const O& o) { return budget_text(o.engine.vram); }},
    OptionSpec{"ram", kEngine, kSize, "SIZE",
               "Hard budget for experts in RAM, as --vram; what does not fit is read from disk. auto is all of them, or 80% of what is "
               "free. Lower it to leave room for other programs.",
               [](O& o, V text) { return set_budget(o.engine.ram, text); }, [](const O& o) { return budget_text(o.engine.ram); }},
    OptionSpec{"ctx", kEngine, kCount, "TOKENS",
               "Longest prompt and answer together; 0 is the model's own, at most 4096. Lower it to save memory, raise it "
               "for long texts.",
               [](O& o, V text) { return set_count(o.engine.context_tokens, text, 0u, kMostContext); },
               [](const O& o) { return std::to_string(o.engine.context_tokens); }},
    OptionSpec{"batch", kEngine, kCount, "TOKENS",
               "Most prompt tokens in one pass. Lower it to leave more of a tight budget to the expert cache.",
               [](O& o, V text) { return set_count(o.engine.batch_tokens, text, 1u, kMostBatch); },
               [](const O& o) { return std::to_string(o.engine.batch_tokens); }},
    OptionSpec{"threads", kEngine, kCount, "N",
               "Host threads that read the model; 0 is one for each core. Lower it when the machine has other work.",
               [](O& o, V text) { return set_count(o.engine.threads, text, 0u, kMostThreads); },
               [](const O& o) { return std::to_string(o.engine.threads); }},
    OptionSpec{"policy", kEngine, kText, "NAME",
               "Which expert leaves the cache when another needs its place: auto is the one that won on recorded routing; `hotset "
               "simulate --help` names the others. Change it to compare.",
               set_policy, [](const O& o) { return o.engine.policy; }},
    OptionSpec{"miss", kEngine, kChoice, "auto|gpu|cpu|wait",
               "How an expert outside VRAM is served: gpu reads it in host memory, cpu runs it there, wait copies it first; auto is "
               "what was measured to be fastest here. gpu and wait give the same tokens to the bit.",
               [](O& o, V text) { return set_choice(o.engine.miss, text, kMissNames); },
               [](const O& o) -> std::string { return kMissNames[static_cast<size_t>(o.engine.miss)]; }},
    OptionSpec{"prefetch", kEngine, kChoice, "auto|off|router|history",
               "Where guesses come from that read experts ahead from disk: the next layer's router, or what was chosen together before; auto "
               "tries the router's and keeps them where tokens come sooner. Name one to compare.",
               [](O& o, V text) { return set_choice(o.engine.prefetch, text, kPrefetchNames); },
               [](const O& o) -> std::string { return kPrefetchNames[static_cast<size_t>(o.engine.prefetch)]; }},
    OptionSpec{"hot-set", kEngine, kText, "FILE",
               "Keeps the experts that were used most in this file when the run ends, and begins with them the next time. Set it to "
               "start warm.",
               [](O& o, V text) {
                 o.engine.hot_set_path = text;
                 return ok_status();
               },
               [](const O& o) { return o.engine.hot_set_path; }},
    OptionSpec{"pack", kEngine, kText, "FILE",
               "Reads experts from this file of `hotset pack` instead of the model's own, with fewer and larger reads. Set it when "
               "experts come from disk.",
               [](O& o, V text) {
                 o.engine.pack_path = text;
                 return ok_status();
               },
               [](const O& o) { return o.engine.pack_path; }},
    OptionSpec{"kv-type", kEngine, kChoice, "f16|f32",
               "Number type of the attention cache. f32 doubles its size and serves comparisons with references.",
               set_kv_type,
               [](const O& o) -> std::string { return o.engine.kv_type == KvType::kF16 ? "f16" : "f32"; }},
    OptionSpec{"block-sparse", kEngine, kSwitch, "",
               "Attention of MiniMax-M3 sees only the blocks of positions that its indexer chooses, in place of all, as its reference results "
               "do. Set it for long contexts, where it is cheaper.",
               [](O& o, V text) { return set_switch(o.engine.block_sparse, text); },
               [](const O& o) -> std::string { return o.engine.block_sparse ? "true" : "false"; }},
    OptionSpec{"slice", kEngine, kNumber, "MS",
               "Most milliseconds of GPU time that are asked for at once; longer work is cut between operations, so that other work on the GPU "
               "gets its turn. 0 cuts nothing. Set it to 2 or so where the same GPU draws frames; the tokens stay the same.",
               [](O& o, V text) { return set_number(o.engine.slice_ms, text, 0, 10'000); },
               [](const O& o) { return number_text(o.engine.slice_ms); }},
    OptionSpec{"gpu-priority", kEngine, kChoice, "normal|low",
               "low lets the work of other programs on the GPU go first, where the driver knows such queues. Set it to run in the background.",
               [](O& o, V text) { return set_choice(o.engine.gpu_priority, text, kPriorityNames); },
               [](const O& o) -> std::string { return kPriorityNames[static_cast<size_t>(o.engine.gpu_priority)]; }},
    OptionSpec{"validation", kEngine, kSwitch, "",
               "Run under the Vulkan validation layer, slowly. For work on Hotset itself.",
               [](O& o, V text) { return set_switch(o.engine.validation, text); },
               [](const O& o) -> std::string { return o.engine.validation ? "true" : "false"; }},
    OptionSpec{"seed", kSampler, kCount, "N",
               "Start of the random choices; 0 is a new one each time. Set it to get the same text again.",
               [](O& o, V text) { return set_count<uint64_t>(o.sampler.seed, text, 0, UINT64_MAX); },
               [](const O& o) { return std::to_string(o.sampler.seed); }},
    OptionSpec{"temp", kSampler, kNumber, "T",
               "Temperature: 0 always takes the likeliest token, higher is freer. Lower it for facts, raise it for variety.",
               [](O& o, V text) { return set_number(o.sampler.temperature, text, 0, 100); },
               [](const O& o) { return number_text(o.sampler.temperature); }},
    OptionSpec{"top-k", kSampler, kCount, "K",
               "Choose among the K likeliest tokens only; 0 is all. Lower it when the text goes astray.",
               [](O& o, V text) { return set_count(o.sampler.top_k, text, 0u, 1u << 30); },
               [](const O& o) { return std::to_string(o.sampler.top_k); }},
    OptionSpec{"top-p", kSampler, kNumber, "P",
               "Choose among the likeliest tokens that make up this probability; 1 is all. Lower it when the text goes astray.",
               [](O& o, V text) { return set_number(o.sampler.top_p, text, 0.001f, 1); },
               [](const O& o) { return number_text(o.sampler.top_p); }},
    OptionSpec{"min-p", kSampler, kNumber, "P",
               "Drop tokens less likely than this share of the likeliest; 0 is none. Raise it at high temperatures.",
               [](O& o, V text) { return set_number(o.sampler.min_p, text, 0, 1); },
               [](const O& o) { return number_text(o.sampler.min_p); }},
    OptionSpec{"repeat-penalty", kSampler, kNumber, "X",
               "Makes recent tokens less likely; 1 is no penalty. Try 1.1 when the text repeats itself.",
               [](O& o, V text) { return set_number(o.sampler.repeat_penalty, text, 0.01f, 100); },
               [](const O& o) { return number_text(o.sampler.repeat_penalty); }},
    OptionSpec{"repeat-last-n", kSampler, kCount, "N",
               "How many recent tokens the repeat penalty sees. Raise it against long loops.",
               [](O& o, V text) { return set_count(o.sampler.repeat_last_n, text, 0u, kMaxRepeatTokens); },
               [](const O& o) { return std::to_string(o.sampler.repeat_last_n); }},
};

}  // namespace

std::span<const OptionSpec> option_table() { return kTable; }

const OptionSpec* find_option(std::string_view name) {
  for (const OptionSpec& option : kTable) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

Status set_option(OptionSet& options, std::string_view name, std::string_view text) {
  const OptionSpec* option = find_option(name);
  if (!option) return error(Code::kNotFound, "there is no option '%.*s'", shown(name), name.data());
  return option->set(options, text).with_context(name);
}

std::string default_text(const OptionSpec& option) { return option.get(OptionSet{}); }

}  // namespace hotset
