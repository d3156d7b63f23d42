// RunHistory: which experts a session's tokens used, and how hits and links went over time. For pictures.
//
// Time is divided into stretches of as many tokens each; when there are too many, two become one. A value; one thread; token() and use()
// allocate nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hotset {

// What happened in some tokens.
struct RunStretch {
  uint64_t tokens = 0;
  uint64_t ns = 0;
  uint64_t lookups = 0;  // of experts,
  uint64_t hits = 0;     // found in VRAM
  uint64_t host_to_device_bytes = 0;
  uint64_t disk_to_host_bytes = 0;

  void add(const RunStretch& other);
};

class RunHistory {
 public:
  static constexpr size_t kMostStretches = 256;

  RunHistory() = default;
  RunHistory(uint32_t layers, uint32_t experts, uint32_t top_k);

  void use(uint32_t layer, std::span<const uint16_t> ids);
  // One token; its `tokens` is 1.
  void token(const RunStretch& of_token);

  uint32_t layers() const { return layers_; }
  uint32_t experts() const { return experts_; }
  uint32_t top_k() const { return top_k_; }
  std::span<const uint32_t> uses() const { return uses_; }  // [layers][experts]
  std::span<const RunStretch> stretches() const { return stretches_; }

 private:
  uint32_t layers_ = 0;
  uint32_t experts_ = 0;
  uint32_t top_k_ = 0;
  uint64_t stretch_tokens_ = 1;
  std::vector<uint32_t> uses_;
  std::vector<RunStretch> stretches_;  // capacity kMostStretches; all but the last of stretch_tokens_
};

}  // namespace hotset
