// Memory with pages that must not be touched before and behind it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "platform/bytes.h"
#include "platform/check.h"

namespace hotset::test {

// `size_bytes` that end, or begin, exactly at a page that must not be touched.
class GuardedMemory {
 public:
  enum class Side { kBehind, kBefore };

  explicit GuardedMemory(uint64_t size_bytes, Side side = Side::kBehind) : size_bytes_(size_bytes) {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t inner = align_up(size_bytes, page);
    mapped_bytes_ = inner + 2 * page;
    void* mapped = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HOTSET_CHECK(mapped != MAP_FAILED);
    mapped_ = static_cast<std::byte*>(mapped);
    HOTSET_CHECK(inner == 0 || mprotect(mapped_ + page, inner, PROT_READ | PROT_WRITE) == 0);
    data_ = mapped_ + page + (side == Side::kBehind ? inner - size_bytes : 0);
  }
  ~GuardedMemory() { munmap(mapped_, mapped_bytes_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  template <class T>
  T* as() const { return reinterpret_cast<T*>(data_); }
  std::span<std::byte> bytes() const { return {data_, size_bytes_}; }

 private:
  uint64_t size_bytes_;
  uint64_t mapped_bytes_ = 0;
  std::byte* mapped_ = nullptr;
  std::byte* data_ = nullptr;
};

}  // namespace hotset::test
