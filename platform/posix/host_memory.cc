#include "platform/host_memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#ifdef __APPLE__
#include <mach/mach.h>
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "platform/bytes.h"

namespace hotset {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kHugePageBytes = 2u << 20;  // x86-64 and most arm64 kernels

void ask_for_huge_pages(std::byte* begin, uint64_t size_bytes) {
#ifdef MADV_HUGEPAGE
  ::madvise(begin, size_bytes, MADV_HUGEPAGE);
#else
  (void)begin, (void)size_bytes;
#endif
}

// Whole pages, which read as zero afterwards.
void give_back(std::byte* begin, uint64_t size_bytes) {
#ifdef __linux__
  ::madvise(begin, size_bytes, MADV_DONTNEED);
#else
  ::mmap(begin, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
#endif
}

}  // namespace

Result<std::unique_ptr<HostArena>> HostArena::create(uint64_t size_bytes) {
  const uint64_t rounded = align_up(std::max<uint64_t>(size_bytes, 1), kPageBytes);
  void* data = ::mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return error(Code::kOutOfMemory, "the system refused %s of memory", format_bytes(size_bytes).c_str());
  }
  if (rounded >= 4 * kHugePageBytes) ask_for_huge_pages(static_cast<std::byte*>(data), rounded);
  return std::unique_ptr<HostArena>(new HostArena(static_cast<std::byte*>(data), rounded));
}

Result<std::unique_ptr<HostArena>> HostArena::reserve(uint64_t size_bytes) {
  const uint64_t rounded = align_up(std::max<uint64_t>(size_bytes, 1), kPageBytes);
  // Without access rights nothing is counted against what the system has promised.
  void* data = ::mmap(nullptr, rounded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return error(Code::kOutOfMemory, "the system refused %s of address space", format_bytes(size_bytes).c_str());
  return std::unique_ptr<HostArena>(new HostArena(static_cast<std::byte*>(data), rounded));
}

Status HostArena::commit(uint64_t offset_bytes, uint64_t size_bytes) {
  if (::mprotect(data_ + offset_bytes, size_bytes, PROT_READ | PROT_WRITE) != 0) {
    return error(Code::kOutOfMemory, "the system refused %s of memory", format_bytes(size_bytes).c_str());
  }
  if (size_bytes >= kHugePageBytes) ask_for_huge_pages(data_ + offset_bytes, size_bytes);
  return ok_status();
}

void HostArena::decommit(uint64_t offset_bytes, uint64_t size_bytes) {
  discard(offset_bytes, size_bytes);
  // A mapping of its own, so that the system does not fill the gap with a huge page that reaches over it.
  ::mprotect(data_ + offset_bytes, size_bytes, PROT_NONE);
}

void HostArena::discard(uint64_t offset_bytes, uint64_t size_bytes) {
  const uint64_t begin = align_up(offset_bytes, kPageBytes);
  const uint64_t end = (offset_bytes + size_bytes) & ~(kPageBytes - 1);
  if (begin < end) give_back(data_ + begin, end - begin);
}

HostArena::~HostArena() { ::munmap(data_, size_bytes_); }

#ifdef __APPLE__

HostMemoryInfo host_memory_info() {
  HostMemoryInfo info;
  size_t size = sizeof info.total_bytes;
  ::sysctlbyname("hw.memsize", &info.total_bytes, &size, nullptr, 0);
  vm_statistics64_data_t pages = {};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (::host_statistics64(::mach_host_self(), HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&pages), &count) != KERN_SUCCESS) return info;
  const uint64_t available_bytes = (uint64_t{pages.free_count} + pages.inactive_count + pages.purgeable_count) * vm_page_size;
  info.available_bytes = std::min(available_bytes, info.total_bytes);
  return info;
}

constexpr uint64_t kResidentUnitBytes = 1;

#else

HostMemoryInfo host_memory_info() {
  HostMemoryInfo info;
  std::FILE* file = std::fopen("/proc/meminfo", "re");
  if (!file) return info;
  char line[256];
  while (std::fgets(line, sizeof line, file)) {
    unsigned long long kib = 0;
    if (std::sscanf(line, "MemTotal: %llu", &kib) == 1) info.total_bytes = kib * 1024;
    if (std::sscanf(line, "MemAvailable: %llu", &kib) == 1) info.available_bytes = kib * 1024;
  }
  std::fclose(file);
  return info;
}

constexpr uint64_t kResidentUnitBytes = 1024;

#endif

uint64_t peak_resident_bytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * kResidentUnitBytes;
}

}  // namespace hotset
