// JSON as the program writes it: keys in the order they were set, two spaces a level, always valid UTF-8.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hotset {

using Json = nlohmann::ordered_json;

// Bytes that are not UTF-8 (a file's strings may hold any) become U+FFFD. Ends with a newline.
std::string json_text(const Json& value);

}  // namespace hotset
