// The shipped model: identity under every budget, the budget itself, greedy text, perplexity.
#include <cmath>

#include "runtime/app/perplexity.h"
#include "tests/engine/model_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

const std::string& model_file() {
  static const std::string path = model_path("storyteller-35m-q4_k_m.gguf");
  return path;
}

std::string heldout_text(size_t bytes) {
  const auto text = read_whole_file(model_path("heldout.txt"), 1u << 20);
  REQUIRE(text.ok());
  return text->substr(0, bytes);
}

EngineOptions storyteller(std::optional<uint64_t> vram_bytes = {}) {
  EngineOptions options;
  options.model_path = model_file();
  options.context_tokens = 512;
  options.miss = MissChoice::kGpu;  // the CPU rounds
  if (vram_bytes) options.vram = ByteSize{*vram_bytes, 0, false};
  return options;
}

struct RunResult {
  std::vector<TokenId> tokens;
  uint64_t logits_hash = 0;
  SessionStats stats;
};

// A prompt of a few hundred tokens with all its logits, then decode.
RunResult run_at(uint64_t vram_bytes, const std::vector<TokenId>& prompt, size_t decode_tokens) {
  const auto engine = open_engine(storyteller(vram_bytes));
  const auto session = open_session(*engine);
  RunResult result;
  all_logits(*session, prompt, false);
  session->rewind(0);
  result.tokens = greedy(*session, prompt, decode_tokens);
  result.stats = session->stats();
  result.logits_hash = result.stats.logits_hash;
  return result;
}

std::vector<TokenId> heldout_tokens(size_t count) {
  const auto text = Engine::open_text(model_file());
  REQUIRE_MESSAGE(text.ok(), text.status().message());
  // Encoded with more behind it: what follows a cut can change the last tokens before it.
  auto ids = text.value()->tokenize(heldout_text(count * 8), true, false);
  REQUIRE(ids.ok());
  ids->resize(count);
  return *ids;
}

}  // namespace

TEST_CASE("model: offloading never changes a bit of the logits") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const auto report = inspect_model(model_file());
  REQUIRE(report.ok());
  const auto prompt = heldout_tokens(200);
  const uint64_t least = least_vram_bytes(storyteller());
  const uint64_t all = report->all_expert_bytes;
  const RunResult whole = run_at(1ull << 30, prompt, 48);
  CHECK(whole.stats.decode_hits == whole.stats.decode_lookups);
  CHECK(whole.stats.cache_slots == report->moe_layers * report->experts);
  uint64_t slots_before = whole.stats.cache_slots;
  // The fixed part is what the least budget holds beside its top-k slots a layer.
  const uint64_t fixed = least - all * report->experts_used / report->experts;
  for (const uint64_t budget : {fixed + all / 2 + (1u << 20), fixed + all / 4 + (1u << 20), least}) {
    CAPTURE(budget);
    const RunResult part = run_at(budget, prompt, 48);
    CHECK(part.tokens == whole.tokens);
    CHECK(part.logits_hash == whole.logits_hash);
    CHECK(part.stats.vram_peak_bytes <= budget);
    CHECK(part.stats.cache_slots < slots_before);
    CHECK(part.stats.decode_hits < part.stats.decode_lookups);
    slots_before = part.stats.cache_slots;
  }
}

TEST_CASE("model: a decoded token is one submit when every expert is resident") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const auto engine = open_engine(storyteller(1ull << 30));
  const auto session = open_session(*engine);
  greedy(*session, heldout_tokens(8), 33);
  const SessionStats stats = session->stats();
  CHECK(stats.decode_tokens == 32);
  CHECK(stats.decode_submits == 32);
  CHECK(stats.stall_ns == 0);
}

TEST_CASE("model: a prompt longer than the batch runs at the smallest budget") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const auto engine = open_engine(storyteller(least_vram_bytes(storyteller())));
  const auto session = open_session(*engine);
  CHECK(session->feed(heldout_tokens(400)).ok());
  CHECK(session->logits().size() == engine->vocab_size());
}

