// Seams: where tests step between Hotset and the system, so that reads fail and devices are lost as they are in the world.
//
// What is empty is the system's own. Whoever makes the seams keeps them for as long as what was opened with them; the functions may be
// called from any thread.
#pragma once

#include <functional>
#include <memory>

#include "platform/file.h"
#include "platform/io_queue.h"

namespace hotset {

struct DeviceFunctions;

struct Seams {
  // Before a blocking read of a model's file.
  ReadSeam read;
  // Given the queue that experts are read through: the one to use in its place.
  std::function<std::unique_ptr<IoQueue>(std::unique_ptr<IoQueue>)> queue;
  // Given a device's entry points, before anything is made with them.
  std::function<void(DeviceFunctions&)> device;
};

}  // namespace hotset
