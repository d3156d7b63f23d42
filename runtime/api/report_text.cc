#include "runtime/api/report_text.h"

namespace hotset {

std::string document_text(const Json& value) {
  constexpr int kIndent = 2;
  return value.dump(kIndent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hotset
