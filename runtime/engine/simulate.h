// What replays recorded routing through the engine's own caches and policies, for programs above the engine: no model is run.
#pragma once

#include "offload/policy.h"
#include "offload/simulator.h"
