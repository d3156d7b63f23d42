// A model file as it is shown: what it holds and what of it fits where. Pure functions.
#pragma once

#include <string>

#include "runtime/api/report_text.h"
#include "runtime/engine/engine.h"

namespace hotset {

std::string model_text(const ModelReport& report);
Json model_json(const ModelReport& report);

}  // namespace hotset
