// The border at which exceptions end: the standard library throws where memory is refused; callers of the engine get a Status.
#pragma once

#include <exception>

#include "platform/status.h"

namespace hotset {

template <class Call>
auto without_exceptions(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& refused) {
    return error(Code::kOutOfMemory, "the system refused memory: %s", refused.what());
  }
}

}  // namespace hotset
