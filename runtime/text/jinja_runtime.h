// Runtime: what one rendering of a template shares between its evaluator and the built-in filters, tests and methods.
//
// The bounds make a hostile template end: every step is counted, and so is every byte that is made or searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/status.h"
#include "runtime/text/jinja_value.h"

namespace hotset::jinja {

struct Limits {
  uint64_t max_steps = 4'000'000;
  size_t max_memory_bytes = size_t{64} << 20;
  size_t max_output_bytes = size_t{16} << 20;
  int max_depth = 400;  // expressions, statements and macros within each other, as the call stack sees them
};

struct Runtime {
  ValueArena& arena;
  const Limits& limits;
  const std::tm& now;  // what strftime_now tells
  uint64_t steps = 0;

  // Counts work; an error once it is too much.
  Status charge(uint64_t amount);
  // A new text, within the bound on one text.
  Result<Value> text(std::string value);
  // a == b and a < b, counted.
  Result<bool> equal(const Value& a, const Value& b);
  Result<bool> less(const Value& a, const Value& b);
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;

  // The argument at `index` or called `name`; nullptr when it was not given.
  const Value* find(size_t index, std::string_view name) const;
};

}  // namespace hotset::jinja
