#include "runtime/engine/trace_picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "runtime/engine/canvas.h"

namespace hotset {
namespace {

// Ink and grounds. The heat runs along one hue from the ground to near black, so that more is darker in print and to colour-blind eyes.
constexpr Colour kGround = {252, 252, 250};
constexpr Colour kInk = {28, 32, 40};
constexpr Colour kFaintInk = {104, 110, 120};
constexpr Colour kGrid = {226, 228, 230};
constexpr Colour kHeat[] = {{243, 246, 250}, {190, 213, 238}, {107, 165, 216}, {42, 110, 178}, {12, 58, 114}, {6, 22, 52}};
constexpr Colour kSeries[] = {{42, 110, 178}, {214, 96, 36}, {40, 140, 96}, {140, 84, 160}};

constexpr uint32_t kWidth = 1480;
constexpr double kLeft = 110, kRight = 1360, kMargin = 40;
constexpr double kTitleSize = 21, kHeadSize = 14, kLabelSize = 14;
constexpr double kHeadRoom = 90;  // from a panel's head to its plot
constexpr double kAxisRoom = 76;  // below a plot: ticks and the axis' name
constexpr double kPlotHeight = 240;
constexpr double kLegendWidth = 18;
constexpr double kDarkestShare = 0.02;  // of all experts, those used most, may share the darkest tone

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 100 || value == std::floor(value) ? "%.0f" : "%.2g", value);
  return text;
}

// Steps of 1, 2 or 5 times a power of ten, with about `wanted` of them up to `most`.
double tick_step(double most, int wanted) {
  const double raw = std::max(most, 1e-9) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

Colour heat(double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(std::size(kHeat) - 1);
  const size_t low = std::min(static_cast<size_t>(at), std::size(kHeat) - 2);
  return mix(kHeat[low], kHeat[low + 1], at - static_cast<double>(low));
}

// The mean over each of at most `buckets` stretches of a series.
std::vector<double> shortened(const std::vector<float>& values, size_t buckets) {
  const size_t count = std::min(values.size(), buckets);
  std::vector<double> means;
  for (size_t i = 0; i < count; ++i) {
    const size_t first = i * values.size() / count, last = (i + 1) * values.size() / count;
    means.push_back(std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(first), values.begin() + static_cast<std::ptrdiff_t>(last), 0.0) /
                    static_cast<double>(last - first));
  }
  return means;
}

struct Axis {
  double most = 1;
  double step = 1;
  const char* name = "";
};

void draw_head(Canvas& canvas, double top, const std::string& head, const std::string& detail) {
  canvas.text({kMargin, top}, head, kHeadSize, kInk);
  canvas.text({kMargin, top + 24}, detail, kLabelSize, kFaintInk);
}

// Grid lines and ticks; x from 0 at the left edge, y from 0 at the bottom.
void draw_axes(Canvas& canvas, const Box& plot, const Axis& x, const Axis& y) {
  for (double value = 0; value <= y.most * 1.0001; value += y.step) {
    const double at = std::round(plot.bottom - plot.height() * value / y.most);
    canvas.fill({plot.left, at, plot.right, at + 1}, value == 0 ? kFaintInk : kGrid);
    canvas.text({plot.left - 12, at - kLabelSize / 2}, number(value), kLabelSize, kFaintInk, Align::kRight);
  }
  for (double value = 0; value <= x.most * 1.0001; value += x.step) {
    const double at = plot.left + plot.width() * value / x.most;
    canvas.fill({at, plot.bottom, at + 1, plot.bottom + 6}, kFaintInk);
    canvas.text({at, plot.bottom + 12}, number(value), kLabelSize, kFaintInk, Align::kCentre);
  }
  canvas.text({plot.left, plot.top - 26}, y.name, kLabelSize, kFaintInk);
  canvas.text({(plot.left + plot.right) / 2, plot.bottom + 38}, x.name, kLabelSize, kFaintInk, Align::kCentre);
}

std::vector<Point> curve(const Box& plot, const std::vector<double>& values, double most) {
  std::vector<Point> points;
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = plot.left + plot.width() * (static_cast<double>(i) + 0.5) / static_cast<double>(values.size());
    points.push_back({x, plot.bottom - plot.height() * std::clamp(values[i] / most, 0.0, 1.0)});
  }
  return points;
}

// Rows of pixels that a layer takes.
double row_height(uint32_t layers) { return layers <= 12 ? 24 : layers <= 32 ? 14 : layers <= 64 ? 8 : 5; }

