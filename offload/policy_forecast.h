// PolicyForecast: the expert goes that is expected to be used latest, by what UseForecast has learned.
//
// Layers run in turn, so an expert of the next layer is needed nearly a token sooner than an equally likely one of the layer that just
// ran: values are discounted by the way to the layer's next turn, in layers. The default: on routing traces of seven models it keeps
// more hits than any other policy here. One owner thread.
#pragma once

#include "offload/ranked_policy.h"
#include "offload/slot_heaps.h"
#include "offload/use_forecast.h"

namespace hotset {

class PolicyForecast final : public RankedPolicy {
 public:
  explicit PolicyForecast(const PolicyShape& shape);

  std::string_view name() const override { return "forecast"; }
  void end_token() override;
  double worth(ExpertId id) override;
  bool admits(ExpertId candidate, SlotId victim) override;

 private:
  static uint32_t heap(uint32_t layer, Heat heat) { return 2 * layer + static_cast<uint32_t>(heat); }
  void join(SlotId slot) override;
  void part(SlotId slot) override { heaps_.remove(slot); }
  void note_use(ExpertId id) override;
  bool use_moves() const override { return false; }
  void settle() override;
  SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const override { return heaps_.lowest_unpinned(heap(layer, heat), pins); }
  double rank(SlotId slot) const override { return heaps_.key(slot).score * nearness(tenant_of(slot).layer); }
  Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const override;
  double nearness(uint32_t layer) const;

  UseForecast forecast_;
  SlotHeaps heaps_;                // [layers][Heat] by the forecast's value
  std::vector<double> nearness_;   // [layers + 1] by how many layers ahead
  uint32_t running_layer_ = 0;     // the last of which a use was told
  uint64_t clock_ = 0;
};

}  // namespace hotset
