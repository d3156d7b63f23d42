// What reports are written with: JSON whose keys keep the order they were set in, and text that cannot steer a terminal. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "platform/escape.h"

namespace hotset {

using Json = nlohmann::ordered_json;

// Two spaces a level. Bytes that are not UTF-8 (a file's strings may hold any) become U+FFFD. Ends with a newline.
std::string document_text(const Json& value);

}  // namespace hotset
