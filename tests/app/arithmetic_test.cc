// The program's pure functions: likelihoods, windows, summaries, token lists, figures, progress.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "runtime/app/bench_summary.h"
#include "runtime/app/console.h"
#include "runtime/app/figures.h"
#include "runtime/app/perplexity.h"
#include "runtime/app/progress_bar.h"
#include "runtime/app/token_list.h"

using namespace hotset;

TEST_CASE("perplexity: negative log-likelihood of known distributions") {
  struct Row {
    std::vector<float> logits;
    hotset_token target;
    double nats;
  };
  const std::vector<Row> table = {
      {{0, 0, 0, 0}, 2, std::log(4.0)},
      {{5}, 0, 0},
      {{std::log(3.0f), 0}, 0, std::log(4.0 / 3.0)},
      {{std::log(3.0f), 0}, 1, std::log(4.0)},
      {{1000, 1000}, 0, std::log(2.0)},          // would overflow without taking the largest out
      {{-1000, -1000}, 1, std::log(2.0)},        // would underflow
      {{0, 1000}, 0, 1000},                      // certain of the other one
      {{1e30f, 0}, 0, 0},
  };
  for (const Row& row : table) {
    CHECK(negative_log_likelihood(row.logits, row.target) == doctest::Approx(row.nats).epsilon(1e-6));
  }
}

TEST_CASE("perplexity: the exponential of the mean") {
  LikelihoodSum sum;
  CHECK(sum.mean_nats() == 0);
  sum.add(std::log(2.0));
  sum.add(std::log(8.0));
  CHECK(sum.scored_tokens == 2);
  CHECK(sum.perplexity() == doctest::Approx(4.0));
}

TEST_CASE("perplexity: windows cover the text and leave out one that scores nothing") {
  const auto sizes = [](size_t tokens, uint32_t window) {
    const std::vector<hotset_token> ids(tokens);
    std::vector<size_t> out;
    for (const auto part : evaluation_windows(ids, window)) out.push_back(part.size());
    return out;
  };
  using Sizes = std::vector<size_t>;
  CHECK(sizes(0, 4) == Sizes{});
  CHECK(sizes(1, 4) == Sizes{});
  CHECK(sizes(2, 4) == Sizes{2});
  CHECK(sizes(4, 4) == Sizes{4});
  CHECK(sizes(5, 4) == Sizes{4});
  CHECK(sizes(6, 4) == Sizes{4, 2});
  CHECK(sizes(16384, 512).size() == 32);
}

TEST_CASE("bench: median, least and most") {
  CHECK(summarize({}).median == 0);
  CHECK(summarize({3}).median == 3);
  CHECK(summarize({9, 1, 5}).median == 5);
  const BenchSummary even = summarize({4, 1, 3, 2});
  CHECK(even.median == 2.5);
  CHECK(even.least == 1);
  CHECK(even.most == 4);
}

TEST_CASE("bench: the prompt stays inside the vocabulary and is the same each time") {
  for (const uint32_t vocab : {1u, 2u, 4096u, 151936u}) {
    const auto prompt = bench_prompt(1000, vocab);
    CHECK(prompt == bench_prompt(1000, vocab));
    for (const hotset_token id : prompt) REQUIRE((id >= 0 && static_cast<uint32_t>(id) < vocab));
  }
}

TEST_CASE("token lists: what is read and what is refused") {
  using Ids = std::vector<hotset_token>;
  const std::vector<std::pair<const char*, Ids>> good = {
      {"1", {1}}, {"1,2,3", {1, 2, 3}}, {" 1, 2\n3\t", {1, 2, 3}}, {"2147483647", {2147483647}}, {"0,,0", {0, 0}}};
  for (const auto& [text, ids] : good) {
    const auto result = parse_token_list(text);
    REQUIRE(result.ok());
    CHECK(*result == ids);
  }
  for (const char* text : {"", " ,\n", "x", "1,x", "-1", "1.5", "2147483648", "99999999999999999999", "0x10", "1;2"}) {
    CAPTURE(text);
    CHECK(!parse_token_list(text).ok());
  }
  CHECK(token_list_text(Ids{1, 2, 3}) == "1,2,3");
  CHECK(token_list_text(Ids{}) == "");
}

TEST_CASE("figures: nothing measured is no division by zero") {
  CHECK(rate_per_second(5, 0) == 0);
  CHECK(rate_per_second(5, 500'000'000) == doctest::Approx(10));
  CHECK(hit_rate(0, 0) == 1);
  CHECK(hit_rate(1, 4) == 0.25);
  const std::string text = figures_text(hotset_stats HOTSET_STATS_INIT);
  CHECK(text.find("nan") == std::string::npos);
  CHECK(text.find("inf") == std::string::npos);
}

TEST_CASE("figures: text and JSON say the same") {
  hotset_stats stats = HOTSET_STATS_INIT;
  stats.prompt_tokens = 10;
  stats.prompt_ns = 2'000'000'000;
  stats.decode_tokens = 100;
  stats.decode_ns = 500'000'000;
  stats.expert_lookups = 200;
  stats.expert_hits = 150;
  stats.host_to_device_bytes = 3'000'000'000;
  stats.host_to_device_ns = 1'500'000'000;
  stats.logits_hash = 0xabc;
  const std::string text = figures_text(stats);
  for (const char* part : {"10 tokens in 2.000 s, 5.0 tok/s", "100 tokens in 0.500 s, 200.0 tok/s", "75.0 % hits of 200",
                           "2.00 GB/s", "0000000000000abc"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  const Json json = figures_json(stats);
  CHECK(json["prompt"]["tokens_per_second"] == 5.0);
  CHECK(json["experts"]["hit_rate"] == 0.75);
  CHECK(json["links"]["host_to_device"]["gigabytes_per_second"] == 2.0);
  CHECK(json["logits_hash"] == "0000000000000abc");
}

TEST_CASE("console: what a file says cannot steer a terminal") {
  CHECK(escape_controls("plain text, caf\xc3\xa9") == "plain text, caf\xc3\xa9");
  CHECK(escape_controls("a\x1b[2Jb\nc\x7f") == "a\\x1b[2Jb\\nc\\x7f");
}

TEST_CASE("json: bytes that are not UTF-8 are replaced") { CHECK(json_text(Json("a\xff")) == "\"a\xef\xbf\xbd\"\n"); }

TEST_CASE("progress: the bar at its ends") {
  CHECK(progress_line("loading", 0, 1024) == "loading [                              ]   0 %, 0 B of 1 KiB");
  CHECK(progress_line("loading", 512, 1024) == "loading [###############               ]  50 %, 512 B of 1 KiB");
  CHECK(progress_line("loading", 4096, 1024) == "loading [##############################] 100 %, 1 KiB of 1 KiB");
  CHECK(progress_line("loading", 0, 0) == "loading [##############################] 100 %, 0 B of 0 B");
}
