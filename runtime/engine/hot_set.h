// HotSet: which experts were worth most when a run ended, so that the next one begins with them.
//
// A text file: a header line "HOTSET-EXPERTS 1 layers=L experts=E", then "layer expert" a line, the worthiest first. Advice only: a file
// that is missing is no file yet; one that is broken or of another model is not used, which is one log line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "offload/expert.h"
#include "offload/expert_table.h"
#include "platform/status.h"

namespace hotset {

// The experts of the text, the worthiest first. Errors: kCorrupt with the line; kInvalidArgument, of another model.
Result<std::vector<ExpertId>> parse_hot_set(std::string_view text, const ExpertTable& table);
std::string write_hot_set(std::span<const ExpertId> experts, const ExpertTable& table);

// What the file holds; empty where it cannot be used.
std::vector<ExpertId> load_hot_set(const std::string& path, const ExpertTable& table);

}  // namespace hotset