TEST_CASE("model: a budget that is too small is refused by name, and the least one named works") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const uint64_t least = least_vram_bytes(storyteller());
  const auto refused = Engine::open(storyteller(least - 1));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == Code::kOverBudget);
  const auto engine = open_engine(storyteller(least));
  const auto session = open_session(*engine);
  CHECK(greedy(*session, heldout_tokens(4), 4).size() == 4);
  CHECK(session->stats().vram_peak_bytes <= least);
}

TEST_CASE("model: greedy text is the reference's wherever its margin is clear") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  // Quantised activations in the reference move a logit by about 0.16 on average (model card): half a logit is clear.
  constexpr double kClearMargin = 0.5;
  const auto expect = read_json(model_path("expect.json"))["files"]["storyteller-35m-q4_k_m.gguf"]["greedy"];
  const auto engine = open_engine(storyteller());
  const auto session = open_session(*engine);
  int compared = 0;
  for (const auto& row : expect) {
    const auto next = row["next"].get<std::vector<TokenId>>();
    const auto margin = row["margin"].get<std::vector<double>>();
    session->rewind(0);
    REQUIRE(session->feed(row["ids"].get<std::vector<TokenId>>()).ok());
    // Along the reference's own tokens, so that one near-tie does not end the comparison.
    for (size_t i = 0; i < next.size(); ++i) {
      if (margin[i] >= kClearMargin) {
        CAPTURE(i);
        CHECK(session->sample() == next[i]);
        ++compared;
      }
      REQUIRE(session->feed({&next[i], 1}).ok());
    }
  }
  CHECK(compared > 40);
}

TEST_CASE("model: a decode step's misses are paid once, then hit") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const auto engine = open_engine(storyteller(least_vram_bytes(storyteller())));
  const auto session = open_session(*engine);
  const auto tokens = heldout_tokens(1);
  for (int round = 0; round < 3; ++round) {
    session->rewind(0);
    const uint64_t bytes_before = session->stats().host_to_device.bytes;
    REQUIRE(session->feed(tokens).ok());
    if (round > 0) CHECK(session->stats().host_to_device.bytes == bytes_before);
  }
}

TEST_CASE("model: wrong calls are refused and leave the session usable") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const auto engine = open_engine(storyteller());
  const auto session = open_session(*engine);
  const TokenId outside = 4096;
  const TokenId negative = -1;
  CHECK_FALSE(session->feed({&outside, 1}).ok());
  CHECK_FALSE(session->feed({&negative, 1}).ok());
  CHECK_FALSE(session->feed(std::vector<TokenId>(513, 5)).ok());
  CHECK_FALSE(session->generate({}, 4, {}).ok());
  session->request_stop();
  CHECK(session->feed(heldout_tokens(64)).code() == Code::kCancelled);
  session->clear_stop();
  CHECK(session->position() == 0);
  CHECK(session->feed(heldout_tokens(64)).ok());
  CHECK(session->position() == 64);
}

TEST_CASE("storyteller: perplexity on held-out text is the reference's within half a percent") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  // The rule of expect.json: text encoded whole; windows, each its own context; all but a window's first token scored.
  const auto expect = read_json(model_path("expect.json"));
  const double reference = expect["files"]["storyteller-35m-q4_k_m.gguf"]["ppl"].get<double>();
  const auto window = expect["heldout"]["window"].get<uint32_t>();
  const auto tokens = heldout_tokens(expect["heldout"]["tokens"].get<size_t>());
  const auto engine = open_engine(storyteller());
  const auto session = open_session(*engine);
  LikelihoodSum sum;
  for (const auto part : evaluation_windows(tokens, window)) {
    session->rewind(0);
    const Status fed = session->feed(part, [&](uint32_t position, std::span<const float> logits) {
      if (position + 1 < part.size()) sum.add(negative_log_likelihood(logits, part[position + 1]));
    });
    REQUIRE_MESSAGE(fed.ok(), fed.message());
  }
  CHECK(sum.scored_tokens > 16000);
  CHECK(sum.perplexity() == doctest::Approx(reference).epsilon(0.005));
}
