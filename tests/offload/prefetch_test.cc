// Guesses from history, and a prefetch that stops when they are wrong and takes them up again when they are right.
#include <doctest/doctest.h>

#include "offload/prefetch.h"
#include "tests/offload/rig.h"

using namespace hotset;
using test::Rig;

namespace {

using Ids = std::vector<uint16_t>;

Ids list(std::span<const uint16_t> ids) { return {ids.begin(), ids.end()}; }

}  // namespace

TEST_CASE("history: what followed most often is guessed first, and nothing before anything was learned") {
  HistoryPredictor history(3, 8, 2, 10);
  CHECK(history.guess(1, Ids{0, 1}, 2).empty());
  for (int i = 0; i < 5; ++i) history.learn(1, Ids{0, 1}, Ids{6, 7});
  history.learn(1, Ids{0, 2}, Ids{5, 7});
  CHECK(list(history.guess(1, Ids{0, 1}, 2)) == Ids{7, 6});
  CHECK(list(history.guess(1, Ids{2, 3}, 2)) == Ids{5, 7});
  CHECK(history.guess(2, Ids{0, 1}, 2).empty());
  CHECK(history.guess(1, Ids{0, 1}, 20).size() == 8);
}

TEST_CASE("history: the first layer's choice is remembered by token, and old pairs fade") {
  HistoryPredictor history(2, 4, 2, 10);
  CHECK(history.guess_first(3).empty());
  history.learn_first(3, Ids{2, 1});
  history.learn_first(99, Ids{2, 1});  // outside the vocabulary
  CHECK(list(history.guess_first(3)) == Ids{2, 1});
  CHECK(history.guess_first(4).empty());
  CHECK(history.guess_first(99).empty());
  for (int i = 0; i < 3000; ++i) history.learn(1, Ids{0}, Ids{1});
  for (int i = 0; i < 9000; ++i) history.learn(1, Ids{0}, Ids{2});
  CHECK(list(history.guess(1, Ids{0}, 1)) == Ids{2});
}

TEST_CASE("prefetch: books are kept by layer, and only of what was guessed") {
  Rig rig(test::make_table(64, {100, 100}), {8}, 2);
  PrefetchOptions options;
  options.mode = PrefetchMode::kRouter;
  options.top_k = 2;
  options.vocab = 10;
  options.always = true;
  Prefetch prefetch(rig.table, options);
  CHECK(prefetch.asks_router());
  CHECK(prefetch.in_use());
  const std::vector<uint32_t> guess = {5, 6, 7};  // no more than top_k count
  for (int i = 0; i < 200; ++i) {
    prefetch.begin_token(1, *rig.residency);
    CHECK(prefetch.active());
    prefetch.chose(0, Ids{1, 2});
    prefetch.guess_after(0, guess, *rig.residency);
    prefetch.chose(1, Ids{5, 7});
    prefetch.guess_after(1, guess, *rig.residency);  // there is no layer after it
    prefetch.end_token(1000);
  }
  CHECK(prefetch.layers()[1].guessed == 400);
  CHECK(prefetch.layers()[1].right == 200);
  CHECK(prefetch.layers()[1].chosen == 400);
  CHECK(prefetch.layers()[1].precision() == doctest::Approx(0.5));
  CHECK(prefetch.layers()[0].right == 2 * 199);  // the token chose the same each time
}

TEST_CASE("prefetch: it is left alone where tokens are slower with it") {
  // Once, only the share of right guesses counted: a machine whose disk was fast lost 8 % of its speed to looking after every layer.
  Rig rig(test::make_table(64, {100, 100}), {8}, 2);
  PrefetchOptions options;
  options.mode = PrefetchMode::kHistory;
  options.top_k = 2;
  options.vocab = 10;
  for (const bool pays : {false, true}) {
    Prefetch prefetch(rig.table, options);
    uint32_t active = 0;
    for (int i = 0; i < 400; ++i) {
      prefetch.begin_token(1, *rig.residency);
      active += prefetch.active() ? 1 : 0;
      prefetch.chose(0, Ids{1, 2});
      prefetch.guess_after(0, {}, *rig.residency);
      prefetch.chose(1, Ids{5, 6});
      prefetch.end_token(prefetch.active() == pays ? 900 : 1000);
    }
    CHECK(prefetch.active() == pays);
    CHECK(active > 10);
    CHECK((active > 200) == pays);
    CHECK(prefetch.layers()[1].guessed <= 2 * active);
  }
}
