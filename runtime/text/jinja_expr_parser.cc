#include "runtime/text/jinja_expr_parser.h"

#include <charconv>

namespace hotset::jinja {

namespace {

// Bounds the recursion of parsing, evaluating and freeing a tree. Real templates stay below 40.
constexpr int kMaxDepth = 200;

Status too_deep(int line) {
  return error(Code::kInvalidArgument, "line %d: expression nested deeper than %d", line, kMaxDepth);
}

// Binary operators from the loosest to the tightest level; the first level also holds what the comparison level joins.
constexpr std::string_view kLevels[4][4] = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};

}  // namespace

ExprPtr ExprParser::make(ExprKind kind, std::string name) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = tokens_.line();
  expr->name = std::move(name);
  return expr;
}

Status ExprParser::adopt(Expr& parent, ExprPtr child) const {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  parent.children.push_back(std::move(child));
  return parent.depth > kMaxDepth ? too_deep(parent.line) : ok_status();
}

Result<ExprPtr> ExprParser::with_children(ExprKind kind, std::string name, ExprPtr a, ExprPtr b) const {
  ExprPtr expr = make(kind, std::move(name));
  expr->line = a->line;
  HOTSET_RETURN_IF_ERROR(adopt(*expr, std::move(a)));
  if (b != nullptr) HOTSET_RETURN_IF_ERROR(adopt(*expr, std::move(b)));
  return expr;
}

Result<ExprPtr> ExprParser::parse(bool tuple) {
  if (++nesting_ > kMaxDepth) return too_deep(tokens_.line());
  HOTSET_ASSIGN(ExprPtr first, parse_conditional());
  if (tuple && tokens_.is_operator(",")) {
    HOTSET_ASSIGN(first, with_children(ExprKind::kTuple, "", std::move(first)));
    while (tokens_.take_operator(",")) {
      if (tokens_.is(TokenKind::kBlockEnd) || tokens_.is(TokenKind::kOutputEnd) || tokens_.is_operator(")")) break;
      HOTSET_ASSIGN(ExprPtr item, parse_conditional());
      HOTSET_RETURN_IF_ERROR(adopt(*first, std::move(item)));
    }
  }
  --nesting_;
  return first;
}

Result<ExprPtr> ExprParser::parse_conditional() {
  HOTSET_ASSIGN(ExprPtr value, parse_or());
  while (tokens_.take_name("if")) {
    HOTSET_ASSIGN(ExprPtr condition, parse_or());
    ExprPtr other;
    if (tokens_.take_name("else")) {
      if (++nesting_ > kMaxDepth) return too_deep(tokens_.line());
      HOTSET_ASSIGN(other, parse_conditional());
      --nesting_;
    }
    HOTSET_ASSIGN(value, with_children(ExprKind::kConditional, "", std::move(condition), std::move(value)));
    HOTSET_RETURN_IF_ERROR(adopt(*value, std::move(other)));
  }
  return value;
}

Result<ExprPtr> ExprParser::parse_or() {
  HOTSET_ASSIGN(ExprPtr left, parse_and());
  while (tokens_.take_name("or")) {
    HOTSET_ASSIGN(ExprPtr right, parse_and());
    HOTSET_ASSIGN(left, with_children(ExprKind::kOr, "", std::move(left), std::move(right)));
  }
  return left;
}

Result<ExprPtr> ExprParser::parse_and() {
  HOTSET_ASSIGN(ExprPtr left, parse_not());
  while (tokens_.take_name("and")) {
    HOTSET_ASSIGN(ExprPtr right, parse_not());
    HOTSET_ASSIGN(left, with_children(ExprKind::kAnd, "", std::move(left), std::move(right)));
  }
  return left;
}

Result<ExprPtr> ExprParser::parse_not() {
  if (!tokens_.take_name("not")) return parse_compare();
  if (++nesting_ > kMaxDepth) return too_deep(tokens_.line());
  HOTSET_ASSIGN(ExprPtr operand, parse_not());
  --nesting_;
  return with_children(ExprKind::kNot, "", std::move(operand));
}

