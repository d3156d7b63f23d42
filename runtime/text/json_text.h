// JSON as text: checked and cut, never turned into numbers, so that nothing is lost. Any bytes are safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hotset {

// Whether `text` is one JSON value, nested at most 200 deep.
bool is_json(std::string_view text);
bool is_json_object(std::string_view text);

// The names and values of an object, each value as it stands in `text`; nullopt when it is not an object.
std::optional<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view text);

// The values of an array, as they stand in `text`; nullopt when it is none.
std::optional<std::vector<std::string_view>> json_items(std::string_view text);

// Bytes of the object or list that `text` begins with, by its brackets alone; all of `text` where it does not end.
size_t json_extent(std::string_view text);

// `text` as a JSON string; bytes that are not UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);

// What a JSON string says; nullopt when it is none.
std::optional<std::string> json_unquoted(std::string_view text);

// Without white space around it.
std::string_view trimmed(std::string_view text);

}  // namespace hotset
