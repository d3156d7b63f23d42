#include "runtime/engine/state_mover.h"

#include <algorithm>

#include "platform/crc32c.h"

namespace hotset {

Status StateMover::put(std::span<const std::byte> bytes, const StateSink& sink) {
  crc_ = crc32c(bytes, crc_);
  HOTSET_RETURN_IF_ERROR(sink(at_, bytes));
  at_ += bytes.size();
  return ok_status();
}

Status StateMover::get(std::span<std::byte> out, const StateSource& source) {
  HOTSET_RETURN_IF_ERROR(source.read(at_, out));
  crc_ = crc32c(out, crc_);
  at_ += out.size();
  return ok_status();
}

Status StateMover::put_state(StateId id, uint64_t size_bytes, const StateSink& sink) {
  for (uint64_t done = 0; done < size_bytes;) {
    const auto bytes = std::span(piece_).first(std::min<uint64_t>(piece_.size(), size_bytes - done));
    {
      const std::lock_guard guard(loaded_.lock());
      HOTSET_RETURN_IF_ERROR(loaded_.copies().read(ws_.state_buffer(id), done, bytes));
    }
    HOTSET_RETURN_IF_ERROR(put(bytes, sink));
    done += bytes.size();
  }
  return ok_status();
}

Status StateMover::get_state(StateId id, uint64_t size_bytes, const StateSource& source) {
  for (uint64_t done = 0; done < size_bytes;) {
    const auto bytes = std::span(piece_).first(std::min<uint64_t>(piece_.size(), size_bytes - done));
    HOTSET_RETURN_IF_ERROR(get(bytes, source));
    const std::lock_guard guard(loaded_.lock());
    HOTSET_RETURN_IF_ERROR(loaded_.copies().write(ws_.state_buffer(id), done, bytes));
    done += bytes.size();
  }
  return ok_status();
}

Status StateMover::save(const StateHeader& header, std::span<const TokenId> tokens, const StateSink& sink) {
  piece_.resize(kStatePieceBytes);
  HOTSET_RETURN_IF_ERROR(sink(0, encode_state_header(header)));
  at_ = kStateHeaderBytes;
  crc_ = 0;
  HOTSET_RETURN_IF_ERROR(put(std::as_bytes(tokens), sink));
  if (header.has_logits) HOTSET_RETURN_IF_ERROR(put(std::as_bytes(logits()), sink));
  const std::vector<StateSpec>& states = loaded_.spec().states;
  for (StateId id = 0; id < states.size(); ++id) {
    HOTSET_RETURN_IF_ERROR(put_state(id, used_state_bytes(states[id], header.owner.kv, header.position), sink));
  }
  return sink(at_, std::as_bytes(std::span(&crc_, 1)));
}

Status StateMover::load(const StateHeader& header, const StateSource& source, std::vector<TokenId>& tokens) {
  piece_.resize(kStatePieceBytes);
  at_ = kStateHeaderBytes;
  crc_ = 0;
  tokens.resize(header.position);
  HOTSET_RETURN_IF_ERROR(get(std::as_writable_bytes(std::span(tokens)), source));
  if (header.has_logits) HOTSET_RETURN_IF_ERROR(get(std::as_writable_bytes(logits()), source));
  const std::vector<StateSpec>& states = loaded_.spec().states;
  for (StateId id = 0; id < states.size(); ++id) {
    HOTSET_RETURN_IF_ERROR(get_state(id, used_state_bytes(states[id], header.owner.kv, header.position), source));
  }
  uint32_t written = 0;
  HOTSET_RETURN_IF_ERROR(source.read(at_, std::as_writable_bytes(std::span(&written, 1))));
  if (written != crc_) return error(Code::kCorrupt, "this state changed while it was read");
  const auto outside = [&](TokenId token) { return token < 0 || static_cast<uint32_t>(token) >= loaded_.spec().vocab; };
  if (std::any_of(tokens.begin(), tokens.end(), outside)) return error(Code::kCorrupt, "this state has tokens outside the vocabulary");
  return ok_status();
}

Status StateMover::copy_to(Workspace& other, uint32_t position) {
  const std::lock_guard guard(loaded_.lock());
  const std::vector<StateSpec>& states = loaded_.spec().states;
  for (StateId id = 0; id < states.size(); ++id) {
    const uint64_t size_bytes = used_state_bytes(states[id], ws_.shape().kv, position);
    HOTSET_RETURN_IF_ERROR(loaded_.copies().copy(ws_.state_buffer(id), other.state_buffer(id), size_bytes));
  }
  std::ranges::copy(logits(), other.host<float>(other.logits).begin());
  return ok_status();
}

}  // namespace hotset