// How often an expert is used, in times the mean.
double times_of(const TracePicture& picture, uint64_t uses) {
  const double mean = static_cast<double>(picture.tokens) * picture.top_k / picture.experts;
  return static_cast<double>(uses) / std::max(mean, 1e-9);
}

// The power of two at which the darkest tone begins.
double darkest_times(const TracePicture& picture) {
  std::vector<uint64_t> uses = picture.uses;
  const auto at = static_cast<size_t>(static_cast<double>(uses.size() - 1) * (1 - kDarkestShare));
  std::nth_element(uses.begin(), uses.begin() + static_cast<std::ptrdiff_t>(at), uses.end());
  const double times = times_of(picture, uses[at]);
  return std::clamp(std::exp2(std::ceil(std::log2(std::max(times, 1.0)))), 2.0, 1024.0);
}

void draw_heat_legend(Canvas& canvas, const Box& plot, double darkest) {
  const Box bar = {plot.right + 24, plot.top, plot.right + 24 + kLegendWidth, plot.bottom};
  for (double y = bar.top; y < bar.bottom; ++y) canvas.fill({bar.left, y, bar.right, y + 1}, heat((bar.bottom - y) / bar.height()));
  for (const double share : {0.0, 0.25, 0.5, 1.0}) {
    const double y = bar.bottom - bar.height() * share;
    const std::string label = number(darkest * share) + (share < 1 ? "x" : "x+");
    canvas.text({bar.right + 8, std::clamp(y - kLabelSize / 2, bar.top, bar.bottom - kLabelSize)}, label, kLabelSize, kFaintInk);
  }
}

void draw_uses(Canvas& canvas, const TracePicture& picture, const Box& plot, double darkest) {
  const double row = plot.height() / picture.layers, column = plot.width() / picture.experts;
  for (uint32_t layer = 0; layer < picture.layers; ++layer) {
    for (uint32_t expert = 0; expert < picture.experts; ++expert) {
      const double times = times_of(picture, picture.uses[size_t{layer} * picture.experts + expert]);
      const double left = plot.left + column * expert, top = plot.top + row * layer;
      // A gap where cells are large enough for one.
      const double gap = column >= 8 && row >= 8 ? 1 : 0;
      canvas.fill({left, top, left + column - gap, top + row - gap}, heat(times / darkest));
    }
  }
}

void draw_use_panel(Canvas& canvas, const TracePicture& picture, double top) {
  const Box plot = {kLeft, top + kHeadRoom, kRight, top + kHeadRoom + row_height(picture.layers) * picture.layers};
  draw_head(canvas, top, "Use of experts", "times the mean of " + number(100.0 * picture.top_k / picture.experts) + " % of tokens");
  const double darkest = darkest_times(picture);
  draw_uses(canvas, picture, plot, darkest);
  const double layer_step = std::max(1.0, tick_step(picture.layers, 8)), expert_step = std::max(1.0, tick_step(picture.experts, 16));
  for (double layer = 0; layer < picture.layers; layer += layer_step) {
    const double y = plot.top + plot.height() * (layer + 0.5) / picture.layers - kLabelSize / 2;
    canvas.text({plot.left - 12, y}, number(layer), kLabelSize, kFaintInk, Align::kRight);
  }
  for (double expert = 0; expert < picture.experts; expert += expert_step) {
    const double x = plot.left + plot.width() * (expert + 0.5) / picture.experts;
    canvas.text({x, plot.bottom + 10}, number(expert), kLabelSize, kFaintInk, Align::kCentre);
  }
  canvas.text({(plot.left + plot.right) / 2, plot.bottom + 38}, "expert", kLabelSize, kFaintInk, Align::kCentre);
  canvas.text({plot.left, plot.top - 26}, "layer", kLabelSize, kFaintInk);
  draw_heat_legend(canvas, plot, darkest);
}

