// Tokens that sessions of the C++ wrapper pick, one after the other.
#pragma once

#include <hotset/hotset.hpp>
#include <span>
#include <vector>

namespace hotset::test {

// The next ones, fed as they are picked.
inline std::vector<hotset_token> go_on(api::session& session, int tokens) {
  std::vector<hotset_token> ids;
  for (int i = 0; i < tokens; ++i) {
    ids.push_back(session.sample());
    session.feed({&ids.back(), 1});
  }
  return ids;
}

// Those after a prompt, on a timeline that begins anew.
inline std::vector<hotset_token> told(api::session& session, std::span<const hotset_token> prompt, int tokens) {
  session.rewind(0);
  session.feed(prompt);
  return go_on(session, tokens);
}

}  // namespace hotset::test
