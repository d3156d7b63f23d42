// The bytes of a session's state: what a timeline needs to go on, as save_state() writes it to a file or a buffer.
//
//   header   kStateHeaderBytes: what it is of (StateOwner), how long the timeline is, the sampler; with a CRC-32C of its own
//   tokens   int32 [position]
//   logits   float [vocab] after the last token, where there are any
//   states   of each state of the model (ModelSpec::states) the bytes that `position` tokens filled (used_state_bytes)
//   CRC-32C  of tokens, logits and states
//
// Little-endian, version 1. Who reads one trusts nothing: sizes follow from the header and from the model at hand, and must come to the
// size that there is. Values and pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "offload/model_identity.h"
#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/model/model_spec.h"
#include "runtime/model/workspace.h"
#include "runtime/text/sampler.h"

namespace hotset {

// What a state is bound to.
struct StateOwner {
  ModelIdentity model;
  uint32_t dense_crc = 0;   // of samples of the weights that are no experts
  uint32_t layout_crc = 0;  // of the states' shapes and of the rotation that keys were stored with
  KvElement kv = KvElement::kF16;
  uint32_t vocab = 0;
};

struct StateHeader {
  StateOwner owner;
  uint32_t position = 0;
  bool has_logits = false;
  SamplerState sampler;
};

constexpr size_t kStateHeaderBytes = 128;
using StateHeaderBytes = std::array<std::byte, kStateHeaderBytes>;

// Where a state's bytes go, in order, and where they come from, at any place and more than once.
using StateSink = std::function<Status(uint64_t offset_bytes, std::span<const std::byte> bytes)>;
struct StateSource {
  uint64_t size_bytes = 0;
  std::function<Status(uint64_t offset_bytes, std::span<std::byte> out)> read;
};

// Error: what reading the model's file says.
Result<StateOwner> identify_state_owner(const GgufFile& file, const ExpertTable& experts, const ModelSpec& spec, const WorkspaceShape& shape);

// Of the whole: header, body, checksum.
uint64_t state_size_bytes(const StateHeader& header, const ModelSpec& spec);

StateHeaderBytes encode_state_header(const StateHeader& header);

// The header of a state that `owner` can go on from. Errors: kCorrupt, it is none, or cut off, or damaged; kUnsupported, of a version to
// come; kInvalidArgument, of another model or KV type, or longer than the context.
Result<StateHeader> read_state_header(const StateSource& source, const StateOwner& owner, const ModelSpec& spec, uint32_t context_tokens);

// Whether the bytes behind the header are those that were written. Error: kCorrupt; what the source says.
Status check_state_body(const StateSource& source);

constexpr uint64_t kStatePieceBytes = 4u << 20;  // what is read, written and checked at a time

}  // namespace hotset