void draw_hit_panel(Canvas& canvas, const TracePicture& picture, double top) {
  const Box plot = {kLeft, top + kHeadRoom, kRight, top + kHeadRoom + kPlotHeight};
  const double mean = std::accumulate(picture.hit_rate.begin(), picture.hit_rate.end(), 0.0) / static_cast<double>(picture.hit_rate.size());
  char detail[96];
  std::snprintf(detail, sizeof detail, "%.1f %% of lookups, %.40s", mean * 100, picture.cache_note.c_str());
  draw_head(canvas, top, "Hit rate: " + picture.cache_title, detail);
  const double tokens = static_cast<double>(picture.hit_rate.size()) * picture.tokens_per_point;
  draw_axes(canvas, plot, {tokens, std::max(1.0, tick_step(tokens, 10)), "token"}, {100, 25, "%"});
  std::vector<double> percent = shortened(picture.hit_rate, static_cast<size_t>(plot.width() / 4));
  for (double& value : percent) value *= 100;
  const std::vector<Point> points = curve(plot, percent, 100);
  canvas.area(points, plot.bottom, kSeries[0], 0.12);
  canvas.polyline(points, 2, kSeries[0]);
  const double y = plot.bottom - plot.height() * mean;
  canvas.fill({plot.left, y, plot.right, y + 1}, kSeries[1]);
  canvas.text({plot.right + 10, y - kLabelSize / 2}, "mean", kLabelSize, kSeries[1]);
}

void draw_link_panel(Canvas& canvas, const TracePicture& picture, double top) {
  const Box plot = {kLeft, top + kHeadRoom, kRight, top + kHeadRoom + kPlotHeight};
  const double to_rate = 1e3 / std::max(picture.bucket_ms, 1e-9) / 1e9;  // bytes a bucket to GB a second
  double most = 0;
  for (const LinkSeries& link : picture.links) {
    for (const double bytes : link.bytes) most = std::max(most, bytes * to_rate);
  }
  const double step = tick_step(most, 4);
  most = std::max(step, std::ceil(most / step) * step);
  const double seconds = static_cast<double>(picture.links.front().bytes.size()) * picture.bucket_ms / 1e3;
  draw_head(canvas, top, "Links", "bytes under way, over the time of the run");
  draw_axes(canvas, plot, {seconds, tick_step(seconds, 10), "seconds"}, {most, step, "GB/s"});
  double legend_x = kRight;
  for (size_t i = 0; i < picture.links.size(); ++i) {
    const LinkSeries& link = picture.links[i];
    std::vector<double> rates = link.bytes;
    for (double& rate : rates) rate *= to_rate;
    const Colour colour = kSeries[i % std::size(kSeries)];
    canvas.polyline(curve(plot, rates, most), 2, colour);
    legend_x -= Canvas::text_width(link.name, kLabelSize);
    canvas.text({legend_x, top}, link.name, kLabelSize, kInk);
    canvas.fill({legend_x - 28, top + kLabelSize / 2 - 1, legend_x - 8, top + kLabelSize / 2 + 2}, colour);
    legend_x -= 52;
  }
}

Status check(const TracePicture& picture) {
  constexpr uint32_t kMostLayers = 4096, kMostExperts = 65536;
  const bool sized = picture.layers > 0 && picture.layers <= kMostLayers && picture.experts > 0 && picture.experts <= kMostExperts;
  if (!sized || picture.uses.size() != size_t{picture.layers} * picture.experts)
    return error(Code::kInvalidArgument, "a trace without layers and experts has no picture");
  if (picture.tokens == 0 || picture.hit_rate.empty()) return error(Code::kInvalidArgument, "a trace without tokens has no picture");
  for (const LinkSeries& link : picture.links) {
    if (link.bytes.empty() || link.bytes.size() != picture.links.front().bytes.size())
      return error(Code::kInvalidArgument, "link series of unequal length have no picture");
  }
  return ok_status();
}

}  // namespace

Status draw_trace(const TracePicture& picture, const std::string& path) {
  HOTSET_RETURN_IF_ERROR(check(picture));
  const double uses_top = 110;
  const double hits_top = uses_top + kHeadRoom + row_height(picture.layers) * picture.layers + kAxisRoom;
  const double links_top = hits_top + kHeadRoom + kPlotHeight + kAxisRoom;
  const double bottom = picture.links.empty() ? links_top : links_top + kHeadRoom + kPlotHeight + kAxisRoom;
  HOTSET_ASSIGN(Canvas canvas, Canvas::create(kWidth, static_cast<uint32_t>(bottom), kGround));
  canvas.text({kMargin, kMargin}, picture.title, kTitleSize, kInk);
  canvas.text({kMargin, kMargin + 32}, picture.subtitle, kLabelSize, kFaintInk);
  draw_use_panel(canvas, picture, uses_top);
  draw_hit_panel(canvas, picture, hits_top);
  if (!picture.links.empty()) draw_link_panel(canvas, picture, links_top);
  return canvas.save_png(path);
}

}  // namespace hotset
