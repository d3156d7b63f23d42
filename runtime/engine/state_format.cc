#include "runtime/engine/state_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "platform/crc32c.h"

namespace hotset {
namespace {

static_assert(std::endian::native == std::endian::little, "states are written as they lie in memory");

constexpr char kMagic[8] = {'H', 'O', 'T', 'S', 'T', 'A', 'T', 'E'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kCrcBytes = sizeof(uint32_t);
constexpr size_t kDenseSamples = 64;
constexpr uint64_t kDenseSampleBytes = 4096;

// The header as it is written.
struct Raw {
  char magic[8];
  uint32_t version;
  uint32_t crc;  // of the header with 0 here
  uint64_t layout_hash;
  uint64_t sample_hash;
  uint32_t dense_crc;
  uint32_t layout_crc;
  uint32_t kv;
  uint32_t vocab;
  uint32_t position;
  uint32_t has_logits;
  uint64_t option_seed;
  uint64_t seed;
  uint64_t random_state;
  float temperature;
  float top_p;
  float min_p;
  float repeat_penalty;
  uint32_t top_k;
  uint32_t repeat_last_n;
  uint64_t spare[3];  // 0
};
static_assert(sizeof(Raw) == kStateHeaderBytes && std::is_trivially_copyable_v<Raw>);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

uint32_t crc_of(Raw raw) {
  raw.crc = 0;
  return crc32c(bytes_of(raw));
}

// Of the shapes of states, and of what turns keys before they are stored.
uint32_t layout_crc(const ModelSpec& spec, uint32_t context_tokens) {
  uint32_t crc = 0;
  const auto add = [&](auto number) { crc = crc32c(bytes_of(number), crc); };
  for (const StateSpec& state : spec.states) {
    add(static_cast<uint32_t>(state.kind));
    add(state.width);
    add(state.every);
  }
  for (const RopeSpec& rope : spec.ropes) {
    add(rope.dim);
    add(rope.base);
    add(rope.linear_factor);
    add(uint32_t{!rope.long_factors.empty() && context_tokens > rope.original_context});
  }
  return crc;
}

Result<uint32_t> dense_crc(const GgufFile& file, const ModelSpec& spec) {
  uint32_t crc = 0;
  std::array<std::byte, kDenseSampleBytes> sample;
  const size_t samples = std::min(kDenseSamples, spec.tensors.size());
  for (size_t i = 0; i < samples; ++i) {
    const TensorInfo& tensor = *spec.tensors[i * spec.tensors.size() / samples];
    const auto bytes = std::span(sample).first(std::min(tensor.size_bytes, kDenseSampleBytes));
    HOTSET_RETURN_IF_ERROR(file.read(tensor, (tensor.size_bytes - bytes.size()) / 2, bytes));
    crc = crc32c(bytes, crc);
  }
  return crc;
}

const char* name_of(KvElement kv) { return kv == KvElement::kF16 ? "f16" : "f32"; }

StateHeader header_of(const Raw& raw) {
  StateHeader header;
  header.owner = {{raw.layout_hash, raw.sample_hash}, raw.dense_crc, raw.layout_crc, raw.kv == 0 ? KvElement::kF16 : KvElement::kF32, raw.vocab};
  header.position = raw.position;
  header.has_logits = raw.has_logits != 0;
  header.sampler = {{raw.option_seed, raw.temperature, raw.top_k, raw.top_p, raw.min_p, raw.repeat_penalty, raw.repeat_last_n}, raw.seed, raw.random_state};
  return header;
}

Status check_raw(const Raw& raw) {
  if (std::memcmp(raw.magic, kMagic, sizeof kMagic) != 0) return error(Code::kCorrupt, "this is no state of a session");
  if (raw.version > kVersion) {
    return error(Code::kUnsupported, "this state is of version %u, and this build knows those up to %u: it was saved by a newer one", raw.version, kVersion);
  }
  if (raw.version != kVersion || raw.crc != crc_of(raw)) return error(Code::kCorrupt, "the header of this state is damaged");
  return ok_status();
}

Status check_owner(const StateHeader& header, const StateOwner& owner, uint32_t context_tokens) {
  if (!(header.owner.model == owner.model) || header.owner.dense_crc != owner.dense_crc || header.owner.vocab != owner.vocab) {
    return error(Code::kInvalidArgument, "this state was saved with another model: a timeline goes on only with its own");
  }
  if (header.owner.kv != owner.kv) {
    return error(Code::kInvalidArgument, "this state has a KV cache of %s, and this engine one of %s: open it with --kv-type %s", name_of(header.owner.kv),
                 name_of(owner.kv), name_of(header.owner.kv));
  }
  if (header.owner.layout_crc != owner.layout_crc) {
    return error(Code::kInvalidArgument, "this state was saved by an engine with other options (--ctx, --block-sparse) that change what positions keep");
  }
  if (header.position > context_tokens) {
    return error(Code::kInvalidArgument, "this state has %u tokens, and the context here has room for %u: open the engine with a larger --ctx",
                 header.position, context_tokens);
  }
  return ok_status();
}

}  // namespace

Result<StateOwner> identify_state_owner(const GgufFile& file, const ExpertTable& experts, const ModelSpec& spec, const WorkspaceShape& shape) {
  std::vector<const File*> parts;
  for (size_t i = 0; i < file.part_count(); ++i) parts.push_back(&file.part(i));
  StateOwner owner;
  HOTSET_ASSIGN(owner.model, identify_model(experts, parts));
  HOTSET_ASSIGN(owner.dense_crc, dense_crc(file, spec));
  owner.layout_crc = layout_crc(spec, shape.context_tokens);
  owner.kv = shape.kv;
  owner.vocab = spec.vocab;
  return owner;
}

uint64_t state_size_bytes(const StateHeader& header, const ModelSpec& spec) {
  uint64_t bytes = kStateHeaderBytes + uint64_t{header.position} * sizeof(TokenId) + kCrcBytes;
  if (header.has_logits) bytes += uint64_t{spec.vocab} * sizeof(float);
  for (const StateSpec& state : spec.states) bytes += used_state_bytes(state, header.owner.kv, header.position);
  return bytes;
}

StateHeaderBytes encode_state_header(const StateHeader& header) {
  Raw raw = {};
  std::memcpy(raw.magic, kMagic, sizeof kMagic);
  raw.version = kVersion;
  raw.layout_hash = header.owner.model.layout_hash;
  raw.sample_hash = header.owner.model.sample_hash;
  raw.dense_crc = header.owner.dense_crc;
  raw.layout_crc = header.owner.layout_crc;
  raw.kv = header.owner.kv == KvElement::kF16 ? 0 : 1;
  raw.vocab = header.owner.vocab;
  raw.position = header.position;
  raw.has_logits = header.has_logits;
  raw.option_seed = header.sampler.options.seed;
  raw.seed = header.sampler.seed;
  raw.random_state = header.sampler.random_state;
  raw.temperature = header.sampler.options.temperature;
  raw.top_p = header.sampler.options.top_p;
  raw.min_p = header.sampler.options.min_p;
  raw.repeat_penalty = header.sampler.options.repeat_penalty;
  raw.top_k = header.sampler.options.top_k;
  raw.repeat_last_n = header.sampler.options.repeat_last_n;
  raw.crc = crc_of(raw);
  return std::bit_cast<StateHeaderBytes>(raw);
}

Result<StateHeader> read_state_header(const StateSource& source, const StateOwner& owner, const ModelSpec& spec, uint32_t context_tokens) {
  if (source.size_bytes < kStateHeaderBytes + kCrcBytes) {
    return error(Code::kCorrupt, "this is no state of a session, or the beginning of one: it has %llu bytes", static_cast<unsigned long long>(source.size_bytes));
  }
  Raw raw;
  HOTSET_RETURN_IF_ERROR(source.read(0, std::as_writable_bytes(std::span(&raw, 1))));
  HOTSET_RETURN_IF_ERROR(check_raw(raw));
  const StateHeader header = header_of(raw);
  HOTSET_RETURN_IF_ERROR(check_owner(header, owner, context_tokens));
  const uint64_t size_bytes = state_size_bytes(header, spec);
  if (source.size_bytes != size_bytes) {
    return error(Code::kCorrupt, "this state has %llu bytes in place of %llu: it was cut off or added to", static_cast<unsigned long long>(source.size_bytes),
                 static_cast<unsigned long long>(size_bytes));
  }
  const Status sampler = check_sampler_options(header.sampler.options);
  if (!sampler.ok()) return error(Code::kCorrupt, "the sampler of this state cannot be: %s", sampler.message().c_str());
  if (header.has_logits && header.position == 0) return error(Code::kCorrupt, "this state has logits and no tokens");
  return header;
}

Status check_state_body(const StateSource& source) {
  std::vector<std::byte> piece(std::min<uint64_t>(kStatePieceBytes, source.size_bytes));
  const uint64_t end = source.size_bytes - kCrcBytes;
  uint32_t crc = 0;
  for (uint64_t at = kStateHeaderBytes; at < end;) {
    const auto bytes = std::span(piece).first(std::min<uint64_t>(piece.size(), end - at));
    HOTSET_RETURN_IF_ERROR(source.read(at, bytes));
    crc = crc32c(bytes, crc);
    at += bytes.size();
  }
  uint32_t written = 0;
  HOTSET_RETURN_IF_ERROR(source.read(end, std::as_writable_bytes(std::span(&written, 1))));
  return crc == written ? ok_status() : error(Code::kCorrupt, "this state is damaged: its bytes are not those that were saved");
}

}  // namespace hotset
