#include "runtime/app/json_writer.h"

namespace hotset {

std::string json_text(const Json& value) {
  constexpr int kIndent = 2;
  return value.dump(kIndent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hotset
