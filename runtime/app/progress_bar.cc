#include "runtime/app/progress_bar.h"

#include <algorithm>
#include <cstdio>

#include "platform/bytes.h"
#include "platform/clock.h"

namespace hotset {
namespace {

constexpr uint64_t kQuietNs = 300'000'000;  // no bar for what takes less
constexpr uint64_t kRedrawNs = 100'000'000;
constexpr size_t kWidth = 30;
constexpr const char* kEraseLine = "\r\x1b[K";

}  // namespace

ProgressBar::ProgressBar(const Console& console, std::string label, bool visible)
    : console_(console), label_(std::move(label)), visible_(visible), start_ns_(now_ns()) {}

ProgressBar::~ProgressBar() {
  if (drawn_ns_ != 0) console_.draw(kEraseLine);
}

void ProgressBar::update(uint64_t done_bytes, uint64_t total_bytes) {
  const uint64_t now = now_ns();
  if (!visible_ || now - start_ns_ < kQuietNs || now - drawn_ns_ < kRedrawNs) return;
  drawn_ns_ = now;
  console_.draw(kEraseLine + progress_line(label_, done_bytes, total_bytes));
}

std::string progress_line(const std::string& label, uint64_t done_bytes, uint64_t total_bytes) {
  const uint64_t done = std::min(done_bytes, total_bytes);
  const double share = total_bytes == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total_bytes);
  const auto filled = static_cast<size_t>(share * static_cast<double>(kWidth));
  char percent[16];
  std::snprintf(percent, sizeof percent, "] %3.0f %%, ", share * 100);
  return label + " [" + std::string(filled, '#') + std::string(kWidth - filled, ' ') + percent + format_bytes(done) + " of " +
         format_bytes(total_bytes);
}

}  // namespace hotset
