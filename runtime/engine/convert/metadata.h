// Metadata: what a GGUF says of its model, as config.json says it: keys in order, each once. Plain data.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "platform/status.h"
#include "runtime/engine/convert/hf_config.h"
#include "runtime/format/gguf_writer.h"

namespace hotset {

class Metadata {
 public:
  using Value = std::variant<uint32_t, float, bool, std::string, std::vector<bool>>;

  explicit Metadata(std::string architecture) : architecture_(std::move(architecture)) {}

  // `key` without the architecture; a key that is there gets the new value.
  void set(std::string_view key, Value value);
  void drop(std::string_view key);
  // nullopt: absent or no count.
  std::optional<uint32_t> count(std::string_view key) const;
  void write(GgufWriter& writer) const;

 private:
  std::string architecture_;
  std::vector<std::pair<std::string, Value>> values_;
};

// What all families say in the same words. Errors: positions scaled in a way that is not known.
Result<Metadata> common_metadata(const HfConfig& config, const std::string& architecture);

}  // namespace hotset
