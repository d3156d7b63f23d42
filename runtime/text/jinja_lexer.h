// Jinja lexer: a chat template's source as tokens, white space already handled.
//
// Follows the settings that chat templates are written for: trim_blocks and lstrip_blocks on, one newline at the end dropped
// (jinja.palletsprojects.com/en/stable/templates/#whitespace-control).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset::jinja {

enum class TokenKind {
  kText,         // output as it is
  kOutputBegin,  // {{
  kOutputEnd,    // }}
  kBlockBegin,   // {%
  kBlockEnd,     // %}
  kName,
  kInteger,
  kReal,
  kString,    // text is the content, escapes resolved
  kOperator,  // text is one of + - * / // % ** ~ == != <= >= < > = ( ) [ ] { } , . : |
  kEnd,       // of the template
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 0;
};

// The last token is kEnd. Errors name the line.
Result<std::vector<Token>> lex(std::string_view source);

}  // namespace hotset::jinja
