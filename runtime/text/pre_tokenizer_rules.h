// The named rules by which models split text into words before byte-pair merges.
//
// Names and patterns are facts of published models (their tokenizer.json), under the names that GGUF files give them
// (tokenizer.ggml.pre).
#pragma once

#include <span>
#include <string_view>

namespace hotset {

// One pass over the pieces that the passes before it made: what matches becomes a piece, and so does what lies between.
struct SplitStep {
  const char* pattern;   // PCRE2, with UTF and UCP
  bool triples = false;  // a match is cut from its right end into pieces of three characters
};

struct PreTokenizerRule {
  std::string_view name;
  std::span<const SplitStep> steps;
  bool ignore_merges = false;  // a word that is a token is taken whole, whatever the merges say
  bool adds_bos = false;       // its models want a beginning token where their file does not say
};

// All of them, those that few models use under several names among them.
std::span<const PreTokenizerRule> pre_tokenizer_rules();

// nullptr where the name is not known.
const PreTokenizerRule* find_pre_tokenizer_rule(std::string_view name);

}  // namespace hotset
