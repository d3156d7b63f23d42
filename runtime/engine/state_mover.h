// StateMover: takes the timeline of one session out of its workspace as a saved state, puts one there, or copies it to another workspace.
//
// A value for one call. It takes the engine's lock for each piece, not while a file is read or written. The session that owns the
// workspace has nothing under way.
#pragma once

#include <vector>

#include "runtime/engine/loaded_model.h"
#include "runtime/engine/state_format.h"

namespace hotset {

class StateMover {
 public:
  StateMover(LoadedModel& loaded, Workspace& workspace) : loaded_(loaded), ws_(workspace) {}

  // Errors: the device's, the sink's.
  Status save(const StateHeader& header, std::span<const TokenId> tokens, const StateSink& sink);
  // Of a state whose header was read and whose body was checked: it is checked again, because a file may change. After an error the
  // workspace holds no timeline. Errors: kCorrupt; the device's, the source's.
  Status load(const StateHeader& header, const StateSource& source, std::vector<TokenId>& tokens);
  Status copy_to(Workspace& other, uint32_t position);

 private:
  Status put(std::span<const std::byte> bytes, const StateSink& sink);
  Status get(std::span<std::byte> out, const StateSource& source);
  Status put_state(StateId id, uint64_t size_bytes, const StateSink& sink);
  Status get_state(StateId id, uint64_t size_bytes, const StateSource& source);
  std::span<float> logits() { return ws_.host<float>(ws_.logits).subspan(0, loaded_.spec().vocab); }

  LoadedModel& loaded_;
  Workspace& ws_;
  std::vector<std::byte> piece_;
  uint64_t at_ = 0;   // in the state
  uint32_t crc_ = 0;  // of its body up to there
};

}  // namespace hotset
