#include "offload/speed_trial.h"

#include <algorithm>
#include <cmath>

namespace hotset {
namespace {

constexpr uint32_t kTrimShare = 8;      // one of so many values at each end
constexpr double kSureErrors = 3;       // a verdict before all samples are there; looking often makes flukes likely
constexpr double kFutileErrors = 1;     // behind: what was not in use need not be tried to the end
constexpr double kEnoughErrors = 2;     // ahead, when all samples are there: to begin with it,
constexpr double kKeepErrors = 0.5;     // and to stay with it
constexpr double kLeastGain = 0.01;     // of the time without it
constexpr uint32_t kBlockWindows = 4;   // without, with, with, without: a drift hits both alike

struct Trimmed {
  double mean = 0;
  double error2 = 0;  // the square of the mean's standard error
};

Trimmed trimmed(std::span<const double> sorted) {
  const size_t n = sorted.size();
  const size_t cut = n / kTrimShare;
  Trimmed of;
  for (size_t i = cut; i < n - cut; ++i) of.mean += sorted[i] / static_cast<double>(n - 2 * cut);
  // The error is that of the values with the ends pulled in, scaled by what is left.
  double mean = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) mean += sorted[std::clamp(i, cut, n - 1 - cut)] / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) squares += std::pow(sorted[std::clamp(i, cut, n - 1 - cut)] - mean, 2);
  const double kept = static_cast<double>(n - 2 * cut);
  of.error2 = squares / (kept * (kept - 1));
  return of;
}

}  // namespace

TrimmedDifference compare_trimmed(std::span<const double> a, std::span<const double> b) {
  const Trimmed of_a = trimmed(a), of_b = trimmed(b);
  return {of_a.mean - of_b.mean, std::sqrt(of_a.error2 + of_b.error2), of_a.mean};
}

SpeedTrial::SpeedTrial() {
  for (Samples& samples : samples_) samples.sorted_ns.reserve(kMostSamples + kBlockWindows * kWindowTokens);
}

void SpeedTrial::Samples::add(double ns) { sorted_ns.insert(std::upper_bound(sorted_ns.begin(), sorted_ns.end(), ns), ns); }

bool SpeedTrial::on() const {
  if (!trying_) return pays_;
  const uint32_t window = step_ / kWindowTokens % kBlockWindows;
  return window == 1 || window == 2;
}

void SpeedTrial::end_token(uint64_t token_ns) {
  if (trying_) return try_token(static_cast<double>(token_ns));
  if (++step_ < rest_tokens_) return;
  step_ = 0;
  trying_ = true;
}

void SpeedTrial::try_token(double ns) {
  if (step_ % kWindowTokens != 0) samples_[on() ? 1 : 0].add(ns);
  if (++step_ % (kBlockWindows * kWindowTokens) == 0) judge();
}

void SpeedTrial::judge() {
  const auto& [without, with] = samples_;
  if (std::min(without.sorted_ns.size(), with.sorted_ns.size()) < kLeastSamples) return;
  const TrimmedDifference saved = compare_trimmed(without.sorted_ns, with.sorted_ns);
  const bool pays = saved.difference > kLeastGain * saved.mean_a;
  const double lost_errors = pays_ ? kSureErrors : kFutileErrors;
  if (saved.difference > kSureErrors * saved.error || -saved.difference > lost_errors * saved.error) return settle(pays);
  if (with.sorted_ns.size() >= kMostSamples) settle(pays && saved.difference > (pays_ ? kKeepErrors : kEnoughErrors) * saved.error);
}

void SpeedTrial::settle(bool pays) {
  rest_tokens_ = pays == pays_ ? std::min(2 * rest_tokens_, kLongestRestTokens) : kFirstRestTokens;
  pays_ = pays;
  trying_ = false;
  step_ = 0;
  for (Samples& samples : samples_) samples.sorted_ns.clear();
}

}  // namespace hotset
