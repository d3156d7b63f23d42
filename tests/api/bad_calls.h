// Tables of the C functions and of how each can be used badly, keyed by name so that a test sees when one is missing.
#pragma once

#include <hotset/hotset.h>

#include <span>
#include <string_view>

namespace hotset::test {

struct Handles {
  hotset_options* options = nullptr;
  hotset_engine* engine = nullptr;
  hotset_session* session = nullptr;
  hotset_parser* parser = nullptr;
};

// Functions that take a handle, called with all else in order; those that close come last.
struct HandleCall {
  std::string_view name;
  hotset_code (*call)(const Handles& with);
};
std::span<const HandleCall> handle_calls();

// Functions that take none, called with what they need missing.
struct EmptyCall {
  std::string_view name;
  hotset_code (*call)();
};
std::span<const EmptyCall> empty_calls();

// Functions that take a struct with a size, called with one that says `size`, which cannot be, and all else in order.
struct SizedCall {
  std::string_view name;
  hotset_code (*call)(const Handles& with, size_t size);
};
std::span<const SizedCall> sized_calls();

// Functions that nothing can be wrong with.
std::span<const std::string_view> harmless_functions();

}  // namespace hotset::test
