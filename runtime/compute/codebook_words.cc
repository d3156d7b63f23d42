#include "runtime/compute/codebook_words.h"

#include "platform/check.h"
#include "runtime/format/codebooks.h"
#include "shaders/params.h"

namespace hotset {
namespace {

uint32_t low_word(uint64_t entry) { return static_cast<uint32_t>(entry); }
uint32_t high_word(uint64_t entry) { return static_cast<uint32_t>(entry >> 32); }

// Numbers 0, 8, 16 in bytes as 0, 1, 2 in nibbles.
uint32_t iq1_word(uint64_t entry) { return low_word(entry) >> 3 | high_word(entry) << 1; }

}  // namespace

std::vector<uint32_t> codebook_words() {
  std::vector<uint32_t> words;
  const auto begin = [&](uint32_t at) { HOTSET_CHECK(words.size() == at); };
  const auto add_pairs = [&](const auto& grid) {
    for (const uint64_t entry : grid) words.insert(words.end(), {low_word(entry), high_word(entry)});
  };
  begin(shaders::kIq2XxsBook);
  add_pairs(kIq2XxsGrid);
  begin(shaders::kIq2XsBook);
  add_pairs(kIq2XsGrid);
  begin(shaders::kIq2SBook);
  add_pairs(kIq2SGrid);
  begin(shaders::kIq3XxsBook);
  words.insert(words.end(), kIq3XxsGrid.begin(), kIq3XxsGrid.end());
  begin(shaders::kIq3SBook);
  words.insert(words.end(), kIq3SGrid.begin(), kIq3SGrid.end());
  begin(shaders::kIq1Book);
  for (const uint64_t entry : kIq1Grid) words.push_back(iq1_word(entry));
  begin(shaders::kBookWords);
  return words;
}

}  // namespace hotset
