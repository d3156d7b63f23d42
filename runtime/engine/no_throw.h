// The border at which exceptions end: the standard library throws where memory is refused, a function of the caller's whatever it likes;
// callers of the engine get a Status.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

#include "platform/status.h"

namespace hotset {

template <class Call>
auto without_exceptions(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc& refused) {
    return error(Code::kOutOfMemory, "the system refused memory: %s", refused.what());
  } catch (const std::length_error& refused) {
    return error(Code::kOutOfMemory, "more memory than there can be: %s", refused.what());
  } catch (const std::system_error& refused) {
    return error(Code::kOutOfMemory, "the system refused: %s", refused.what());
  } catch (const std::exception& thrown) {
    return error(Code::kInvalidArgument, "a callback threw an exception: %s", thrown.what());
  } catch (...) {
    return error(Code::kInvalidArgument, "a callback threw an exception: none may leave it");
  }
}

}  // namespace hotset
