// Figures: what a run cost, from SessionStats, as lines to read and as JSON. Pure functions.
#pragma once

#include <string>

#include "runtime/app/json_writer.h"
#include "runtime/engine/engine.h"

namespace hotset {

// Units a second; 0 when no time passed.
double rate_per_second(uint64_t units, uint64_t elapsed_ns);

// Share in 0..1; 1 when nothing was asked for, since nothing was missed.
double hit_rate(uint64_t hits, uint64_t lookups);

// "0123456789abcdef".
std::string hash_text(uint64_t hash);

// One line of how a run is doing.
std::string watch_line(const SessionStats& stats);

// Several lines, each ended: prompt, decode, experts, link, memory, load, logits.
std::string figures_text(const SessionStats& stats);

// Times in seconds, sizes in bytes, rates in units a second; units last in each key.
Json figures_json(const SessionStats& stats);
// What `hotset heatmap` draws of a run.
Json history_json(const RunHistory& history);

const char* stop_reason_name(StopReason reason);

}  // namespace hotset