Result<ExprPtr> ExprParser::parse_compare() {
  HOTSET_ASSIGN(ExprPtr left, parse_binary(0));
  const auto take_comparison = [&]() -> std::string {
    for (const char* op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (tokens_.take_operator(op)) return op;
    }
    if (tokens_.take_name("in")) return "in";
    if (!tokens_.is_name("not") || tokens_.peek().kind != TokenKind::kName || tokens_.peek().text != "in") return "";
    tokens_.take();
    tokens_.take();
    return "not in";
  };
  std::string op = take_comparison();
  if (op.empty()) return left;
  HOTSET_ASSIGN(ExprPtr compare, with_children(ExprKind::kCompare, "", std::move(left)));
  for (; !op.empty(); op = take_comparison()) {
    HOTSET_ASSIGN(ExprPtr right, parse_binary(0));
    compare->operators.push_back(op);
    HOTSET_RETURN_IF_ERROR(adopt(*compare, std::move(right)));
  }
  return compare;
}

Result<ExprPtr> ExprParser::parse_binary(int level) {
  const auto operand = [&] { return level == 3 ? parse_unary(true) : parse_binary(level + 1); };
  HOTSET_ASSIGN(ExprPtr left, operand());
  while (true) {
    std::string op;
    for (const std::string_view candidate : kLevels[level]) {
      if (!candidate.empty() && tokens_.is_operator(candidate)) op = candidate;
    }
    if (op.empty()) return left;
    tokens_.take();
    HOTSET_ASSIGN(ExprPtr right, operand());
    HOTSET_ASSIGN(left, with_children(ExprKind::kBinary, op, std::move(left), std::move(right)));
  }
}

Result<ExprPtr> ExprParser::parse_unary(bool with_filter) {
  if (++nesting_ > kMaxDepth) return too_deep(tokens_.line());
  ExprPtr expr;
  if (tokens_.take_operator("-")) {
    HOTSET_ASSIGN(ExprPtr operand, parse_unary(false));
    HOTSET_ASSIGN(expr, with_children(ExprKind::kNegate, "", std::move(operand)));
  } else if (tokens_.take_operator("+")) {
    HOTSET_ASSIGN(expr, parse_unary(false));
  } else {
    HOTSET_ASSIGN(expr, parse_primary());
  }
  HOTSET_ASSIGN(expr, parse_postfix(std::move(expr)));
  if (with_filter) {
    HOTSET_ASSIGN(expr, parse_filters(std::move(expr)));
  }
  --nesting_;
  return expr;
}

Result<ExprPtr> ExprParser::parse_primary() {
  if (tokens_.is(TokenKind::kInteger) || tokens_.is(TokenKind::kReal)) return parse_number();
  ExprPtr expr = make(ExprKind::kLiteral);
  if (tokens_.is(TokenKind::kString)) {
    while (tokens_.is(TokenKind::kString)) expr->name += tokens_.take().text;  // neighbours are one string
    expr->literal = Value::text(expr->name);
    return expr;
  }
  if (tokens_.is(TokenKind::kName)) {
    const std::string& name = tokens_.take().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      expr->literal = Value::boolean(name[0] == 't' || name[0] == 'T');
    } else if (name == "none" || name == "None") {
      expr->literal = Value::none();
    } else {
      expr->kind = ExprKind::kName;
      expr->name = name;
    }
    return expr;
  }
  if (tokens_.take_operator("[")) return parse_sequence("]", ExprKind::kList);
  if (tokens_.take_operator("{")) return parse_dict();
  if (!tokens_.take_operator("(")) return tokens_.expected("an expression");
  if (tokens_.is_operator(")")) return parse_sequence(")", ExprKind::kTuple);
  HOTSET_ASSIGN(expr, parse(true));
  HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(")"));
  return expr;
}

