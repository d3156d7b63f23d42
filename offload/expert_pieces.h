// ExpertPieces: where the pieces of one expert lie in host memory, for whoever computes on the CPU.
//
// Pieces need not follow each other: a read from a file lands each at the alignment that the disk asks for. In an expert
// table for the CPU an expert's address is a pointer to its ExpertPieces, which stays the same while its bytes move.
#pragma once

#include <array>
#include <cstddef>

namespace hotset {

struct ExpertPieces {
  std::array<const std::byte*, 8> piece = {};  // [ExpertTable::pieces], in the order of the table (gate, up, down); nullptr: not there
};

}  // namespace hotset
