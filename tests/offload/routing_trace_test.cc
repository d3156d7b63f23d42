// Traces as text: what is read, and what is refused.
#include "offload/routing_trace.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/test_support.h"

using namespace hotset;

namespace {

const std::string kHeader = "# MOETRACE 1\n# model: a model   moe_layers: 2   experts: 8 (+1 shared)   top_k: 2\n";

}  // namespace

TEST_CASE("routing trace: header and tokens") {
  const auto trace = RoutingTrace::parse(kHeader + "# kind: none\n0\t0\tp\t0,1|7,2\r\n\n0\t1\td\t3,1|2\n");
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->model() == "a model");
  CHECK(trace->layers() == 2);
  CHECK(trace->experts() == 8);
  CHECK(trace->top_k() == 2);
  REQUIRE(trace->tokens() == 2);
  CHECK(trace->ids(0, 1).size() == 2);
  CHECK(trace->ids(0, 1)[0] == 7);
  CHECK(trace->ids(1, 0)[1] == 1);
  CHECK(trace->ids(1, 1).size() == 1);
  const auto bare = RoutingTrace::parse("# MOETRACE 1\n0\t0\td\t5\n");
  REQUIRE(bare.ok());
  CHECK(bare->experts() == 6);
}

TEST_CASE("routing trace: broken ones name the line and what is wrong") {
  struct Row {
    std::string text;
    const char* says;
  };
  const Row rows[] = {
      {"", "not a routing trace"},
      {"MOETRC01\x01\x02", "not a routing trace"},
      {kHeader, "no tokens"},
      {kHeader + "0\t0\td\n", "line 3: not a token"},
      {kHeader + "0\t0\td\t1,2|3,x\n", "line 3: 'x' is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,-1\n", "'-1' is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,99999999999\n", "is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,\n", "line 3: '' is not an expert"},
      {kHeader + "0\t0\td\t1,2|3\n0\t1\td\t1,1|2\n", "line 4: expert 1 twice"},
      {kHeader + "0\t0\td\t1,2|\n", "line 3: a layer without experts"},
      {kHeader + "0\t0\td\t\n", "line 3: a layer without experts"},
      {kHeader + "x\t0\td\t1|2\n", "line 3: not a token: sequence"},
      {kHeader + "0\t-1\td\t1|2\n", "line 3: not a token: sequence"},
      {kHeader + "0\t0\tq\t1|2\n", "line 3: 'q' is not a phase"},
      {kHeader + "0 0 d 1|2\n", "line 3: not a token: it has fewer"},
      {kHeader + "0\t0\td\t1||2\n", "a layer without experts"},
      {kHeader + "0\t0\td\t1|2\n0\t1\td\t1|2|3\n", "line 4: 3 layers, where earlier tokens have 2"},
      {kHeader + "0\t0\td\t1|2|3\n", "the header speaks of 2 layers and the tokens have 3"},
      {kHeader + "0\t0\td\t1|8\n", "expert 8, where the header speaks of 8"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto trace = RoutingTrace::parse(row.text);
    REQUIRE_FALSE(trace.ok());
    CHECK(trace.status().code() == Code::kCorrupt);
    CHECK_MESSAGE(trace.status().message().find(row.says) != std::string::npos, trace.status().message());
  }
}

TEST_CASE("routing trace: lines of a later version's comments are passed over") {
  const auto trace = RoutingTrace::parse(kHeader + "0\t0\td\t1|2\n#link disk 123 456\n0\t1\td\t3|4\n");
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->tokens() == 2);
}

TEST_CASE("routing trace: transfers") {
  const auto trace = RoutingTrace::parse(kHeader + "0\t0\td\t1|2\n# link h2d 1 2 4096 100 50\n# link disk 0 7 8192 120 900\n0\t1\td\t3|4\n");
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->tokens() == 2);
  REQUIRE(trace->links().size() == 2);
  CHECK(trace->links()[0].link == EventLink::kHostToDevice);
  CHECK(trace->links()[0].expert == ExpertId{1, 2});
  CHECK(trace->links()[1].link == EventLink::kDiskToHost);
  CHECK(trace->links()[1].bytes == 8192);
  CHECK(trace->links()[1].start_ns == 120);
  CHECK(trace->links()[1].duration_ns == 900);
  for (const char* broken : {"# link", "# link ", "# link up 1 2 3 4 5", "# link h2d 1 2 3 4", "# link h2d 1 2 3 4 5 6", "# link h2d 1 2 -3 4 5",
                             "# link h2d 1 2 x 4 5", "# link h2d 70000 2 3 4 5", "# link disk 1 2 3 4 99999999999999999999", "# link h2d 2 2 3 4 5",
                             "# link h2d 1 8 3 4 5"}) {
    CAPTURE(broken);
    const auto refused = RoutingTrace::parse(kHeader + "0\t0\td\t1|2\n" + broken + "\n");
    if (std::string_view(broken) == "# link" || std::string_view(broken) == "# link ") {
      CHECK(refused.ok());  // a comment
      continue;
    }
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status().code() == Code::kCorrupt);
    CHECK(refused.status().message().find("transfer") != std::string::npos);
  }
}

TEST_CASE("routing trace: the shipped ones") {
  const auto trace = RoutingTrace::load(test::model_path("traces/heldout.trace.txt"));
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->tokens() == 4096);
  CHECK(trace->layers() == 5);
  CHECK(trace->experts() == 32);
  CHECK(trace->top_k() == 2);
  CHECK(RoutingTrace::load("/nowhere.trace.txt").status().code() == Code::kNotFound);
}
