#include "platform/host_memory.h"

#include "platform/windows/wide.h"

#include <psapi.h>

#include <algorithm>
#include <cstring>

#include "platform/bytes.h"

namespace hotset {
namespace {

constexpr uint64_t kPageBytes = 4096;

// Large pages are not asked for: they want a right that users do not have, and are never given back.
void* allocate(uint64_t size_bytes, DWORD kind, DWORD protection) { return ::VirtualAlloc(nullptr, size_bytes, kind, protection); }

}  // namespace

Result<std::unique_ptr<HostArena>> HostArena::create(uint64_t size_bytes) {
  const uint64_t rounded = align_up(std::max<uint64_t>(size_bytes, 1), kPageBytes);
  void* data = rounded == 0 ? nullptr : allocate(rounded, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  if (!data) return error(Code::kOutOfMemory, "the system refused %s of memory", format_bytes(size_bytes).c_str());
  return std::unique_ptr<HostArena>(new HostArena(static_cast<std::byte*>(data), rounded));
}

Result<std::unique_ptr<HostArena>> HostArena::reserve(uint64_t size_bytes) {
  const uint64_t rounded = align_up(std::max<uint64_t>(size_bytes, 1), kPageBytes);
  void* data = rounded == 0 ? nullptr : allocate(rounded, MEM_RESERVE, PAGE_NOACCESS);
  if (!data) return error(Code::kOutOfMemory, "the system refused %s of address space", format_bytes(size_bytes).c_str());
  return std::unique_ptr<HostArena>(new HostArena(static_cast<std::byte*>(data), rounded));
}

Status HostArena::commit(uint64_t offset_bytes, uint64_t size_bytes) {
  if (size_bytes == 0 || ::VirtualAlloc(data_ + offset_bytes, size_bytes, MEM_COMMIT, PAGE_READWRITE)) return ok_status();
  return error(Code::kOutOfMemory, "the system refused %s of memory", format_bytes(size_bytes).c_str());
}

void HostArena::decommit(uint64_t offset_bytes, uint64_t size_bytes) {
  if (size_bytes != 0) ::VirtualFree(data_ + offset_bytes, size_bytes, MEM_DECOMMIT);
}

// The pages stay promised to this process, since to decommit and commit them anew could fail; but they hold no memory. Zeros first, because
// a page may keep what it has until the system wants it.
void HostArena::discard(uint64_t offset_bytes, uint64_t size_bytes) {
  const uint64_t begin = align_up(offset_bytes, kPageBytes);
  const uint64_t end = (offset_bytes + size_bytes) & ~(kPageBytes - 1);
  if (begin >= end) return;
  std::memset(data_ + begin, 0, end - begin);
  ::VirtualAlloc(data_ + begin, end - begin, MEM_RESET, PAGE_READWRITE);
  ::VirtualUnlock(data_ + begin, end - begin);  // of pages that are not locked: takes them out of the working set
}

HostArena::~HostArena() { ::VirtualFree(data_, 0, MEM_RELEASE); }

HostMemoryInfo host_memory_info() {
  MEMORYSTATUSEX status = {};
  status.dwLength = sizeof status;
  if (!::GlobalMemoryStatusEx(&status)) return {};
  return {status.ullTotalPhys, std::min(status.ullAvailPhys, status.ullAvailPageFile)};
}

uint64_t peak_resident_bytes() {
  PROCESS_MEMORY_COUNTERS counters = {};
  counters.cb = sizeof counters;
  return ::K32GetProcessMemoryInfo(::GetCurrentProcess(), &counters, sizeof counters) ? counters.PeakWorkingSetSize : 0;
}

}  // namespace hotset
