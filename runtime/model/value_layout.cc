#include "runtime/model/value_layout.h"

#include <algorithm>

#include "platform/bytes.h"
#include "runtime/model/step_values.h"

namespace hotset {
namespace {

struct Lifetime {
  size_t first = SIZE_MAX;
  size_t last = 0;
  bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

std::vector<Lifetime> lifetimes_of(const ModelSpec& spec) {
  std::vector<Lifetime> lifetimes(spec.values.size());
  size_t index = 0;
  for (const std::vector<Step>* steps : {&spec.steps, &spec.head}) {
    for (const Step& step : *steps) {
      for_each_value(spec, step, [&](const Value& value) {
        Lifetime& life = lifetimes[value.id];
        life.first = std::min(life.first, index);
        life.last = index;
      });
      ++index;
    }
  }
  return lifetimes;
}

struct Placed {
  uint64_t begin;
  uint64_t end;
  Lifetime life;
};

// The lowest offset at which nothing that lives at the same time lies. `placed` is in the order of begin.
uint64_t lowest_gap(const std::vector<Placed>& placed, const Lifetime& life, uint64_t size_bytes) {
  uint64_t at = 0;
  for (const Placed& other : placed) {
    if (!other.life.overlaps(life)) continue;
    if (other.begin >= at + size_bytes) break;
    at = std::max(at, other.end);
  }
  return at;
}

}  // namespace

ValueLayout lay_out_values(const ModelSpec& spec, uint32_t tokens, uint32_t context_tokens, uint64_t alignment) {
  const std::vector<Lifetime> lifetimes = lifetimes_of(spec);
  std::vector<uint32_t> ids;
  for (uint32_t id = 0; id < spec.values.size(); ++id) {
    if (lifetimes[id].first != SIZE_MAX && id != spec.logits.id) ids.push_back(id);
  }
  std::stable_sort(ids.begin(), ids.end(), [&](uint32_t a, uint32_t b) { return lifetimes[a].first < lifetimes[b].first; });
  ValueLayout layout;
  layout.offsets.assign(spec.values.size(), 0);
  std::vector<Placed> placed;  // that may still be needed, in the order of begin
  for (const uint32_t id : ids) {
    const Lifetime& life = lifetimes[id];
    std::erase_if(placed, [&](const Placed& other) { return other.life.last < life.first; });
    const uint64_t size_bytes = align_up(uint64_t{tokens} * spec.values[id].floats(context_tokens) * sizeof(float), alignment);
    const uint64_t at = lowest_gap(placed, life, size_bytes);
    layout.offsets[id] = at;
    layout.size_bytes = std::max(layout.size_bytes, at + size_bytes);
    const auto behind = [](uint64_t offset, const Placed& other) { return offset < other.begin; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at, behind), {at, at + size_bytes, life});
  }
  return layout;
}

}  // namespace hotset
