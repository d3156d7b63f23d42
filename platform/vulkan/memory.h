// Device memory under a hard budget, and buffers in it.
//
// One DeviceMemory per engine. Without a device it hands out plain host memory, whose addresses are pointers: what the CPU
// computes on. Every byte from a device-local heap counts against its budget: weights, KV, scratch,
// slots, and staging too where host and device share the heap. It outlives its buffers. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "platform/host_memory.h"
#include "platform/status.h"
#include "platform/vulkan/device.h"

namespace hotset {

enum class MemoryKind {
  kDevice,    // fastest for the GPU; mapped too where host and device share all memory (software, integrated)
  kShared,    // written by the host, read by the GPU: small tables; device-local where mappable, always mapped
  kReadback,  // written by the GPU, read by the host: cached where possible, always mapped
  kStaging,   // source of copies: host memory, always mapped
};

class DeviceMemory;

// What the CPU can do, in the terms of a device.
const DeviceLimits& host_limits();

// A buffer with its own allocation and a 64-bit address for shaders. Move-only; freed by its destructor.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();

  VkBuffer handle() const { return buffer_; }
  uint64_t address() const { return address_; }
  uint64_t size_bytes() const { return size_bytes_; }
  // Host view; empty when the memory is not mapped. Coherent: no flush needed.
  std::span<std::byte> mapped() const { return {mapped_, mapped_ ? size_bytes_ : 0}; }

 private:
  friend class DeviceMemory;
  void swap(Buffer& other) noexcept;

  DeviceMemory* owner_ = nullptr;
  VkBuffer buffer_ = VK_NULL_HANDLE;  // none in host memory
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  uint64_t address_ = 0;
  uint64_t size_bytes_ = 0;
  uint64_t charged_bytes_ = 0;  // what it takes of the budget
  std::byte* mapped_ = nullptr;
  std::unique_ptr<HostArena> arena_;  // in host memory
};

class DeviceMemory {
 public:
  DeviceMemory(Device& device, uint64_t budget_bytes) : device_(&device), budget_bytes_(budget_bytes) {}
  // Of the host.
  explicit DeviceMemory(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Error: over budget (says by how much), larger than the device allows in one piece, refused by the driver.
  // `what` names the buffer in errors: "KV cache".
  Result<Buffer> allocate(uint64_t size_bytes, MemoryKind kind, const char* what);

  // What allocate would charge for a buffer of this size, with the driver's padding. 0 for memory that is not device-local.
  Result<uint64_t> charge_of(uint64_t size_bytes, MemoryKind kind) const;

  bool of_host() const { return device_ == nullptr; }
  // Only where it is not the host's.
  Device& device() const { return *device_; }
  const DeviceLimits& limits() const { return device_ ? device_->limits() : host_limits(); }
  uint64_t budget_bytes() const { return budget_bytes_; }
  // What is in use beyond a smaller budget stays until its owners free it; nothing more is allocated meanwhile.
  void set_budget(uint64_t budget_bytes) { budget_bytes_ = budget_bytes; }
  uint64_t used_bytes() const { return used_bytes_; }
  uint64_t peak_bytes() const { return peak_bytes_; }

 private:
  friend class Buffer;
  Result<Buffer> allocate_host(uint64_t size_bytes, const char* what);
  Result<Buffer> allocate_device(uint64_t size_bytes, MemoryKind kind, const char* what);
  int find_type(uint32_t allowed_types, MemoryKind kind) const;
  Status bind(Buffer& buffer, uint32_t type, uint64_t memory_bytes);
  void free(Buffer& buffer);

  Device* const device_ = nullptr;  // nullptr: host memory
  uint64_t budget_bytes_;
  uint64_t used_bytes_ = 0;
  uint64_t peak_bytes_ = 0;
};

}  // namespace hotset
