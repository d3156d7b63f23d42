#include "platform/vulkan/host_import.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "platform/bytes.h"
#include "platform/check.h"

namespace hotset {
namespace {

constexpr VkExternalMemoryHandleTypeFlagBits kHostHandle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
constexpr VkBufferUsageFlags kUsage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
constexpr VkMemoryPropertyFlags kMappable = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

bool driver_imports_buffers(PhysicalDevice device) {
  VkPhysicalDeviceExternalBufferInfo info = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO};
  info.usage = kUsage;
  info.handleType = kHostHandle;
  VkExternalBufferProperties properties = {VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES, nullptr, {}};
  device.fn->vkGetPhysicalDeviceExternalBufferProperties(device.handle, &info, &properties);
  const VkExternalMemoryFeatureFlags features = properties.externalMemoryProperties.externalMemoryFeatures;
  return (features & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0 && (features & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT) == 0;
}

// The first coherent memory type that is allowed: the bytes are the host's, whatever the type says of where they lie.
int find_coherent_type(const VkPhysicalDeviceMemoryProperties& memory, uint32_t allowed_types) {
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    if ((allowed_types & (1u << i)) && (flags & kMappable) == kMappable && !(flags & VK_MEMORY_PROPERTY_PROTECTED_BIT)) return static_cast<int>(i);
  }
  return -1;
}

// Where a piece that begins at `begin` ends: at the last cut up to `limit`. A cut on a page boundary in the piece's latter half
// is preferred, because then the next piece shares no page with it: drivers may refuse to import a page twice.
uint64_t piece_end(std::span<const uint64_t> cuts, uint64_t begin, uint64_t limit, uint64_t phase, uint64_t page_bytes) {
  const auto past = std::upper_bound(cuts.begin(), cuts.end(), limit);
  if (past == cuts.begin() || *std::prev(past) <= begin) return limit;
  for (auto cut = past; cut != cuts.begin() && *std::prev(cut) > begin + (limit - begin) / 2; --cut) {
    if ((phase + *std::prev(cut)) % page_bytes == 0) return *std::prev(cut);
  }
  return *std::prev(past);
}

}  // namespace

std::vector<ImportRange> plan_import(uint64_t address, uint64_t size_bytes, std::span<const uint64_t> cuts, uint64_t page_bytes,
                                     uint64_t max_piece_bytes) {
  const uint64_t most_bytes = max_piece_bytes - max_piece_bytes % page_bytes;
  HOTSET_CHECK(most_bytes >= 2 * page_bytes && std::is_sorted(cuts.begin(), cuts.end()));
  const uint64_t phase = address % page_bytes;  // offsets + phase are multiples of a page where pages begin
  const uint64_t first = align_up(phase, page_bytes) - phase;
  const uint64_t past_last = phase + size_bytes - (phase + size_bytes) % page_bytes;
  std::vector<ImportRange> ranges;
  for (uint64_t core = first; core + phase < past_last;) {
    ImportRange range;
    range.core_begin_bytes = core;
    range.begin_bytes = core - (core + phase) % page_bytes;
    const uint64_t limit = range.begin_bytes + most_bytes;
    const bool last = limit + phase >= past_last;
    range.core_end_bytes = last ? past_last - phase : piece_end(cuts, core, limit, phase, page_bytes);
    range.end_bytes = align_up(range.core_end_bytes + phase, page_bytes) - phase;
    core = range.core_end_bytes;
    ranges.push_back(range);
  }
  return ranges;
}

Result<std::unique_ptr<HostImport>> HostImport::create(Device& device, std::span<std::byte> arena, std::span<const uint64_t> cuts,
                                                       const HostImportOptions& options) {
  const DeviceLimits& limits = device.limits();
  if (limits.host_import_alignment_bytes == 0) return error(Code::kUnsupported, "the driver cannot import host memory");
  if (!driver_imports_buffers(device.physical())) return error(Code::kUnsupported, "the driver imports no host memory as buffers");
  const uint64_t most_bytes = std::min({options.max_piece_bytes, limits.max_allocation_bytes, limits.max_buffer_bytes});
  const auto address = reinterpret_cast<uintptr_t>(arena.data());
  const auto ranges = plan_import(address, arena.size(), cuts, limits.host_import_alignment_bytes, most_bytes);
  if (ranges.empty()) return error(Code::kInvalidArgument, "there is no whole page of host memory to import");
  std::unique_ptr<HostImport> made(new HostImport(device, arena));
  made->refusal_ = made->import_all(ranges, options.limit_bytes);
  if (made->pieces_.empty()) return made->refusal_;
  return made;
}

HostImport::~HostImport() {
  for (Piece& piece : pieces_) release(piece);
}

Status HostImport::import_all(std::span<const ImportRange> ranges, uint64_t limit_bytes) {
  pieces_.reserve(ranges.size());
  for (const ImportRange& range : ranges) {
    const uint64_t bytes = range.end_bytes - range.begin_bytes;
    if (bytes > limit_bytes - std::min(limit_bytes, imported_bytes_)) {
      return error(Code::kOverBudget, "importing host memory stops at %s", format_bytes(limit_bytes).c_str());
    }
    Piece piece;
    piece.range = range;
    const Status imported = import(piece);
    if (!imported.ok()) {
      release(piece);
      return imported.with_context("importing host memory");
    }
    pieces_.push_back(piece);
    imported_bytes_ += bytes;
  }
  return ok_status();
}

