// TokenStream: a cursor over lexed tokens, shared by the two halves of the parser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/jinja_lexer.h"

namespace hotset::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& peek(size_t ahead = 1) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  int line() const { return current().line; }

  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator) && current().text == text; }
  bool is_name(std::string_view text) const { return is(TokenKind::kName) && current().text == text; }

  // The current token, passed.
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool take_operator(std::string_view text) {
    if (!is_operator(text)) return false;
    take();
    return true;
  }
  bool take_name(std::string_view text) {
    if (!is_name(text)) return false;
    take();
    return true;
  }

  // "line 3: expected X, found Y".
  Status expected(std::string_view what) const {
    std::string found = "'" + current().text + "'";
    switch (current().kind) {
      case TokenKind::kEnd: found = "the template's end"; break;
      case TokenKind::kText: found = "text"; break;
      case TokenKind::kOutputBegin: found = "'{{'"; break;
      case TokenKind::kOutputEnd: found = "'}}'"; break;
      case TokenKind::kBlockBegin: found = "'{%'"; break;
      case TokenKind::kBlockEnd: found = "'%}'"; break;
      default: break;
    }
    return Status(Code::kInvalidArgument, "line " + std::to_string(line()) + ": expected " + std::string(what) + ", found " + found);
  }
  Status expect_operator(std::string_view text) {
    return take_operator(text) ? ok_status() : expected("'" + std::string(text) + "'");
  }
  Status expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) return expected(what);
    take();
    return ok_status();
  }

 private:
  const std::vector<Token> tokens_;  // ends with kEnd
  size_t at_ = 0;
};

}  // namespace hotset::jinja
