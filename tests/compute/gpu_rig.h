// A Vulkan device with memory, programs and one command buffer, for tests of operations.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "platform/vulkan/commands.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/memory.h"
#include "runtime/compute/ops_vulkan.h"

namespace hotset::test {

class GpuRig {
 public:
  // nullptr where the machine has no usable Vulkan device; the test then skips.
  static std::unique_ptr<GpuRig> open() {
    auto device = Device::open({});
    if (!device.ok()) return nullptr;
    auto rig = std::make_unique<GpuRig>();
    rig->device = std::move(device).value();
    rig->memory = std::make_unique<DeviceMemory>(*rig->device, ~0ull >> 1);
    rig->programs = Programs::create(*rig->device, "").value();
    rig->pool = std::make_unique<CommandPool>(*rig->device, rig->device->compute().family());
    rig->commands = rig->pool->allocate().value();
    rig->control = rig->buffer(sizeof(shaders::Control));
    rig->ops = std::make_unique<OpsVulkan>(*rig->device, *rig->programs, rig->control.address());
    rig->segment = rig->ops->new_segment().value();
    return rig;
  }

  // Mapped memory, zeroed.
  Buffer buffer(uint64_t size_bytes) {
    Buffer made = memory->allocate(size_bytes, MemoryKind::kReadback, "test").value();
    std::memset(made.mapped().data(), 0, made.mapped().size());
    return made;
  }
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
  static Tensor tensor(const Buffer& buffer) { return {buffer.address(), buffer.size_bytes()}; }
  shaders::Control& control_block() { return view<shaders::Control>(control)[0]; }

  // Records with `record(ops)` and runs it once to the end.
  template <class Record>
  Status run(Record record) {
    HOTSET_RETURN_IF_ERROR(ops->begin(segment));
    record(*ops);
    HOTSET_RETURN_IF_ERROR(ops->end());
    return run();
  }
  // Runs again what was recorded.
  Status run() {
    HOTSET_ASSIGN(const uint64_t point, ops->submit({&segment, 1}));
    return ops->wait(point);
  }

  std::unique_ptr<Device> device;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<Programs> programs;
  std::unique_ptr<CommandPool> pool;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  Buffer control;
  std::unique_ptr<OpsVulkan> ops;
  SegmentId segment{0};
};

}  // namespace hotset::test
