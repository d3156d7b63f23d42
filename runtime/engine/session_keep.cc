// SessionImpl: its timeline as a state that is saved, loaded, or copied to another session.
#include <cstring>

#include "platform/file.h"
#include "runtime/engine/no_throw.h"
#include "runtime/engine/session_impl.h"
#include "runtime/engine/state_mover.h"

namespace hotset {
namespace {

StateSource source_of(const File& file) {
  return {file.size_bytes(), [&](uint64_t offset_bytes, std::span<std::byte> out) { return file.read(offset_bytes, out); }};
}

StateSource source_of(std::span<const std::byte> bytes) {
  return {bytes.size(), [bytes](uint64_t offset_bytes, std::span<std::byte> out) {
            if (!out.empty()) std::memcpy(out.data(), bytes.data() + offset_bytes, out.size());
            return ok_status();
          }};
}

StateSink sink_of(std::span<std::byte> out) {
  return [out](uint64_t offset_bytes, std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(out.data() + offset_bytes, bytes.data(), bytes.size());
    return ok_status();
  };
}

}  // namespace

Result<StateHeader> SessionImpl::state_header() {
  HOTSET_RETURN_IF_ERROR(restore_state());
  HOTSET_ASSIGN(const StateOwner owner, loaded_.state_owner());
  return StateHeader{owner, position_, has_logits_, sampler_->state()};
}

Result<uint64_t> SessionImpl::state_bytes() {
  return without_exceptions([&]() -> Result<uint64_t> {
    HOTSET_ASSIGN(const StateOwner owner, loaded_.state_owner());
    return state_size_bytes({owner, position_, has_logits_, {}}, loaded_.spec());
  });
}

Status SessionImpl::save_state(const std::string& path) {
  return without_exceptions([&]() -> Status {
    HOTSET_ASSIGN(const StateHeader header, state_header());
    HOTSET_ASSIGN(const auto file, FileWriter::create(path, state_size_bytes(header, loaded_.spec())));
    const StateSink sink = [&](uint64_t offset_bytes, std::span<const std::byte> bytes) { return file->write(offset_bytes, bytes); };
    HOTSET_RETURN_IF_ERROR(StateMover(loaded_, *workspace_).save(header, fed_, sink));
    return file->commit();
  });
}

Status SessionImpl::save_state(std::span<std::byte> out) {
  return without_exceptions([&]() -> Status {
    HOTSET_ASSIGN(const StateHeader header, state_header());
    const uint64_t size_bytes = state_size_bytes(header, loaded_.spec());
    if (out.size() != size_bytes) {
      return error(Code::kInvalidArgument, "this session's state takes %llu bytes, not %zu", static_cast<unsigned long long>(size_bytes), out.size());
    }
    return StateMover(loaded_, *workspace_).save(header, fed_, sink_of(out));
  });
}

Status SessionImpl::load_state(const std::string& path) {
  return without_exceptions([&]() -> Status {
    HOTSET_ASSIGN(const auto file, File::open(path));
    const Status loaded = load_from(source_of(*file));
    return loaded.ok() ? loaded : loaded.with_context("'" + path + "'");
  });
}

Status SessionImpl::load_state(std::span<const std::byte> bytes) {
  return without_exceptions([&] { return load_from(source_of(bytes)); });
}

// Nothing changes before all of it was found good.
Status SessionImpl::load_from(const StateSource& source) {
  HOTSET_ASSIGN(const StateOwner owner, loaded_.state_owner());
  HOTSET_ASSIGN(const StateHeader header, read_state_header(source, owner, loaded_.spec(), loaded_.plan().workspace.context_tokens));
  HOTSET_RETURN_IF_ERROR(check_state_body(source));
  auto sampler = std::make_unique<Sampler>(header.sampler, loaded_.spec().vocab);
  rewind(0);
  std::vector<TokenId> tokens;
  HOTSET_RETURN_IF_ERROR(StateMover(loaded_, *workspace_).load(header, source, tokens));
  sampler_ = std::move(sampler);
  take_timeline(std::move(tokens), header.has_logits);
  return ok_status();
}

void SessionImpl::take_timeline(std::vector<TokenId> tokens, bool has_logits) {
  fed_ = std::move(tokens);
  position_ = static_cast<uint32_t>(fed_.size());
  has_logits_ = has_logits;
  state_is_stale_ = false;
  sampler_->restart(fed_);
}

Result<std::unique_ptr<Session>> SessionImpl::fork() {
  return without_exceptions([&]() -> Result<std::unique_ptr<Session>> {
    HOTSET_RETURN_IF_ERROR(restore_state());
    HOTSET_ASSIGN(auto made, make(loaded_, text_, load_ns_));
    HOTSET_RETURN_IF_ERROR(StateMover(loaded_, *workspace_).copy_to(*made->workspace_, position_));
    made->sampler_ = std::make_unique<Sampler>(sampler_->state(), loaded_.spec().vocab);
    made->show_special_ = show_special_;
    made->take_timeline(fed_, has_logits_);
    return std::unique_ptr<Session>(std::move(made));
  });
}

}  // namespace hotset
