#include "runtime/app/flags.h"

#include <algorithm>

namespace hotset {
namespace {

constexpr size_t kHelpColumns = 68;  // what is left of 100 beside the flags' own column

std::string wrap_help(const std::string& text) {
  std::string out;
  size_t column = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (column > 0 && column + 1 + (end - at) > kHelpColumns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out.append(text, at, end - at);
    column += end - at;
    at = end + 1;
  }
  return out;
}

}  // namespace

bool FlagSpec::has_value() const {
  return !std::holds_alternative<std::monostate>(target) && !std::holds_alternative<bool*>(target) &&
         !std::holds_alternative<std::function<void()>>(target);
}

std::vector<std::string> FlagSpec::long_names() const {
  std::vector<std::string> found;
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    if (names.compare(at, 2, "--") == 0) found.push_back(names.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

Flag& Flag::value_name(std::string name) {
  spec_.value_name = std::move(name);
  return *this;
}

Flag& Flag::show_default() {
  spec_.shows_default = true;
  return *this;
}

Flag& Flag::show_default(std::string text) {
  spec_.default_text = std::move(text);
  return *this;
}

Flag& Flag::range(uint32_t least, uint32_t most) {
  spec_.range.emplace(least, most);
  return *this;
}

Flag& Flag::one_of(std::vector<std::string> choices) {
  spec_.choices = std::move(choices);
  return *this;
}

Flag& Flag::check(FlagCheck check) {
  spec_.check = std::move(check);
  return *this;
}

Flag& Flag::required() {
  spec_.is_required = true;
  return *this;
}

Flag& Flag::comma_separated() {
  spec_.is_comma_separated = true;
  return *this;
}

Flag& Flag::last_wins() {
  spec_.last_wins = true;
  return *this;
}

Flag& Flag::group(std::string heading) {
  spec_.group = std::move(heading);
  return *this;
}

Flags::Flags() { add("-h,--help", std::monostate(), "Print this help message and exit"); }

Flag Flags::add(std::string names, FlagTarget target, const std::string& help) {
  FlagSpec& spec = specs_.emplace_back();
  spec.names = std::move(names);
  spec.target = std::move(target);
  spec.help = wrap_help(help);
  return Flag(spec);
}

}  // namespace hotset
