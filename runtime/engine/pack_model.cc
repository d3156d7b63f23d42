#include "runtime/engine/pack_model.h"

#include "offload/pack_writer.h"
#include "runtime/engine/loaded_model.h"
#include "runtime/model/family.h"

namespace hotset {
namespace {

struct OpenModel {
  std::unique_ptr<GgufFile> file;
  std::unique_ptr<ExpertTable> experts;
  std::vector<const File*> parts;
};

Result<OpenModel> open_model(const std::string& path) {
  OpenModel model;
  HOTSET_ASSIGN(model.file, GgufFile::open(path));
  HOTSET_ASSIGN(const ModelSpec spec, describe_model(*model.file));
  HOTSET_ASSIGN(ExpertTable experts, build_expert_table(*model.file, spec));
  model.experts = std::make_unique<ExpertTable>(std::move(experts));
  for (size_t i = 0; i < model.file->part_count(); ++i) model.parts.push_back(&model.file->part(i));
  return model;
}

PackReport report_on(const OpenModel& model) {
  const ExpertTable& experts = *model.experts;
  return {experts.layers(), experts.experts(), experts.total_bytes(), PackLayout(experts).file_bytes()};
}

}  // namespace

Result<PackReport> pack_model(const std::string& model_path, const std::string& pack_path, const PackModelProgress& progress) {
  HOTSET_ASSIGN(const OpenModel model, open_model(model_path));
  HOTSET_RETURN_IF_ERROR(write_pack(pack_path, *model.experts, model.parts, progress));
  return report_on(model);
}

Result<PackReport> check_pack(const std::string& model_path, const std::string& pack_path, const PackModelProgress& progress) {
  HOTSET_ASSIGN(const OpenModel model, open_model(model_path));
  HOTSET_ASSIGN(const ModelIdentity identity, identify_model(*model.experts, model.parts));
  HOTSET_ASSIGN(const auto pack, PackFile::open(pack_path, *model.experts, identity));
  HOTSET_RETURN_IF_ERROR(pack->check_all(progress));
  return report_on(model);
}

}  // namespace hotset
