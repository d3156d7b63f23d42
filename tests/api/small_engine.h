// The shipped model on the CPU with a short context, for tests of the C++ wrapper and the C functions under it.
#pragma once

#include <hotset/hotset.hpp>

namespace hotset::test {

inline api::options small_on_cpu() {
  api::options options;
  options.set("device", "cpu").set("ctx", "96").set("temp", "0");
  return options;
}

// One for all tests that change nothing of it.
inline const api::engine& small_engine() {
  static const api::engine engine({}, small_on_cpu());
  return engine;
}

}  // namespace hotset::test
