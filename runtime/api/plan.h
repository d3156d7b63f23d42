// Plan: before any download, does a model fit a machine, what goes where, and how fast will it be. Nothing is run; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/api/plan_report.h"

namespace hotset {

// Sizes and rates as people write them ("24G"); empty: the default. Named as the flags of `hotset plan`, which errors speak of.
struct PlanRequest {
  std::string model;      // a file, or else
  std::string shape;      // a published model
  std::string quant;      // of a shape
  std::string gpu;        // a card,
  std::string links;      // or (and) a file with measured rates
  std::string vram;       // empty: 90 % of the card's
  std::string ram;        // that experts may take
  std::string ram_rate;   // without `links`
  std::string disk_rate;
  std::vector<uint32_t> contexts;  // empty: three usual ones
};

// Errors: what is missing of the request, a name that is not known, a size that is none, what is wrong with a file.
Result<PlanReport> make_plan(const PlanRequest& request);

}  // namespace hotset
