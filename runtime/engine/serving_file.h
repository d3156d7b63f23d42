// The files in the cache folder that keep what a trial of the ways to serve misses measured (offload/serving_trial.h): one for each
// device, driver, number of threads, model and size of its tiers.
//
// Text, a line a way. A file that is broken, of something else or of another version is never an error of a run: the trial is held
// anew. One thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offload/model_identity.h"
#include "offload/serving_trial.h"
#include "runtime/engine/link_file.h"

namespace hotset {

// Whose times they are.
struct ServingOwner {
  LinkOwner machine;
  ModelIdentity model;
  uint32_t vram_sixteenths = 0;  // of all experts that VRAM has slots for, and RAM: budgets that are nearly the same share a file
  uint32_t ram_sixteenths = 0;
  std::string settings;          // other options that change what a token costs, in one line
};

std::string write_serving_file(std::span<const TriedWay> ways, const ServingOwner& owner);

// Fills the times of `ways`, which the file must hold exactly. Errors: kCorrupt, which names what is wrong; kInvalidArgument, of
// another version or owner.
Status read_serving_file(std::string_view text, const ServingOwner& owner, std::span<TriedWay> ways);

// "DIRECTORY/serving-KEY-HASH.txt".
std::string serving_file_path(const std::string& directory, const ServingOwner& owner);

}  // namespace hotset
