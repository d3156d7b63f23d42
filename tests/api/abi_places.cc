#include "tests/api/abi_places.h"

#include <filesystem>
#include <fstream>

#include "platform/check.h"
#include "tests/engine/checkpoint_folder.h"
#include "tests/test_support.h"

namespace hotset::test {
namespace {

void write_trace(const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  out << "# MOETRACE 1\n# model: a model   moe_layers: 2   experts: 8   top_k: 2\n";
  for (uint32_t token = 0; token < 40; ++token) {
    const uint32_t expert = token * 5 % 7;
    out << "0\t" << token << "\td\t" << expert << "," << expert + 1 << "|" << 7 - expert << "," << 6 - expert << "\n";
  }
}

}  // namespace

AbiPlaces make_abi_places(const std::string& folder) {
  const AbiPlaces places = {data_path("models/qwen3moe/model.gguf"), folder + "/checkpoint", folder + "/routing.trace", folder + "/links.json",
                            folder + "/out"};
  std::filesystem::create_directories(places.checkpoint);
  std::filesystem::create_directories(places.out);
  const auto model = GgufFile::open(places.model);
  HOTSET_CHECK(model.ok());
  write_checkpoint(**model, {.model_type = "qwen3_moe"}, places.checkpoint);
  write_trace(places.trace);
  std::ofstream(places.links, std::ios::binary) << R"({"hotset_links": 1, "device_bytes_per_s": 1e11, "copy_bytes_per_s": 2e10, "disk_bytes_per_s": 2e9})";
  return places;
}

}  // namespace hotset::test
