// hotset_make_model: writes a synthetic model (synthetic_model.h) to a file.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/tools/synthetic_model.h"

namespace {

using hotset::test::BlockType;
using hotset::test::ModelShape;

std::vector<std::string> type_names() {
  std::vector<std::string> names;
  for (const auto& format : hotset::test::block_formats()) names.emplace_back(format.name);
  return names;
}

// The shape a preset gives, with each flag that was given put over it.
struct Flags {
  std::string preset = "tiny", path;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  CLI::App app{"Writes a GGUF file of a model's shape with random weights."};

  explicit Flags(ModelShape& shape) {
    app.add_option("-o,--output", path, "File to write")->required();
    app.add_option("--shape", preset, "Preset that the other flags change")
        ->check(CLI::IsMember(hotset::test::preset_names()))->capture_default_str();
    app.add_option("--threads", threads, "Threads that fill and write")->check(CLI::Range(1, 64));
    app.add_option("--layers", shape.layers, "Layers");
    app.add_option("--embd", shape.embd, "Embedding width");
    app.add_option("--heads", shape.heads, "Query heads");
    app.add_option("--kv-heads", shape.kv_heads, "Key and value heads");
    app.add_option("--head-dim", shape.head_dim, "Width of a head");
    app.add_option("--experts", shape.experts, "Experts a layer");
    app.add_option("--used", shape.used, "Experts chosen for a token");
    app.add_option("--expert-ff", shape.expert_ff, "Inner width of an expert");
    app.add_option("--vocab", shape.vocab, "Tokens in the vocabulary");
    app.add_option("--ctx", shape.ctx, "Declared context length");
    add_type("--type", "Type of the attention matrices", shape.type);
    add_type("--expert-type", "Type of the experts' gate and up matrices", shape.expert_type);
    add_type("--embd-type", "Type of the embedding", shape.embd_type);
    add_type("--output-type", "Type of the output matrix", shape.output_type);
    auto names = type_names();
    names.emplace_back("mixed");
    app.add_option_function<std::string>("--down-type", [&shape](const std::string& name) {
      shape.down_type = hotset::test::parse_block_type(name);
    }, "Type of the experts' down matrices; mixed: Q6_K in the layers where llama.cpp's Q4_K_M has it, Q4_K elsewhere")
        ->check(CLI::IsMember(names));
    app.add_option("--router-skew", shape.router_skew, "Zipf exponent of the experts' popularity; 0: even")
        ->check(CLI::Range(0.0, 8.0));
    app.add_option("--seed", shape.seed, "Seed of the weights");
    app.add_option("--split", shape.parts, "Number of files")->check(CLI::Range(1, 999));
    app.add_flag("--sparse", shape.sparse, "Leave experts as holes in the file: zeros that take no room");
    app.add_flag("--tied", shape.tied, "No output matrix: the embedding serves");
  }

  void add_type(const char* flag, const char* help, BlockType& type) {
    app.add_option_function<std::string>(flag, [&type](const std::string& name) {
      type = *hotset::test::parse_block_type(name);
    }, help)->check(CLI::IsMember(type_names()));
  }
};

int make_model(const ModelShape& shape, const Flags& flags) {
  const auto start = std::chrono::steady_clock::now();
  const auto written = hotset::test::write_synthetic_model(shape, flags.path, flags.threads);
  if (!written.ok()) {
    std::fprintf(stderr, "hotset_make_model: %s\n", written.status().message().c_str());
    return 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto& files = written.value().files;
  std::printf("%s: %.1f MB in %zu file(s), %.1f s\n", files[0].c_str(),
              static_cast<double>(written.value().size_bytes) / 1e6, files.size(), seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // The preset must be known before the flags that change it are read, so they are read twice.
  ModelShape shape;
  Flags first(shape);
  try {
    first.app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return first.app.exit(problem) == 0 ? 0 : 2;
  }
  shape = hotset::test::preset_shape(first.preset).value();  // its name has been checked
  Flags second(shape);
  second.app.parse(argc, argv);
  return make_model(shape, second);
}
