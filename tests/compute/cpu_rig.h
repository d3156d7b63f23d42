// The CPU with memory and one segment, for tests of operations: the twin of GpuRig.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "platform/vulkan/memory.h"
#include "runtime/compute/cpu/ops_cpu.h"

namespace hotset::test {

class CpuRig {
 public:
  // Shares out every stage that can be, however small.
  explicit CpuRig(uint32_t threads = 2, const cpu::FloatKernels& floats = cpu::float_kernels())
      : pool(threads), memory(~0ull >> 1), control(buffer(sizeof(shaders::Control))), ops(pool, control.address(), submits, {cpu::kernels(), floats}) {
    ops.set_always_shared(true);
    segment = ops.new_segment().value();
  }

  Buffer buffer(uint64_t size_bytes) { return memory.allocate(size_bytes, MemoryKind::kReadback, "test").value(); }
  template <class T>
  Buffer upload(std::span<const T> values) {
    Buffer made = buffer(values.size_bytes());
    std::memcpy(made.mapped().data(), values.data(), values.size_bytes());
    return made;
  }
  template <class T>
  Buffer upload(const std::vector<T>& values) {
    return upload(std::span<const T>(values));
  }
  template <class T>
  static std::span<T> view(Buffer& buffer) {
    return {reinterpret_cast<T*>(buffer.mapped().data()), buffer.size_bytes() / sizeof(T)};
  }
  template <class T>
  static std::vector<T> copy(Buffer& buffer) {
    return {view<T>(buffer).begin(), view<T>(buffer).end()};
  }
  static Tensor tensor(const Buffer& buffer) { return {buffer.address(), buffer.size_bytes()}; }
  shaders::Control& control_block() { return view<shaders::Control>(control)[0]; }

  template <class Record>
  Status run(Record record) {
    HOTSET_RETURN_IF_ERROR(ops.begin(segment));
    record(static_cast<Ops&>(ops));
    HOTSET_RETURN_IF_ERROR(ops.end());
    HOTSET_ASSIGN(const uint64_t point, ops.submit({&segment, 1}));
    return ops.wait(point);
  }

  ThreadPool pool;
  DeviceMemory memory;
  uint64_t submits = 0;
  Buffer control;
  OpsCpu ops;
  SegmentId segment{0};
};

}  // namespace hotset::test
