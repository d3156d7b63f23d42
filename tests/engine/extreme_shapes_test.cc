// Shapes and options far from those of real models run, or fail with a message.
#include <doctest/doctest.h>

#include "tests/engine/model_rig.h"
#include "tests/format/gguf_builder.h"
#include "tests/tools/synthetic_model.h"

using namespace hotset;
using namespace hotset::test;

TEST_CASE("a model with more layers than one submit takes gives the same tokens however they are fed") {
  if (!has_device()) HOTSET_SKIP("no Vulkan device");
  ModelShape shape;
  shape.layers = 600;
  shape.embd = shape.expert_ff = 32;
  shape.heads = shape.kv_heads = shape.experts = shape.used = 1;
  shape.type = shape.expert_type = shape.embd_type = shape.output_type = BlockType::kQ8_0;
  shape.down_type = BlockType::kQ8_0;
  shape.ctx = 32;
  const TempFolder folder;
  const auto written = write_synthetic_model(shape, folder.file("deep.gguf"), 1);
  REQUIRE_MESSAGE(written.ok(), written.status().message());
  EngineOptions options;
  options.model_path = folder.file("deep.gguf");
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const auto first = all_logits(*session, {1, 2, 3}, true);
  session->rewind(0);
  CHECK(all_logits(*session, {1, 2, 3}, true) == first);
}

TEST_CASE("a batch beyond what a grid takes is cut to what it does") {
  if (!has_device()) HOTSET_SKIP("no Vulkan device");
  ModelShape shape;
  shape.layers = 1;
  shape.embd = shape.expert_ff = 32;
  shape.heads = shape.kv_heads = 1;
  shape.type = shape.expert_type = shape.embd_type = shape.output_type = BlockType::kQ8_0;
  shape.down_type = BlockType::kQ8_0;
  shape.ctx = 1u << 17;
  const TempFolder folder;
  const auto written = write_synthetic_model(shape, folder.file("wide.gguf"), 1);
  REQUIRE_MESSAGE(written.ok(), written.status().message());
  EngineOptions options;
  options.model_path = folder.file("wide.gguf");
  options.context_tokens = shape.ctx;
  options.batch_tokens = shape.ctx;
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const std::vector<TokenId> tokens(300, 5);
  REQUIRE(session->feed(tokens).ok());
  CHECK(session->logits().size() == engine->vocab_size());
}
