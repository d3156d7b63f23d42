// JSON documents from files that nobody vouches for, as trees: bounded nesting, no member named twice. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "platform/status.h"

namespace hotset {

constexpr int kMaxJsonDepth = 64;

// Error (kCorrupt): not JSON, nested more than kMaxJsonDepth deep, an object that names a member twice.
Result<nlohmann::json> parse_json(std::string_view text);

// The same of a file. Errors also: larger than `limit_bytes`, what File::open and File::read say; the file is named.
Result<nlohmann::json> read_json_file(const std::string& path, uint64_t limit_bytes);

// A member of an object, or nullptr where there is none, it is null, or `object` is no object.
const nlohmann::json* json_member(const nlohmann::json& object, std::string_view name);

}  // namespace hotset