Status HostImport::import(Piece& piece) {
  const DeviceFunctions& fn = device_.fn();
  VkExternalMemoryBufferCreateInfo external = {VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, nullptr, kHostHandle};
  const std::array families = {device_.compute().family(), device_.transfer().family()};
  const bool both = families[0] != families[1];
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, &external};
  info.size = piece.range.end_bytes - piece.range.begin_bytes;
  info.usage = kUsage;
  info.sharingMode = both ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE;
  info.queueFamilyIndexCount = both ? 2 : 0;
  info.pQueueFamilyIndices = families.data();
  HOTSET_VK("vkCreateBuffer", fn.vkCreateBuffer(device_.handle(), &info, device_.allocator(), &piece.buffer));
  VkMemoryRequirements needs = {};
  fn.vkGetBufferMemoryRequirements(device_.handle(), piece.buffer, &needs);
  if (needs.size > info.size) return error(Code::kUnsupported, "the driver wants more bytes than there are");
  void* start = arena_.data() + piece.range.begin_bytes;
  VkMemoryHostPointerPropertiesEXT pointer = {VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT, nullptr, 0};
  HOTSET_VK("vkGetMemoryHostPointerPropertiesEXT", fn.vkGetMemoryHostPointerPropertiesEXT(device_.handle(), kHostHandle, start, &pointer));
  const int type = find_coherent_type(device_.memory_properties(), needs.memoryTypeBits & pointer.memoryTypeBits);
  if (type < 0) return error(Code::kUnsupported, "the driver has no coherent memory type for it");
  return bind(piece, static_cast<uint32_t>(type));
}

Status HostImport::bind(Piece& piece, uint32_t type) {
  const DeviceFunctions& fn = device_.fn();
  const uint64_t bytes = piece.range.end_bytes - piece.range.begin_bytes;
  // Some drivers pin more than they can ever use at once and fail at a submit, so their own figure is heeded. A software
  // device's figure is the RAM that is free, of which an import takes nothing.
  if (pieces_.empty()) room_bytes_ = device_.heap_free_bytes(device_.memory_properties().memoryTypes[type].heapIndex);
  if (!device_.limits().software && imported_bytes_ + bytes > room_bytes_) {
    return error(Code::kOutOfMemory, "the driver has room for %s", format_bytes(room_bytes_).c_str());
  }
  VkImportMemoryHostPointerInfoEXT host = {VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT, nullptr, kHostHandle,
                                           arena_.data() + piece.range.begin_bytes};
  VkMemoryAllocateFlagsInfo flags = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, &host, VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT, 0};
  VkMemoryAllocateInfo info = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &flags, bytes, type};
  HOTSET_VK("vkAllocateMemory", fn.vkAllocateMemory(device_.handle(), &info, device_.allocator(), &piece.memory));
  HOTSET_VK("vkBindBufferMemory", fn.vkBindBufferMemory(device_.handle(), piece.buffer, piece.memory, 0));
  VkBufferDeviceAddressInfo address = {VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr, piece.buffer};
  piece.address = fn.vkGetBufferDeviceAddress(device_.handle(), &address);
  return ok_status();
}

void HostImport::release(Piece& piece) {
  device_.fn().vkDestroyBuffer(device_.handle(), piece.buffer, device_.allocator());
  device_.fn().vkFreeMemory(device_.handle(), piece.memory, device_.allocator());
}

const HostImport::Piece* HostImport::find(const std::byte* bytes, uint64_t size_bytes) const {
  const auto address = reinterpret_cast<uintptr_t>(bytes);
  const auto start = reinterpret_cast<uintptr_t>(arena_.data());
  if (address < start || address - start >= arena_.size()) return nullptr;
  const uint64_t offset = address - start;
  const auto before = [](uint64_t at, const Piece& piece) { return at < piece.range.core_begin_bytes; };
  const auto past = std::upper_bound(pieces_.begin(), pieces_.end(), offset, before);
  if (past == pieces_.begin()) return nullptr;
  const Piece& piece = *std::prev(past);
  return offset <= piece.range.end_bytes && size_bytes <= piece.range.end_bytes - offset ? &piece : nullptr;
}

std::optional<uint64_t> HostImport::device_address(const std::byte* bytes, uint64_t size_bytes) const {
  const Piece* piece = find(bytes, size_bytes);
  if (!piece) return std::nullopt;
  return piece->address + static_cast<uint64_t>(bytes - arena_.data()) - piece->range.begin_bytes;
}

std::optional<HostImport::Source> HostImport::source(const std::byte* bytes, uint64_t size_bytes) const {
  const Piece* piece = find(bytes, size_bytes);
  if (!piece) return std::nullopt;
  return Source{piece->buffer, static_cast<uint64_t>(bytes - arena_.data()) - piece->range.begin_bytes};
}

}  // namespace hotset
