// The byte-level alphabet of GPT-2: one printable character for each of the 256 bytes.
//
// Vocabularies write a token's bytes in these characters: bytes 33..126, 161..172 and 174..255 stand for themselves, the
// other 68, in order, are U+0100 and up (so a space is U+0120).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hotset {

// The character that stands for `byte`, as UTF-8.
std::string byte_alphabet_character(uint8_t byte);

// The bytes that `text` stands for; nullopt when a character is not of the alphabet.
std::optional<std::string> bytes_from_alphabet(std::string_view text);

}  // namespace hotset
