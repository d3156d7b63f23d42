// The plan of an open model in words: what goes where, why, and what speed it promises.
#pragma once

#include <string>

#include "runtime/engine/loaded_model.h"

namespace hotset {

std::string explain_plan(const LoadedModel& loaded, const SessionStats& stats);

}  // namespace hotset
