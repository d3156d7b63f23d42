// Which values and states a step touches: for lifetimes, and for checks.
#pragma once

#include <functional>

#include "runtime/model/model_spec.h"

namespace hotset {

using ValueFunction = std::function<void(const Value& value)>;

// Calls `see` with every value that the step reads or writes. Absent operands are left out.
void for_each_value(const ModelSpec& spec, const Step& step, const ValueFunction& see);

}  // namespace hotset
