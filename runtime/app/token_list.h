// Token ids as people write them on a command line: "1,2,3", or "@FILE" for a file that holds such a list.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hotset/hotset.h>

#include "platform/status.h"

namespace hotset {

// Ids parted by commas, blanks or newlines. Error: an item that is no id (named), no ids at all.
Result<std::vector<hotset_token>> parse_token_list(std::string_view text);

// "1,2,3".
std::string token_list_text(std::span<const hotset_token> ids);

// What a flag was given: the list itself, or "@FILE". Errors also: what reading the file says.
Result<std::vector<hotset_token>> load_token_list(const std::string& argument);

// What is wrong with such an argument on the command line itself; empty when nothing is. A file is not looked at: that it
// is missing is not a wrong flag.
std::string token_list_flaw(const std::string& argument);

}  // namespace hotset
