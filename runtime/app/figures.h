// Figures: what a run cost, as the library counted it, as lines to read and as JSON. Pure functions.
#pragma once

#include <span>
#include <string>

#include <hotset/hotset.hpp>

#include "runtime/app/json_writer.h"

namespace hotset {

// Units a second; 0 when no time passed.
double rate_per_second(uint64_t units, uint64_t elapsed_ns);

// Share in 0..1; 1 when nothing was asked for, since nothing was missed.
double hit_rate(uint64_t hits, uint64_t lookups);

// "0123456789abcdef".
std::string hash_text(uint64_t hash);

// One line of how a run is doing.
std::string watch_line(const hotset_stats& stats);

// Several lines, each ended: prompt, decode, experts, link, memory, load, logits.
std::string figures_text(const hotset_stats& stats);

// Times in seconds, sizes in bytes, rates in units a second; units last in each key.
// `guesses`: of each layer with experts.
Json figures_json(const hotset_stats& stats, std::span<const hotset_guesses> guesses = {});
// The same of a session.
Json figures_json(const api::session& session);
// What `hotset heatmap` draws of a run.
Json history_json(const hotset_history& history);

const char* stop_reason_name(hotset_stop_reason reason);

}  // namespace hotset
