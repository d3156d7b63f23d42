// What a plan found (plan.h), and how it is shown. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/api/report_text.h"
#include "runtime/engine/placement.h"

namespace hotset {

// One context length: with the hit rate to expect, and with those of models whose routing is more and less even.
struct ContextPlan {
  Placement expected;
  Placement low;
  Placement high;
};
ContextPlan place_context(const ModelNeeds& needs, const PlanMachine& machine, uint32_t context_tokens);

struct PlanReport {
  PlanMachine machine;
  bool machine_is_measured = false;  // its rates are from a file
  ModelNeeds needs;
  uint64_t total_parameters = 0;
  uint64_t active_parameters = 0;    // 0: not known
  std::string_view native;           // what a shape is published in
  std::vector<QuantChoice> choices;  // at the first context; empty when the quantisation was given
  std::ptrdiff_t picked = -1;        // of them
  std::vector<ContextPlan> contexts;  // at least one
  std::vector<Placement> by_hit_rate;  // at the first context
};

std::string plan_text(const PlanReport& report);
Json plan_json(const PlanReport& report);

// Shapes, cards and quantisations there are.
std::string known_text();
Json known_json();

}  // namespace hotset
