// SpeedTrial: whether something that never changes results saves time, found out by trying it.
//
// Windows of a few tokens run without it and with it in turn, and the times of their tokens are compared. It is used when it wins by
// more than noise explains, and not used else: the doubt is settled against it. A verdict is tried again after a rest, which doubles
// each time the verdict stays, so that trying costs less and less. Time comes in through end_token() alone. One thread; nothing is
// allocated after creation.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace hotset {

class SpeedTrial {
 public:
  static constexpr uint32_t kWindowTokens = 5;     // the first of each feels what the one before left, and does not count
  static constexpr uint32_t kLeastSamples = 16;    // tokens of either kind before a verdict
  static constexpr uint32_t kMostSamples = 96;     // and at the most
  static constexpr uint32_t kFirstRestTokens = 256;
  static constexpr uint32_t kLongestRestTokens = 8192;

  SpeedTrial();

  // Whether the next token is to use it.
  bool on() const;
  // The token that on() was asked for is done, and took this long. Tokens that failed are not told.
  void end_token(uint64_t token_ns);

  // It is used, or being tried.
  bool in_use() const { return trying_ || pays_; }
  bool trying() const { return trying_; }

 private:
  struct Samples {
    std::vector<double> sorted_ns;
    void add(double ns);
  };
  void try_token(double ns);
  void judge();
  void settle(bool pays);

  std::array<Samples, 2> samples_;  // without, with
  bool trying_ = true;
  bool pays_ = false;               // by the last verdict
  uint32_t step_ = 0;               // tokens of the trial, or of the rest, so far
  uint32_t rest_tokens_ = kFirstRestTokens;
};

// Whether the mean behind `a` is larger than that behind `b`: the difference of means in units of its error, both without the eighth of
// the values at each end (Yuen's test; Wilcox, Introduction to Robust Estimation, section 5.3). Ascending, at least 8 values each.
struct TrimmedDifference {
  double difference = 0;
  double error = 0;
  double mean_a = 0;
};
TrimmedDifference compare_trimmed(std::span<const double> a, std::span<const double> b);

}  // namespace hotset
