#include "platform/vulkan/memory.h"

#include <algorithm>
#include <array>
#include <utility>

#include "platform/bytes.h"

namespace hotset {
namespace {

constexpr uint64_t kHostPageBytes = 4096;

constexpr VkMemoryPropertyFlags kMappable = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
// Kinds that only devices opened with more features may allocate, or that hold no bytes of their own.
constexpr VkMemoryPropertyFlags kForbidden = VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
                                             VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;

// What a memory type must have for a kind, and what is preferred, strongest first.
struct TypeWish {
  VkMemoryPropertyFlags required;
  VkMemoryPropertyFlags preferred;
  VkMemoryPropertyFlags avoided;
};

// `unified`: host and device share all memory. There mapping costs nothing; on a card it makes large allocations slow on some
// drivers, and copies by the transfer queue beat a processor that pushes bytes over the bus.
TypeWish wish_of(MemoryKind kind, bool unified) {
  switch (kind) {
    case MemoryKind::kDevice:
      return unified ? TypeWish{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, kMappable, 0}
                     : TypeWish{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT};
    case MemoryKind::kShared: return {kMappable, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, VK_MEMORY_PROPERTY_HOST_CACHED_BIT};
    case MemoryKind::kReadback: return {kMappable, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT};
    case MemoryKind::kStaging: return {kMappable, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT};
  }
  return {};
}

// `families`: the compute and the transfer family. Buffers belong to both where they differ: copies and shaders take turns.
VkBufferCreateInfo buffer_info(uint64_t size_bytes, const std::array<uint32_t, 2>& families) {
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = size_bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  const bool both = families[0] != families[1];
  info.sharingMode = both ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE;
  info.queueFamilyIndexCount = both ? 2 : 0;
  info.pQueueFamilyIndices = families.data();
  return info;
}

}  // namespace

const DeviceLimits& host_limits() {
  static const DeviceLimits limits = {
      .software = true,
      .subgroup_size = 1,
      .max_workgroup_size = 1,
      .max_workgroups_x = UINT32_MAX,
      .max_workgroups_y = UINT32_MAX,
      .max_workgroups_z = UINT32_MAX,
      .max_allocation_bytes = UINT64_MAX >> 1,
  };
  return limits;
}

Buffer::~Buffer() {
  if (owner_) owner_->free(*this);
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(buffer_, other.buffer_);
  std::swap(memory_, other.memory_);
  std::swap(address_, other.address_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(charged_bytes_, other.charged_bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(arena_, other.arena_);
}

int DeviceMemory::find_type(uint32_t allowed_types, MemoryKind kind) const {
  const VkPhysicalDeviceMemoryProperties& memory = device_->memory_properties();
  const TypeWish wish = wish_of(kind, device_->limits().unified);
  int best = -1;
  int best_score = -1;
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    if (!(allowed_types & (1u << i)) || (flags & wish.required) != wish.required || (flags & kForbidden) != 0) continue;
    const int score = ((flags & wish.preferred) == wish.preferred ? 2 : 0) + ((flags & wish.avoided) == 0 ? 1 : 0);
    if (score > best_score) {
      best_score = score;
      best = static_cast<int>(i);
    }
  }
  return best;
}

Result<uint64_t> DeviceMemory::charge_of(uint64_t size_bytes, MemoryKind kind) const {
  if (of_host()) return align_up(size_bytes, kHostPageBytes);
  const std::array families = {device_->compute().family(), device_->transfer().family()};
  const VkBufferCreateInfo info = buffer_info(size_bytes, families);
  VkDeviceBufferMemoryRequirements query = {VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS, nullptr, &info};
  VkMemoryRequirements2 needs = {VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, nullptr, {}};
  device_->fn().vkGetDeviceBufferMemoryRequirements(device_->handle(), &query, &needs);
  const int type = find_type(needs.memoryRequirements.memoryTypeBits, kind);
  if (type < 0) return error(Code::kDevice, "the device has no memory of the kind needed");
  const VkPhysicalDeviceMemoryProperties& memory = device_->memory_properties();
  const uint32_t heap = memory.memoryTypes[type].heapIndex;
  const bool counts = (memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
  return counts ? needs.memoryRequirements.size : 0;
}

Result<Buffer> DeviceMemory::allocate(uint64_t size_bytes, MemoryKind kind, const char* what) {
  HOTSET_CHECK(size_bytes > 0);
  if (size_bytes > limits().max_allocation_bytes) {
    return error(Code::kOutOfMemory, "%s: %s in one piece, the device allows %s", what, format_bytes(size_bytes).c_str(),
                 format_bytes(limits().max_allocation_bytes).c_str());
  }
  HOTSET_ASSIGN(const uint64_t charge, charge_of(size_bytes, kind));
  if (used_bytes_ + charge > budget_bytes_) {
    return error(Code::kOverBudget, "%s: %s more would pass the %s budget of %s (%s in use)", what, format_bytes(charge).c_str(),
                 of_host() ? "RAM" : "VRAM", format_bytes(budget_bytes_).c_str(), format_bytes(used_bytes_).c_str());
  }
  HOTSET_ASSIGN(Buffer buffer, of_host() ? allocate_host(size_bytes, what) : allocate_device(size_bytes, kind, what));
  buffer.charged_bytes_ = charge;
  used_bytes_ += charge;
  peak_bytes_ = std::max(peak_bytes_, used_bytes_);
  return buffer;
}

Result<Buffer> DeviceMemory::allocate_host(uint64_t size_bytes, const char* what) {
  Buffer buffer;
  auto arena = HostArena::create(size_bytes);
  if (!arena.ok()) return arena.status().with_context(what);
  buffer.owner_ = this;
  buffer.size_bytes_ = size_bytes;
  buffer.arena_ = std::move(*arena);
  buffer.mapped_ = buffer.arena_->bytes().data();
  buffer.address_ = reinterpret_cast<uint64_t>(buffer.mapped_);
  return buffer;
}

Result<Buffer> DeviceMemory::allocate_device(uint64_t size_bytes, MemoryKind kind, const char* what) {
  Buffer buffer;
  buffer.owner_ = this;
  buffer.size_bytes_ = size_bytes;
  const std::array families = {device_->compute().family(), device_->transfer().family()};
  const VkBufferCreateInfo info = buffer_info(size_bytes, families);
  HOTSET_VK("vkCreateBuffer", device_->fn().vkCreateBuffer(device_->handle(), &info, device_->allocator(), &buffer.buffer_));
  VkMemoryRequirements needs = {};
  device_->fn().vkGetBufferMemoryRequirements(device_->handle(), buffer.buffer_, &needs);
  const int type = find_type(needs.memoryTypeBits, kind);
  if (type < 0) return error(Code::kDevice, "%s: the device has no memory of the kind needed", what);
  const Status bound = bind(buffer, static_cast<uint32_t>(type), needs.size);
  if (!bound.ok()) return bound.with_context(what);
  return buffer;
}

Status DeviceMemory::bind(Buffer& buffer, uint32_t type, uint64_t memory_bytes) {
  const DeviceFunctions& fn = device_->fn();
  VkMemoryAllocateFlagsInfo flags = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo info = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &flags, memory_bytes, type};
  HOTSET_VK("vkAllocateMemory", fn.vkAllocateMemory(device_->handle(), &info, device_->allocator(), &buffer.memory_));
  HOTSET_VK("vkBindBufferMemory", fn.vkBindBufferMemory(device_->handle(), buffer.buffer_, buffer.memory_, 0));
  VkBufferDeviceAddressInfo address = {VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr, buffer.buffer_};
  buffer.address_ = fn.vkGetBufferDeviceAddress(device_->handle(), &address);
  if ((device_->memory_properties().memoryTypes[type].propertyFlags & kMappable) == kMappable) {
    void* mapped = nullptr;
    HOTSET_VK("vkMapMemory", fn.vkMapMemory(device_->handle(), buffer.memory_, 0, VK_WHOLE_SIZE, 0, &mapped));
    buffer.mapped_ = static_cast<std::byte*>(mapped);
  }
  return ok_status();
}

void DeviceMemory::free(Buffer& buffer) {
  if (device_) {
    device_->fn().vkDestroyBuffer(device_->handle(), buffer.buffer_, device_->allocator());
    device_->fn().vkFreeMemory(device_->handle(), buffer.memory_, device_->allocator());
  }
  buffer.arena_.reset();
  used_bytes_ -= buffer.charged_bytes_;
  buffer.owner_ = nullptr;
}

}  // namespace hotset
