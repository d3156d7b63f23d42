#include "offload/policy_forecast.h"

#include <algorithm>
#include <cmath>

namespace hotset {
namespace {

constexpr double kAdmitRatio = 1.5;

}  // namespace

PolicyForecast::PolicyForecast(const PolicyShape& shape)
    : RankedPolicy(shape),
      forecast_({book().layers(), shape.experts, shape.floor}),
      heaps_(shape.slots, 2 * book().layers(), std::min(shape.slots, shape.experts)) {
  const double layers = std::max(1.0, static_cast<double>(book().layers()));
  for (uint32_t ahead = 0; ahead <= book().layers(); ++ahead) nearness_.push_back(std::pow(double{UseForecast::kDiscount}, ahead / layers));
}

double PolicyForecast::nearness(uint32_t layer) const {
  return nearness_[layer > running_layer_ ? layer - running_layer_ : layer + book().layers() - running_layer_];
}

void PolicyForecast::note_use(ExpertId id) {
  if (forecast_.pending() && *forecast_.pending() != id.layer) settle();
  forecast_.use(id);
  running_layer_ = id.layer;
}

void PolicyForecast::settle() {
  const auto layer = forecast_.pending();
  if (!layer) return;
  forecast_.settle();
  for (const Heat heat : {Heat::kCold, Heat::kHot}) {
    heaps_.rescore(heap(*layer, heat), [this](SlotId slot) { return SlotHeaps::Key{forecast_.value(tenant_of(slot)), heaps_.key(slot).stamp}; });
  }
}

void PolicyForecast::end_token() {
  settle();
  forecast_.end_token();
}

void PolicyForecast::join(SlotId slot) {
  const ExpertId tenant = tenant_of(slot);
  heaps_.push(heap(tenant.layer, heat_of(slot)), slot, {forecast_.value(tenant), ++clock_});
}

double PolicyForecast::worth(ExpertId id) {
  settle();
  return double{forecast_.value(id)} * nearness(id.layer);
}

bool PolicyForecast::admits(ExpertId candidate, SlotId victim) { return worth(candidate) > kAdmitRatio * worth(tenant_of(victim)); }

Status PolicyForecast::check_order(uint32_t layer, uint32_t cold, uint32_t hot) const {
  HOTSET_RETURN_IF_ERROR(heaps_.check(heap(layer, Heat::kCold), cold));
  return heaps_.check(heap(layer, Heat::kHot), hot);
}

}  // namespace hotset
