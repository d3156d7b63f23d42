// The families that are more than data, by the file that holds them.
#pragma once

#include "runtime/model/blocks.h"

namespace hotset {

// deepseek.cc
void describe_deepseek2(Graph& graph);

}  // namespace hotset
