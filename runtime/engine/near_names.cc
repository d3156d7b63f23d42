#include "runtime/engine/near_names.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace hotset {
namespace {

constexpr size_t kMostNames = 3;
constexpr size_t kMostTextBytes = 64;  // a longer text is no name, and the distance is quadratic

// Letters to insert, drop or replace to come from one to the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c))) plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain;
}

std::vector<std::string_view> near_names(std::string_view text, std::span<const std::string_view> names) {
  const std::string wanted = plain_name(text.substr(0, kMostTextBytes));
  struct Near {
    size_t distance;
    std::string_view name;
  };
  std::vector<Near> near;
  for (const std::string_view name : names) {
    const std::string plain = plain_name(name);
    const bool holds = wanted.size() >= 2 && plain.find(wanted) != std::string::npos;
    const size_t apart = distance(wanted, plain);
    if (holds || apart <= std::max(wanted.size(), plain.size()) / 3) near.push_back({holds ? 0 : apart, name});
  }
  std::stable_sort(near.begin(), near.end(), [](const Near& a, const Near& b) { return a.distance < b.distance; });
  std::vector<std::string_view> nearest;
  for (const Near& one : near) {
    const bool as_good = near.front().distance > 0 || one.distance == 0;  // beside names that hold the text, others only confuse
    if (as_good && nearest.size() < kMostNames) nearest.push_back(one.name);
  }
  return nearest;
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> names) {
  const std::vector<std::string_view> nearest = near_names(text, names);
  std::string question;
  for (size_t i = 0; i < nearest.size(); ++i) {
    question += i == 0 ? "; did you mean " : i + 1 == nearest.size() ? " or " : ", ";
    question += nearest[i];
  }
  return question.empty() ? question : question + "?";
}

}  // namespace hotset
