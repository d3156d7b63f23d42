#include "runtime/engine/canvas.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "platform/file.h"
#include "runtime/engine/trace_picture.h"

using namespace hotset;

namespace {

constexpr Colour kWhite = {255, 255, 255}, kBlack = {0, 0, 0}, kGrey = {128, 128, 128};

Canvas canvas_of(uint32_t width, uint32_t height) {
  auto canvas = Canvas::create(width, height, kWhite);
  REQUIRE(canvas.ok());
  return std::move(canvas).value();
}

uint32_t dark_pixels(const Canvas& canvas) {
  uint32_t count = 0;
  for (uint32_t y = 0; y < canvas.height(); ++y) {
    for (uint32_t x = 0; x < canvas.width(); ++x) count += canvas.at(x, y).r < 128 ? 1 : 0;
  }
  return count;
}

std::string temporary(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }

TracePicture small_picture() {
  TracePicture picture;
  picture.title = "a model";
  picture.layers = 2;
  picture.experts = 4;
  picture.top_k = 1;
  picture.tokens = 3;
  picture.uses = {3, 0, 0, 0, 1, 1, 1, 0};
  picture.cache_title = "lru";
  picture.hit_rate = {0, 0.5f, 1};
  return picture;
}

uint32_t big_endian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

TEST_CASE("canvas: boxes cover pixels by their share and stay inside") {
  Canvas canvas = canvas_of(8, 4);
  canvas.fill({1, 1, 3, 2}, kBlack);
  CHECK(canvas.at(1, 1) == kBlack);
  CHECK(canvas.at(2, 1) == kBlack);
  CHECK(canvas.at(3, 1) == kWhite);
  CHECK(canvas.at(1, 2) == kWhite);
  canvas.fill({4, 0, 4.5, 1}, kBlack);
  CHECK(canvas.at(4, 0) == kGrey);
  canvas.fill({-100, -100, 1e9, 1e9}, kGrey);
  CHECK(canvas.at(7, 3) == kGrey);
}

TEST_CASE("canvas: lines and areas") {
  Canvas canvas = canvas_of(20, 20);
  canvas.polyline({{0, 10}, {20, 10}}, 2, kBlack);
  CHECK(canvas.at(10, 9) == kBlack);
  CHECK(canvas.at(10, 10) == kBlack);
  CHECK(canvas.at(10, 7) == kWhite);
  canvas.polyline({{-50, -50}, {100, 100}}, 1, kBlack);  // cut off at the edges
  Canvas filled = canvas_of(20, 20);
  filled.area({{0, 5}, {20, 15}}, 20, kBlack, 1);
  CHECK(filled.at(0, 4) == kWhite);
  CHECK(filled.at(0, 6) == kBlack);
  CHECK(filled.at(19, 10) == kWhite);
  CHECK(filled.at(19, 16) == kBlack);
}

TEST_CASE("canvas: text is drawn where it is asked for") {
  Canvas canvas = canvas_of(200, 40);
  canvas.text({10, 10}, "Hit rate 25 %", 14, kBlack);
  CHECK(dark_pixels(canvas) > 200);
  for (uint32_t y = 0; y < 40; ++y) {
    CHECK(canvas.at(5, y) == kWhite);
    CHECK(canvas.at(199, y) == kWhite);
  }
  CHECK(Canvas::text_width("wide text", 14) == doctest::Approx(2 * Canvas::text_width("wide text", 7)));
  CHECK(Canvas::text_width("longer text", 14) > Canvas::text_width("text", 14));
  Canvas odd = canvas_of(50, 20);
  odd.text({0, 0}, "\xc3\xa4\n\x01", 14, kBlack);  // what the font lacks becomes question marks
  CHECK(dark_pixels(odd) > 0);
  odd.text({1e6, 1e6}, "far away", 14, kBlack);
  odd.text({0, 0}, "", 14, kBlack);
}

TEST_CASE("canvas: a PNG of the right size") {
  const std::string path = temporary("hotset_canvas.png");
  const Canvas canvas = canvas_of(31, 17);
  REQUIRE(canvas.save_png(path).ok());
  const auto png = read_whole_file(path, 1 << 20);
  REQUIRE(png.ok());
  CHECK(png->substr(1, 3) == "PNG");
  CHECK(big_endian(*png, 16) == 31);
  CHECK(big_endian(*png, 20) == 17);
  std::filesystem::remove(path);
  CHECK_FALSE(canvas.save_png("/nowhere/at/all.png").ok());
  CHECK_FALSE(Canvas::create(0, 10, kWhite).ok());
  CHECK_FALSE(Canvas::create(1u << 20, 1u << 20, kWhite).ok());
}

TEST_CASE("trace picture: grows with what it shows, and refuses what it cannot") {
  const std::string path = temporary("hotset_trace.png");
  const auto height_of = [&](const TracePicture& picture) {
    REQUIRE(draw_trace(picture, path).ok());
    return big_endian(*read_whole_file(path, 1 << 24), 20);
  };
  TracePicture picture = small_picture();
  const uint32_t plain = height_of(picture);
  picture.links = {{"RAM to VRAM", {1e6, 2e6, 0}}, {"disk to RAM", {0, 0, 0}}};
  picture.bucket_ms = 1;
  CHECK(height_of(picture) > plain);
  picture.links[1].bytes.pop_back();
  CHECK(draw_trace(picture, path).code() == Code::kInvalidArgument);
  picture = small_picture();
  picture.uses.pop_back();
  CHECK(draw_trace(picture, path).code() == Code::kInvalidArgument);
  picture = small_picture();
  picture.tokens = 0;
  CHECK(draw_trace(picture, path).code() == Code::kInvalidArgument);
  picture = small_picture();
  picture.title = std::string(5000, 'x');
  picture.subtitle = "\xff\xff";
  CHECK(draw_trace(picture, path).ok());
  std::filesystem::remove(path);
}
