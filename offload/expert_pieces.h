// ExpertPieces: where the pieces of one expert lie in host memory, for whoever computes on the CPU.
//
// Pieces need not follow each other: a read from a file lands each at the alignment that the disk asks for. In an expert
// table for the CPU an expert's address is a pointer to its ExpertPieces, which stays the same while its bytes move.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "offload/expert_table.h"
#include "offload/host_tier.h"

namespace hotset {

struct ExpertPieces {
  // [ExpertTable::pieces], in the order of the table (gate, up, down); nullptr: not there
  std::array<const std::byte*, ExpertTableBuilder::kMaxPieces> piece = {};
};

// The pieces of an expert of `layer` whose bytes are `parts`.
inline ExpertPieces pieces_of(const ExpertTable& table, uint32_t layer, std::span<const RecordPart> parts) {
  ExpertPieces pieces;
  for (uint32_t i = 0; i < table.pieces(layer); ++i) {
    const uint64_t offset_bytes = table.piece_offset_bytes(layer, i);
    for (const RecordPart& part : parts) {
      const bool inside = part.record_offset_bytes <= offset_bytes && offset_bytes < part.record_offset_bytes + part.bytes.size();
      if (inside) pieces.piece[i] = part.bytes.data() + (offset_bytes - part.record_offset_bytes);
    }
  }
  return pieces;
}

}  // namespace hotset
