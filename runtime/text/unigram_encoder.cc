#include "runtime/text/unigram_encoder.h"

#include <algorithm>
#include <limits>

#include "runtime/text/spaces.h"
#include "runtime/text/utf8.h"

namespace hotset {

namespace {

// An unknown character scores this much below the worst token (SentencePiece's kUnkPenalty).
constexpr double kUnknownPenalty = 10;

}  // namespace

Result<std::unique_ptr<UnigramEncoder>> UnigramEncoder::create(const Vocabulary& vocabulary, const TextIndex& ids,
                                                              const std::vector<std::string>& pieces) {
  std::unique_ptr<UnigramEncoder> encoder(new UnigramEncoder);
  encoder->take_tokens(vocabulary, pieces);
  HOTSET_ASSIGN(encoder->charsmap_, Charsmap::create(vocabulary.charsmap));
  encoder->fallback_ = ByteFallback(vocabulary, ids);
  encoder->adds_space_ = vocabulary.add_space_prefix.value_or(true);
  encoder->merges_spaces_ = vocabulary.merge_spaces.value_or(true);
  return encoder;
}

void UnigramEncoder::take_tokens(const Vocabulary& vocabulary, const std::vector<std::string>& pieces) {
  std::vector<TokenTrie::Entry> entries;
  scores_.assign(pieces.size(), 0);
  double worst = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const TokenType type = vocabulary.type_of(i);
    // Added tokens score 0, above all others, whose scores are logarithms of probabilities.
    if (type == TokenType::kNormal && !vocabulary.scores.empty()) scores_[i] = vocabulary.scores[i];
    if (!(scores_[i] > -1e30 && scores_[i] < 1e30)) scores_[i] = -1e30;
    if (type == TokenType::kNormal || type == TokenType::kUserDefined) entries.push_back({pieces[i], static_cast<TokenId>(i)});
    if (type == TokenType::kNormal) worst = std::min(worst, scores_[i]);
  }
  unknown_score_ = worst - kUnknownPenalty;
  trie_ = TokenTrie(std::move(entries));
}

std::string UnigramEncoder::normalised(std::string_view text) const {
  std::string out;
  bool in_word = false;
  bool has_prefix = false;
  const auto put = [&](char c) {
    if (c == ' ') {
      in_word = false;
      if (!merges_spaces_) out.push_back(' ');
      return;
    }
    if (!in_word && (merges_spaces_ ? !out.empty() || adds_space_ : adds_space_ && !has_prefix)) out.push_back(' ');
    has_prefix |= !in_word;
    in_word = true;
    out.push_back(c);
  };
  for (size_t at = 0; at < text.size();) {
    const Charsmap::Match match = charsmap_.longest(text.substr(at));
    const size_t size = match.size_bytes != 0 ? match.size_bytes : utf8_code_point_at(text, at).size_bytes;
    for (const char c : match.size_bytes != 0 ? match.replacement : text.substr(at, size)) put(c);
    at += size;
  }
  return with_plain_spaces(out);
}

std::vector<UnigramEncoder::Step> UnigramEncoder::best_steps(std::string_view text) const {
  std::vector<Step> best(text.size() + 1, {-std::numeric_limits<double>::max(), 0, kNoToken});
  best[0].score = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t character = utf8_code_point_at(text, at).size_bytes;
    bool has_token = false;
    const auto offer = [&](size_t size, double score, TokenId id) {
      Step& end = best[at + size];
      if (best[at].score + score > end.score) end = {best[at].score + score, at, id};
    };
    trie_.for_each_prefix(text.substr(at), [&](size_t size, TokenId id) {
      has_token |= size == character;
      offer(size, scores_[static_cast<size_t>(id)], id);
    });
    if (!has_token) offer(character, unknown_score_, kNoToken);
    at += character;
  }
  return best;
}

Status UnigramEncoder::encode(std::string_view text, bool, std::vector<TokenId>& ids) const {
  const std::string plain = normalised(text);
  const std::vector<Step> best = best_steps(plain);
  std::vector<size_t> ends;
  for (size_t end = plain.size(); end > 0; end = best[end].begin) ends.push_back(end);
  const size_t first = ids.size();
  for (size_t i = ends.size(); i-- > 0;) {
    const Step& step = best[ends[i]];
    if (step.id != kNoToken) {
      ids.push_back(step.id);
    } else {
      HOTSET_RETURN_IF_ERROR(fallback_.append(std::string_view(plain).substr(step.begin, ends[i] - step.begin), first, ids));
    }
  }
  return ok_status();
}

}  // namespace hotset
