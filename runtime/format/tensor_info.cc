#include "runtime/format/tensor_info.h"

#include "runtime/format/gguf_value.h"

namespace hotset {

Status TensorInfo::check_type() const {
  const auto known = block_type_from_number(static_cast<uint32_t>(type));
  return known.ok() ? ok_status() : known.status().with_context("tensor '" + printable(name) + "'");
}

std::string TensorInfo::type_name() const {
  const char* known = block_type_name(type);
  return known ? known : "type " + std::to_string(static_cast<uint32_t>(type));
}

}  // namespace hotset
