#include "runtime/engine/canvas.h"

#include <algorithm>
#include <cmath>

#include "platform/file.h"
#include "runtime/engine/stb_picture.h"

namespace hotset {
namespace {

constexpr uint64_t kMostPixels = 64ull << 20;

uint8_t between(uint8_t from, uint8_t to, double share) {
  return static_cast<uint8_t>(std::lround(from + (static_cast<double>(to) - from) * std::clamp(share, 0.0, 1.0)));
}

// How much of the pixel [at, at + 1) lies within [low, high).
double covered(int64_t at, double low, double high) {
  return std::clamp(std::min(high, static_cast<double>(at) + 1) - std::max(low, static_cast<double>(at)), 0.0, 1.0);
}

std::string ascii(std::string_view line) {
  std::string text(line);
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text;
}

// Distance of a point to the stretch from a to b.
double distance(Point at, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const double along = length > 0 ? std::clamp(((at.x - a.x) * dx + (at.y - a.y) * dy) / length, 0.0, 1.0) : 0;
  return std::hypot(at.x - a.x - along * dx, at.y - a.y - along * dy);
}

}  // namespace

Colour mix(Colour from, Colour to, double share) {
  return {between(from.r, to.r, share), between(from.g, to.g, share), between(from.b, to.b, share)};
}

Canvas::Canvas(uint32_t width, uint32_t height, Colour background) : width_(width), height_(height), pixels_(size_t{width} * height, background) {}

Result<Canvas> Canvas::create(uint32_t width, uint32_t height, Colour background) {
  if (width == 0 || height == 0 || uint64_t{width} * height > kMostPixels) {
    return error(Code::kInvalidArgument, "a picture of %u x %u pixels cannot be drawn", width, height);
  }
  return Canvas(width, height, background);
}

void Canvas::blend(int64_t x, int64_t y, Colour colour, double share) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_ || share <= 0) return;
  Colour& pixel = pixels_[static_cast<size_t>(y) * width_ + static_cast<size_t>(x)];
  pixel = mix(pixel, colour, share);
}

void Canvas::fill(const Box& box, Colour colour) {
  const auto first = [](double edge) { return std::max<int64_t>(0, static_cast<int64_t>(std::floor(edge))); };
  const auto last = [](double edge, uint32_t end) { return std::min<int64_t>(end, static_cast<int64_t>(std::ceil(edge))); };
  for (int64_t y = first(box.top); y < last(box.bottom, height_); ++y) {
    for (int64_t x = first(box.left); x < last(box.right, width_); ++x) {
      blend(x, y, colour, covered(x, box.left, box.right) * covered(y, box.top, box.bottom));
    }
  }
}

void Canvas::polyline(const std::vector<Point>& points, double width, Colour colour) {
  // Where stretches meet a pixel takes the colour once: the nearest of them counts.
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    const Point a = points[i], b = points[i + 1];
    const double reach = width / 2 + 1;
    for (auto y = static_cast<int64_t>(std::min(a.y, b.y) - reach); y <= static_cast<int64_t>(std::max(a.y, b.y) + reach); ++y) {
      for (auto x = static_cast<int64_t>(std::min(a.x, b.x) - reach); x <= static_cast<int64_t>(std::max(a.x, b.x) + reach); ++x) {
        const Point centre = {static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5};
        blend(x, y, colour, std::clamp(width / 2 + 0.5 - distance(centre, a, b), 0.0, 1.0));
      }
    }
  }
}

void Canvas::area(const std::vector<Point>& points, double base_y, Colour colour, double opacity) {
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    const Point a = points[i], b = points[i + 1];
    for (auto x = static_cast<int64_t>(std::ceil(a.x - 0.5)); static_cast<double>(x) + 0.5 < b.x; ++x) {
      const double share = b.x > a.x ? (static_cast<double>(x) + 0.5 - a.x) / (b.x - a.x) : 0;
      const double y = a.y + (b.y - a.y) * share;
      for (auto row = static_cast<int64_t>(std::floor(y)); static_cast<double>(row) < base_y; ++row)
        blend(x, row, colour, opacity * covered(row, y, base_y));
    }
  }
}

void Canvas::text(Point at, std::string_view line, double size, Colour colour, Align align) {
  const double scale = size / kGlyphCapital;
  const double width = text_width(line, size);
  const double left = std::round(align == Align::kLeft ? at.x : align == Align::kRight ? at.x - width : at.x - width / 2);
  for (const GlyphBox& glyph : glyph_boxes(ascii(line))) {
    fill({left + glyph.left * scale, at.y + glyph.top * scale, left + glyph.right * scale, at.y + glyph.bottom * scale}, colour);
  }
}

double Canvas::text_width(std::string_view line, double size) { return glyph_width(ascii(line)) * size / kGlyphCapital; }

Status Canvas::save_png(const std::string& path) const {
  static_assert(sizeof(Colour) == 3);
  const auto* bytes = reinterpret_cast<const uint8_t*>(pixels_.data());
  const std::string png = encode_png(width_, height_, {bytes, pixels_.size() * sizeof(Colour)});
  if (png.empty()) return error(Code::kOutOfMemory, "no memory to encode a picture of %u x %u pixels", width_, height_);
  return write_whole_file(path, png);
}

}  // namespace hotset
