#include "offload/use_forecast.h"

#include <algorithm>
#include <cmath>

#include "offload/fast_math.h"
#include "platform/check.h"

namespace hotset {
namespace {

constexpr float kHalfLives[] = {1, 4, 16, 64, 1024};  // turns of the layer
constexpr uint32_t kBasePace = 3;                     // whose rate the evidence of pairs is measured against

// How many turns of an even share a rate starts from: a fixed part, and one that grows with what was seen.
constexpr float kPriorTurns = 1;
constexpr float kPriorShare = 0.16f;

// Where learning starts: what it ended at, on average, on the traces of gpt-oss-20b, OLMoE and Storyteller. The
// last is the constant's, beyond the log odds of an expert that is used at an even share.
constexpr std::array<float, 7> kFirstWeights = {0.20f, -0.08f, 0.65f, 1.23f, -0.38f, 0.29f, -0.34f};
constexpr float kRate = 0.0025f;
constexpr float kSquareDecay = 0.999f;
constexpr uint64_t kFirstLessonTurn = 2;  // before it there are no features worth learning from

// In eight sums, which a compiler may do at once.
float dot(const float* a, const float* b, size_t count) {
  constexpr size_t kLanes = 8;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (; i < count; ++i) sum += a[i] * b[i];
  for (const float part : sums) sum += part;
  return sum;
}

float decay_of(uint32_t pace) { return std::exp2(-1.0f / kHalfLives[pace]); }

}  // namespace

UseForecast::UseForecast(const Shape& shape, float discount)
    : shape_(shape),
      discount_(discount),
      even_share_(static_cast<float>(std::max(shape.top_k, 1u)) / static_cast<float>(std::max(shape.experts, 1u))),
      pairs_(shape.layers, shape.experts),
      layers_(shape.layers),
      rows_(size_t{shape.layers} * kRows * shape.experts, 0.0f),
      weights_(kFirstWeights),
      old_features_(kFeatures * size_t{shape.experts}),
      old_values_(shape.experts),
      scratch_(2 * size_t{shape.experts}) {
  squares_.fill(1.0f);
  const float even_value = even_share_ / (1 - discount_ * (1 - even_share_));
  if (even_value < 1) weights_[kFeatures] += std::log(even_value / (1 - even_value));
  for (Layer& layer : layers_) layer.choice.reserve(shape.experts);
  turn_.reserve(shape.experts);
}

void UseForecast::use(ExpertId id) {
  HOTSET_CHECK(id.layer < shape_.layers && id.expert < shape_.experts);
  if (pending() && turn_layer_ != id.layer) settle();
  turn_layer_ = id.layer;
  if (std::find(turn_.begin(), turn_.end(), id.expert) == turn_.end()) turn_.push_back(id.expert);
}

void UseForecast::end_token() {
  settle();
  ++token_;
}

void UseForecast::settle() {
  if (turn_.empty()) return;
  Layer& layer = layers_[turn_layer_];
  if (layer.turns > 0 && layer.token == token_) add_to_turn(turn_layer_);
  else begin_turn(turn_layer_);
  turn_.clear();
}

void UseForecast::begin_turn(uint32_t layer) {
  Layer& of = layers_[layer];
  pairs_.add(layer, of.choice, turn_);
  of.choice = turn_;
  of.token = token_;
  ++of.turns;
  for (uint32_t pace = 0; pace < kPaces; ++pace) {
    const float decay = decay_of(pace);
    of.seen[pace] = of.seen[pace] * decay + 1;
    float* sums = row(layer, kSum + pace);
    for (uint32_t e = 0; e < shape_.experts; ++e) sums[e] *= decay;
    for (const uint16_t expert : turn_) sums[expert] += 1;
  }
  const size_t experts = shape_.experts;
  std::copy_n(row(layer, kFeature), kFeatures * experts, old_features_.begin());
  compute_values(layer);  // as the weights have it by now: those of then would make learning overshoot
  std::copy_n(row(layer, kValue), experts, old_values_.begin());
  compute_features(layer);
  compute_values(layer);
  if (of.turns > kFirstLessonTurn) learn(layer);
}

// More uses of a layer whose turn was already taken in: no time has passed.
void UseForecast::add_to_turn(uint32_t layer) {
  Layer& of = layers_[layer];
  for (const uint16_t expert : turn_) {
    if (std::find(of.choice.begin(), of.choice.end(), expert) != of.choice.end()) continue;
    of.choice.push_back(expert);
    for (uint32_t pace = 0; pace < kPaces; ++pace) row(layer, kSum + pace)[expert] += 1;
  }
  compute_features(layer);
  compute_values(layer);
}

// out[e] = how many times an even share the expert was used, at this pace.
void UseForecast::compute_rates(uint32_t layer, uint32_t pace, float* out) const {
  const float seen = layers_[layer].seen[pace];
  const float prior = kPriorTurns + kPriorShare * seen;
  const float scale = 1 / ((seen + prior) * even_share_);
  const float* sums = row(layer, kSum + pace);
  for (uint32_t e = 0; e < shape_.experts; ++e) out[e] = (sums[e] + prior * even_share_) * scale;
}

void UseForecast::compute_features(uint32_t layer) {
  const size_t experts = shape_.experts;
  float* rates = &scratch_[0];
  for (uint32_t pace = 0; pace < kPaces; ++pace) {
    compute_rates(layer, pace, rates);
    float* feature = row(layer, kFeature + pace);
    for (size_t e = 0; e < experts; ++e) feature[e] = 0.5f * fast_log2(rates[e]);
  }
  compute_rates(layer, kBasePace, rates);
  for (size_t e = 0; e < experts; ++e) rates[e] = 1 / (rates[e] * even_share_);
  pairs_.evidence(layer, layers_[layer].choice, {rates, experts}, {row(layer, kFeature + kPaces), experts});
}

void UseForecast::compute_values(uint32_t layer) {
  float* values = row(layer, kValue);
  std::fill_n(values, shape_.experts, weights_[kFeatures]);
  for (uint32_t f = 0; f < kFeatures; ++f) {
    const float* feature = row(layer, kFeature + f);
    for (uint32_t e = 0; e < shape_.experts; ++e) values[e] += weights_[f] * feature[e];
  }
  for (uint32_t e = 0; e < shape_.experts; ++e) values[e] = fast_logistic(values[e]);
}

// One step from what the turn before foretold to what is known now.
void UseForecast::learn(uint32_t layer) {
  const size_t experts = shape_.experts;
  const float* values = row(layer, kValue);
  float* errors = &scratch_[0];
  for (size_t e = 0; e < experts; ++e) errors[e] = discount_ * values[e] - old_values_[e];
  for (const uint16_t expert : layers_[layer].choice) errors[expert] = 1 - old_values_[expert];
  Weights gradient;
  for (uint32_t f = 0; f < kFeatures; ++f) gradient[f] = dot(errors, &old_features_[f * experts], experts);
  std::fill_n(&scratch_[experts], experts, 1.0f);
  gradient[kFeatures] = dot(errors, &scratch_[experts], experts);
  step(gradient);
}

// Each weight moves by about the same, whatever the size of its gradients (RMSprop).
void UseForecast::step(const Weights& gradient) {
  const float scale = 1 / static_cast<float>(std::max(shape_.top_k, 1u));
  for (size_t i = 0; i < gradient.size(); ++i) {
    const float g = gradient[i] * scale;
    squares_[i] = squares_[i] * kSquareDecay + g * g * (1 - kSquareDecay) + 1e-9f;
    weights_[i] += kRate * g / (std::sqrt(squares_[i]) + 1e-3f);
  }
}

}  // namespace hotset