Result<ExprPtr> ExprParser::parse_number() {
  ExprPtr expr = make(ExprKind::kLiteral);
  const Token& token = tokens_.take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  int64_t integer = 0;
  double real = 0;
  const bool is_integer = token.kind == TokenKind::kInteger;
  const auto result = is_integer ? std::from_chars(begin, end, integer) : std::from_chars(begin, end, real);
  if (result.ec != std::errc() || result.ptr != end) {
    return error(Code::kInvalidArgument, "line %d: the number %s is out of range", token.line, token.text.c_str());
  }
  expr->literal = is_integer ? Value::integer(integer) : Value::real(real);
  return expr;
}

Result<ExprPtr> ExprParser::parse_sequence(const char* close, ExprKind kind) {
  ExprPtr list = make(kind);
  while (!tokens_.take_operator(close)) {
    HOTSET_ASSIGN(ExprPtr item, parse());
    HOTSET_RETURN_IF_ERROR(adopt(*list, std::move(item)));
    if (!tokens_.is_operator(close)) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(","));
  }
  return list;
}

Result<ExprPtr> ExprParser::parse_dict() {
  ExprPtr dict = make(ExprKind::kDict);
  while (!tokens_.take_operator("}")) {
    HOTSET_ASSIGN(ExprPtr key, parse());
    HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(":"));
    HOTSET_ASSIGN(ExprPtr value, parse());
    HOTSET_RETURN_IF_ERROR(adopt(*dict, std::move(key)));
    HOTSET_RETURN_IF_ERROR(adopt(*dict, std::move(value)));
    if (!tokens_.is_operator("}")) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(","));
  }
  return dict;
}

