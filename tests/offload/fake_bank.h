// A made-up bank of experts: one file part, records of the sizes asked for, every byte known from where it lies.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "offload/expert_table.h"
#include "offload/host_tier.h"

namespace hotset::test {

// The byte at `offset` of the made-up file.
inline std::byte file_byte(uint64_t offset) { return static_cast<std::byte>((offset * 2654435761u) >> 13); }

// Layer i has experts[i] experts of three pieces; the last is layer_piece_bytes[i] long, the others 300 bytes.
inline ExpertTable make_uneven_table(const std::vector<uint32_t>& experts, const std::vector<uint64_t>& layer_piece_bytes) {
  uint64_t end = 64;
  std::vector<std::vector<ByteRange>> tensors;
  for (size_t i = 0; i < experts.size(); ++i) {
    std::vector<ByteRange> layer;
    for (const uint64_t bytes : {uint64_t{300}, uint64_t{300}, layer_piece_bytes[i]}) {
      layer.push_back({0, end, bytes * experts[i]});
      end += bytes * experts[i];
    }
    tensors.push_back(layer);
  }
  ExpertTableBuilder builder({end});
  for (size_t i = 0; i < experts.size(); ++i) REQUIRE(builder.add_stacked_layer(experts[i], tensors[i]).ok());
  auto table = std::move(builder).build();
  REQUIRE(table.ok());
  return std::move(table).value();
}

inline ExpertTable make_table(uint32_t experts, const std::vector<uint64_t>& layer_piece_bytes) {
  return make_uneven_table(std::vector<uint32_t>(layer_piece_bytes.size(), experts), layer_piece_bytes);
}

inline Status read_made_up(const ByteRange& range, std::span<std::byte> out) {
  for (uint64_t i = 0; i < out.size(); ++i) out[i] = file_byte(range.offset_bytes + i);
  return ok_status();
}

inline std::unique_ptr<HostTier> make_host(const ExpertTable& table) {
  auto tier = HostTier::create(table);
  REQUIRE(tier.ok());
  REQUIRE((*tier)->load(read_made_up, {}).ok());
  return std::move(tier).value();
}

}  // namespace hotset::test
