#include "runtime/engine/stb_picture.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace hotset {
namespace {

struct FontVertex {
  float x;
  float y;
  float z;
  uint8_t colour[4];
};
constexpr size_t kVerticesPerBox = 4;
constexpr size_t kMostBoxesPerCharacter = 24;

void append(void* text, void* data, int size) {
  if (size > 0) static_cast<std::string*>(text)->append(static_cast<const char*>(data), static_cast<size_t>(size));
}

}  // namespace

std::vector<GlyphBox> glyph_boxes(const std::string& line) {
  std::string text = line;
  std::vector<FontVertex> vertices((text.size() + 1) * kMostBoxesPerCharacter * kVerticesPerBox);
  const int boxes = stb_easy_font_print(0, 0, text.data(), nullptr, vertices.data(), static_cast<int>(vertices.size() * sizeof(FontVertex)));
  std::vector<GlyphBox> glyphs;
  for (int i = 0; i < boxes; ++i) {
    const FontVertex& first = vertices[static_cast<size_t>(i) * kVerticesPerBox];
    const FontVertex& opposite = vertices[static_cast<size_t>(i) * kVerticesPerBox + 2];
    glyphs.push_back({first.x, first.y, opposite.x, opposite.y});
  }
  return glyphs;
}

double glyph_width(const std::string& line) {
  std::string text = line;
  return stb_easy_font_width(text.data());
}

std::string encode_png(uint32_t width, uint32_t height, std::span<const uint8_t> rgb) {
  std::string png;
  const int done =
      stbi_write_png_to_func(append, &png, static_cast<int>(width), static_cast<int>(height), 3, rgb.data(), static_cast<int>(width * 3));
  return done != 0 ? png : std::string();
}

}  // namespace hotset
