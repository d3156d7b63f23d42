// The two single-file libraries that pictures are made with, behind functions of plain types. Their code is compiled in stb_picture.cc
// alone. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotset {

// A rectangle of a glyph in units of the font, whose capital letters are kGlyphCapital high.
struct GlyphBox {
  float left;
  float top;
  float right;
  float bottom;
};
constexpr double kGlyphCapital = 7;

// The rectangles of a line of ASCII text, from the origin on.
std::vector<GlyphBox> glyph_boxes(const std::string& line);
double glyph_width(const std::string& line);

// `rgb` as a PNG; empty when memory runs out.
std::string encode_png(uint32_t width, uint32_t height, std::span<const uint8_t> rgb);

}  // namespace hotset
