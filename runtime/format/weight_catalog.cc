// Which tensors of a checkpoint make one weight together.
#include <algorithm>

#include "runtime/format/gguf_value.h"
#include "runtime/format/stored_weight.h"

namespace hotset {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kUsualBlock = 128;  // DeepSeek-V3's, where a config does not say

bool strip(std::string& name, std::string_view ending) {
  if (!name.ends_with(ending)) return false;
  name.resize(name.size() - ending.size());
  return true;
}

// Whether the tensor is the scale or shape of another one.
bool belongs_to_another(const Checkpoint& files, const StoredTensor& tensor) {
  const auto has = [&](const std::string& base, const char* ending) { return files.find(base + ending) != nullptr; };
  std::string base = tensor.name;
  if (strip(base, "_scale_inv")) return has(base, "");
  if (strip(base, "_scales")) return has(base, "_blocks");
  if (strip(base, "_shape")) return has(base, "_packed");
  return strip(base, "_scale") && (has(base, "") || has(base, "_packed"));
}

Status check_groups(const Json& groups) {
  for (const auto& [name, group] : groups.items()) {
    const Json* weights = json_member(group, "weights");
    const Json* bits = weights ? json_member(*weights, "num_bits") : nullptr;
    const Json* symmetric = weights ? json_member(*weights, "symmetric") : nullptr;
    const bool four = bits == nullptr || (bits->is_number_integer() && *bits == 4);
    const bool balanced = symmetric == nullptr || *symmetric != Json(false);
    if (!four || !balanced) return error(Code::kUnsupported, "packed weights other than symmetric ones of 4 bits are not read");
  }
  return ok_status();
}

// Error: weights are packed in a way that nothing here reads, though their tensors may look as if.
Status check_packing(const Json* quantization) {
  if (quantization == nullptr) return ok_status();
  const Json* method = json_member(*quantization, "quant_method");
  const std::string name = method && method->is_string() ? method->get<std::string>() : "";
  for (const char* known : {"", "fp8", "mxfp4", "compressed-tensors", "modelopt"}) {
    if (name != known) continue;
    const Json* format = json_member(*quantization, "format");
    const Json* groups = json_member(*quantization, "config_groups");
    return groups && groups->is_object() && format && *format == Json("pack-quantized") ? check_groups(*groups) : ok_status();
  }
  return error(Code::kUnsupported, "checkpoints quantised by '%s' are not read: fp8, mxfp4 and compressed-tensors are", printable(name).c_str());
}

Result<std::array<uint64_t, 2>> block_of(const Json* quantization) {
  const Json* block = quantization ? json_member(*quantization, "weight_block_size") : nullptr;
  if (block == nullptr) return std::array{kUsualBlock, kUsualBlock};
  const bool pair = block->is_array() && block->size() == 2 && (*block)[0].is_number_unsigned() && (*block)[1].is_number_unsigned();
  if (!pair || (*block)[0] == 0 || (*block)[1] == 0) return error(Code::kCorrupt, "config.json: weight_block_size is no pair of numbers");
  return std::array{(*block)[0].get<uint64_t>(), (*block)[1].get<uint64_t>()};
}

const Json* quantization_of(const Json& config) {
  if (const Json* own = json_member(config, "quantization_config")) return own;
  const Json* text = json_member(config, "text_config");
  return text ? json_member(*text, "quantization_config") : nullptr;
}

}  // namespace

Status WeightCatalog::keep(Result<StoredWeight> weight) {
  if (!weight.ok()) return weight.status();
  if (!by_name_.emplace(weight->name(), weights_.size()).second) {
    return error(Code::kCorrupt, "the weights '%s' are there in two forms", printable(weight->name()).c_str());
  }
  weights_.push_back(std::move(weight).value());
  return ok_status();
}

Status WeightCatalog::add(const Checkpoint& files, const StoredTensor& tensor, std::array<uint64_t, 2> block) {
  if (belongs_to_another(files, tensor)) return ok_status();
  std::string base = tensor.name;
  const StoredTensor* scales = strip(base, "_blocks") ? files.find(base + "_scales") : nullptr;
  if (scales != nullptr) return keep(StoredWeight::packed(files, base, tensor, *scales));
  base = tensor.name;
  scales = strip(base, "_packed") ? files.find(base + "_scale") : nullptr;
  if (scales != nullptr) {
    HOTSET_RETURN_IF_ERROR(keep(StoredWeight::packed(files, base, tensor, *scales)));
    weights_.back().stated_shape_ = files.find(base + "_shape");
    return ok_status();
  }
  for (const char* ending : {"_scale_inv", "_scale"}) {
    scales = files.find(tensor.name + ending);
    if (scales != nullptr) return keep(StoredWeight::scaled(files, tensor, *scales, block));
  }
  return keep(StoredWeight::plain(files, tensor));
}

Result<WeightCatalog> WeightCatalog::build(const Checkpoint& files, const Json& config) {
  const Json* quantization = quantization_of(config);
  HOTSET_RETURN_IF_ERROR(check_packing(quantization));
  HOTSET_ASSIGN(const auto block, block_of(quantization));
  WeightCatalog catalog;
  catalog.weights_.reserve(files.tensors().size());
  for (const StoredTensor& tensor : files.tensors()) HOTSET_RETURN_IF_ERROR(catalog.add(files, tensor, block));
  return catalog;
}

const StoredWeight* WeightCatalog::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &weights_[found->second];
}

}  // namespace hotset
