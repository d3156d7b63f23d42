// Canvas: a picture in memory, drawn with rectangles, lines and text, and saved as PNG. One owner; nothing is kept elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset {

struct Colour {
  uint8_t r = 0;
  uint8_t g = 0;
  uint8_t b = 0;
  bool operator==(const Colour&) const = default;
};

// The colour `share` of the way from one to the other.
Colour mix(Colour from, Colour to, double share);

// In pixels from the top left corner; what lies outside the picture is cut off.
struct Box {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

struct Point {
  double x = 0;
  double y = 0;
};

enum class Align { kLeft, kCentre, kRight };

class Canvas {
 public:
  // Error: a picture of no pixels, or of more than 64 million (kInvalidArgument).
  static Result<Canvas> create(uint32_t width, uint32_t height, Colour background);

  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  Colour at(uint32_t x, uint32_t y) const { return pixels_[size_t{y} * width_ + x]; }

  // Edges that cut a pixel colour their share of it.
  void fill(const Box& box, Colour colour);
  // A line through the points, round at its joints.
  void polyline(const std::vector<Point>& points, double width, Colour colour);
  // What lies between the points and `base_y`.
  void area(const std::vector<Point>& points, double base_y, Colour colour, double opacity);

  // One line of text with its baseline box's top at `at.y`; `size` is the height of a capital letter in pixels. Characters outside
  // ASCII become '?'.
  void text(Point at, std::string_view line, double size, Colour colour, Align align = Align::kLeft);
  static double text_width(std::string_view line, double size);

  // Error: no memory, or what write_whole_file says.
  Status save_png(const std::string& path) const;

 private:
  Canvas(uint32_t width, uint32_t height, Colour background);
  void blend(int64_t x, int64_t y, Colour colour, double share);

  uint32_t width_;
  uint32_t height_;
  std::vector<Colour> pixels_;  // [height][width]
};

}  // namespace hotset
