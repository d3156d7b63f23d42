// ExprParser: the expression half of the Jinja parser.
#pragma once

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_token_stream.h"

namespace hotset::jinja {

class ExprParser {
 public:
  explicit ExprParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression; with `tuple`, "a, b" is a tuple.
  Result<ExprPtr> parse(bool tuple = false);
  // Without "x if y", as the iterable of a for loop is ("for x in y if z").
  Result<ExprPtr> parse_or();
  // The filters after a block's name: "upper | trim". The operand is the block's text (kBlockText).
  Result<ExprPtr> parse_block_filters(bool first_is_bare);

 private:
  Result<ExprPtr> parse_conditional();
  Result<ExprPtr> parse_and();
  Result<ExprPtr> parse_not();
  Result<ExprPtr> parse_compare();
  Result<ExprPtr> parse_binary(int level);
  Result<ExprPtr> parse_unary(bool with_filter);
  Result<ExprPtr> parse_primary();
  Result<ExprPtr> parse_number();
  Result<ExprPtr> parse_sequence(const char* close, ExprKind kind);
  Result<ExprPtr> parse_dict();
  Result<ExprPtr> parse_postfix(ExprPtr expr);
  Result<ExprPtr> parse_subscript(ExprPtr expr);
  Result<ExprPtr> parse_filters(ExprPtr expr);
  Result<ExprPtr> parse_filter(ExprPtr expr);
  Result<ExprPtr> parse_test(ExprPtr expr);
  Status parse_arguments(Expr& call);

  ExprPtr make(ExprKind kind, std::string name = "") const;
  // Takes over the child; error when the tree becomes too deep to walk.
  Status adopt(Expr& parent, ExprPtr child) const;
  Result<ExprPtr> with_children(ExprKind kind, std::string name, ExprPtr a, ExprPtr b = nullptr) const;

  TokenStream& tokens_;
  int nesting_ = 0;
};

}  // namespace hotset::jinja