Result<ExprPtr> ExprParser::parse_postfix(ExprPtr expr) {
  while (true) {
    if (tokens_.take_operator(".")) {
      if (!tokens_.is(TokenKind::kName) && !tokens_.is(TokenKind::kInteger)) return tokens_.expected("a name after '.'");
      if (tokens_.is(TokenKind::kInteger)) {
        HOTSET_ASSIGN(ExprPtr index, parse_number());
        HOTSET_ASSIGN(expr, with_children(ExprKind::kIndex, "", std::move(expr), std::move(index)));
      } else {
        HOTSET_ASSIGN(expr, with_children(ExprKind::kAttribute, tokens_.take().text, std::move(expr)));
      }
    } else if (tokens_.take_operator("[")) {
      HOTSET_ASSIGN(expr, parse_subscript(std::move(expr)));
    } else if (tokens_.is_operator("(")) {
      HOTSET_ASSIGN(expr, with_children(ExprKind::kCall, "", std::move(expr)));
      HOTSET_RETURN_IF_ERROR(parse_arguments(*expr));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> ExprParser::parse_subscript(ExprPtr expr) {
  std::vector<ExprPtr> parts(1);
  while (!tokens_.take_operator("]")) {
    if (tokens_.take_operator(":")) {
      if (parts.size() == 3) return tokens_.expected("']'");
      parts.emplace_back();
      continue;
    }
    if (parts.back() != nullptr) return tokens_.expected("']'");
    HOTSET_ASSIGN(parts.back(), parse());
  }
  if (parts.size() == 1) {
    if (parts[0] == nullptr) return tokens_.expected("an index before ']'");
    return with_children(ExprKind::kIndex, "", std::move(expr), std::move(parts[0]));
  }
  HOTSET_ASSIGN(ExprPtr slice, with_children(ExprKind::kSlice, "", std::move(expr)));
  parts.resize(3);
  for (ExprPtr& part : parts) HOTSET_RETURN_IF_ERROR(adopt(*slice, std::move(part)));
  return slice;
}

Status ExprParser::parse_arguments(Expr& call) {
  HOTSET_RETURN_IF_ERROR(tokens_.expect_operator("("));
  while (!tokens_.take_operator(")")) {
    const Token& next = tokens_.peek();
    if (tokens_.is_operator("*") || tokens_.is_operator("**")) {
      const std::string stars = tokens_.take().text;
      HOTSET_ASSIGN(ExprPtr value, parse());
      HOTSET_ASSIGN(value, with_children(ExprKind::kUnpack, stars, std::move(value)));
      HOTSET_RETURN_IF_ERROR(adopt(call, std::move(value)));
    } else if (tokens_.is(TokenKind::kName) && next.kind == TokenKind::kOperator && next.text == "=") {
      const std::string name = tokens_.take().text;
      tokens_.take();
      HOTSET_ASSIGN(ExprPtr value, parse());
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(name, std::move(value));
    } else {
      HOTSET_ASSIGN(ExprPtr value, parse());
      HOTSET_RETURN_IF_ERROR(adopt(call, std::move(value)));
    }
    if (!tokens_.is_operator(")")) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(","));
  }
  return call.depth > kMaxDepth ? too_deep(call.line) : ok_status();
}

Result<ExprPtr> ExprParser::parse_filters(ExprPtr expr) {
  while (true) {
    if (tokens_.take_operator("|")) {
      HOTSET_ASSIGN(expr, parse_filter(std::move(expr)));
    } else if (tokens_.take_name("is")) {
      HOTSET_ASSIGN(expr, parse_test(std::move(expr)));
    } else if (tokens_.is_operator("(")) {
      HOTSET_ASSIGN(expr, parse_postfix(std::move(expr)));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> ExprParser::parse_filter(ExprPtr expr) {
  if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a filter's name");
  const int line = tokens_.line();
  HOTSET_ASSIGN(ExprPtr filter, with_children(ExprKind::kFilter, tokens_.take().text, std::move(expr)));
  filter->line = line;
  if (tokens_.is_operator("(")) HOTSET_RETURN_IF_ERROR(parse_arguments(*filter));
  return filter;
}

Result<ExprPtr> ExprParser::parse_test(ExprPtr expr) {
  const bool negated = tokens_.take_name("not");
  if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a test's name");
  const int line = tokens_.line();
  HOTSET_ASSIGN(ExprPtr test, with_children(ExprKind::kTest, tokens_.take().text, std::move(expr)));
  test->line = line;
  const auto ends_test = [&] {
    for (const char* word : {"else", "or", "and", "if", "is", "in", "not"}) {
      if (tokens_.is_name(word)) return true;
    }
    return false;
  };
  const bool literal = tokens_.is(TokenKind::kString) || tokens_.is(TokenKind::kInteger) || tokens_.is(TokenKind::kReal);
  if (tokens_.is_operator("(")) {
    HOTSET_RETURN_IF_ERROR(parse_arguments(*test));
  } else if (literal || tokens_.is_operator("[") || tokens_.is_operator("{") ||
             (tokens_.is(TokenKind::kName) && !ends_test())) {
    if (++nesting_ > kMaxDepth) return too_deep(line);
    HOTSET_ASSIGN(ExprPtr argument, parse_primary());
    HOTSET_ASSIGN(argument, parse_postfix(std::move(argument)));
    HOTSET_RETURN_IF_ERROR(adopt(*test, std::move(argument)));
    --nesting_;
  }
  if (!negated) return test;
  return with_children(ExprKind::kNot, "", std::move(test));
}

Result<ExprPtr> ExprParser::parse_block_filters(bool first_is_bare) {
  ExprPtr expr = make(ExprKind::kName, kBlockText);
  if (first_is_bare) {
    HOTSET_ASSIGN(expr, parse_filter(std::move(expr)));
  } else if (!tokens_.is_operator("|")) {
    return ExprPtr();
  }
  while (tokens_.take_operator("|")) {
    HOTSET_ASSIGN(expr, parse_filter(std::move(expr)));
  }
  return expr;
}

}  // namespace hotset::jinja
