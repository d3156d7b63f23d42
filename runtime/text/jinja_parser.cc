#include "runtime/text/jinja_parser.h"

#include <initializer_list>

#include "runtime/text/jinja_expr_parser.h"

namespace hotset::jinja {

namespace {

constexpr int kMaxBlockDepth = 100;  // blocks within blocks; real templates stay below 15

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)), exprs_(tokens_) {}

  Result<Body> run() {
    HOTSET_ASSIGN(Body body, parse_body({}));
    if (!tokens_.is(TokenKind::kEnd)) return tokens_.expected("the template's end");
    return body;
  }

 private:
  // At "{% name" with one of `names`.
  bool at_block(std::initializer_list<const char*> names) const {
    if (!tokens_.is(TokenKind::kBlockBegin) || tokens_.peek().kind != TokenKind::kName) return false;
    for (const char* name : names) {
      if (tokens_.peek().text == name) return true;
    }
    return false;
  }

  // Statements up to one of the blocks in `ends` (not passed) or the template's end.
  Result<Body> parse_body(std::initializer_list<const char*> ends) {
    if (++depth_ > kMaxBlockDepth) {
      return error(Code::kInvalidArgument, "line %d: blocks nested deeper than %d", tokens_.line(), kMaxBlockDepth);
    }
    Body body;
    while (!tokens_.is(TokenKind::kEnd) && !at_block(ends)) HOTSET_RETURN_IF_ERROR(parse_statement(body));
    --depth_;
    return body;
  }

  Status parse_statement(Body& body) {
    Stmt stmt;
    stmt.line = tokens_.line();
    if (tokens_.is(TokenKind::kText)) {
      stmt.text = tokens_.take().text;
    } else if (tokens_.is(TokenKind::kOutputBegin)) {
      tokens_.take();
      stmt.kind = StmtKind::kOutput;
      HOTSET_ASSIGN(stmt.value, exprs_.parse(true));
      HOTSET_RETURN_IF_ERROR(tokens_.expect(TokenKind::kOutputEnd, "'}}'"));
    } else {
      HOTSET_RETURN_IF_ERROR(tokens_.expect(TokenKind::kBlockBegin, "'{%'"));
      if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a statement");
      const std::string name = tokens_.take().text;
      if (name == "generation") return parse_generation(body);
      HOTSET_RETURN_IF_ERROR(parse_block(name, stmt));
    }
    body.push_back(std::move(stmt));
    return ok_status();
  }

  Status parse_block(const std::string& name, Stmt& stmt) {
    if (name == "if") return parse_if(stmt);
    if (name == "for") return parse_for(stmt);
    if (name == "set") return parse_set(stmt);
    if (name == "macro") return parse_macro(stmt);
    if (name == "call") return parse_call(stmt);
    if (name == "filter") return parse_filter_block(stmt);
    if (name == "with") return parse_with(stmt);
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return error(Code::kInvalidArgument, "line %d: '%s' outside a loop", stmt.line, name.c_str());
      stmt.kind = name == "break" ? StmtKind::kBreak : StmtKind::kContinue;
      return end_block();
    }
    return error(Code::kUnsupported, "line %d: statement '%.40s' is not supported here", stmt.line, name.c_str());
  }

  Status end_block() { return tokens_.expect(TokenKind::kBlockEnd, "'%}'"); }

  // "{% name %}", passed.
  Status expect_end(const char* name) {
    if (!at_block({name})) return tokens_.expected(std::string("{% ") + name + " %}");
    tokens_.take();
    tokens_.take();
    // {% endmacro some_name %} is allowed to repeat the name.
    if (std::string_view(name) == "endmacro" && tokens_.is(TokenKind::kName)) tokens_.take();
    return end_block();
  }

  // Marks the model's own words for training; here only its content counts.
  Status parse_generation(Body& body) {
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_ASSIGN(Body inner, parse_body({"endgeneration"}));
    for (Stmt& stmt : inner) body.push_back(std::move(stmt));
    return expect_end("endgeneration");
  }

  Status parse_if(Stmt& stmt) {
    stmt.kind = StmtKind::kIf;
    bool has_condition = true;
    while (true) {
      Branch branch;
      if (has_condition) {
        HOTSET_ASSIGN(branch.condition, exprs_.parse());
      }
      HOTSET_RETURN_IF_ERROR(end_block());
      if (has_condition) {
        HOTSET_ASSIGN(branch.body, parse_body({"elif", "else", "endif"}));
      } else {
        HOTSET_ASSIGN(branch.body, parse_body({"endif"}));
      }
      stmt.branches.push_back(std::move(branch));
      if (!at_block({"elif", "else"})) return expect_end("endif");
      tokens_.take();
      has_condition = tokens_.take().text == "elif";
    }
  }

  Status parse_for(Stmt& stmt) {
    stmt.kind = StmtKind::kFor;
    HOTSET_RETURN_IF_ERROR(parse_target(stmt.target, false));
    if (!tokens_.take_name("in")) return tokens_.expected("'in'");
    HOTSET_ASSIGN(stmt.value, exprs_.parse_or());
    if (tokens_.take_name("if")) {
      HOTSET_ASSIGN(stmt.condition, exprs_.parse());
    }
    if (tokens_.take_name("recursive")) stmt.text = "recursive";
    HOTSET_RETURN_IF_ERROR(end_block());
    ++loops_;
    HOTSET_ASSIGN(stmt.body, parse_body({"else", "endfor"}));
    --loops_;
    if (at_block({"else"})) {
      tokens_.take();
      tokens_.take();
      HOTSET_RETURN_IF_ERROR(end_block());
      HOTSET_ASSIGN(stmt.other, parse_body({"endfor"}));
    }
    return expect_end("endfor");
  }

  Status parse_target(Target& target, bool attribute_allowed) {
    const bool parenthesis = tokens_.take_operator("(");
    do {
      if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a name");
      target.names.push_back(tokens_.take().text);
    } while (tokens_.take_operator(","));
    if (parenthesis) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(")"));
    if (attribute_allowed && target.names.size() == 1 && tokens_.take_operator(".")) {
      if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a name after '.'");
      target.attribute = tokens_.take().text;
    }
    return ok_status();
  }

  Status parse_set(Stmt& stmt) {
    HOTSET_RETURN_IF_ERROR(parse_target(stmt.target, true));
    if (tokens_.take_operator("=")) {
      stmt.kind = StmtKind::kSet;
      HOTSET_ASSIGN(stmt.value, exprs_.parse(true));
      return end_block();
    }
    stmt.kind = StmtKind::kSetBlock;
    HOTSET_ASSIGN(stmt.value, exprs_.parse_block_filters(false));
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_ASSIGN(stmt.body, parse_body({"endset"}));
    return expect_end("endset");
  }

  Status parse_macro(Stmt& stmt) {
    stmt.kind = StmtKind::kMacro;
    if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a macro's name");
    stmt.text = tokens_.take().text;
    HOTSET_RETURN_IF_ERROR(parse_parameters(stmt));
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_RETURN_IF_ERROR(parse_macro_body(stmt, "endmacro"));
    return expect_end("endmacro");
  }

  Status parse_macro_body(Stmt& stmt, const char* end) {
    const int outer_loops = std::exchange(loops_, 0);
    HOTSET_ASSIGN(stmt.body, parse_body({end}));
    loops_ = outer_loops;
    return ok_status();
  }

  Status parse_call(Stmt& stmt) {
    stmt.kind = StmtKind::kCall;
    stmt.text = "caller";
    if (tokens_.is_operator("(")) HOTSET_RETURN_IF_ERROR(parse_parameters(stmt));
    HOTSET_ASSIGN(stmt.value, exprs_.parse());
    if (stmt.value->kind != ExprKind::kCall) return error(Code::kInvalidArgument, "line %d: 'call' takes a call", stmt.line);
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_RETURN_IF_ERROR(parse_macro_body(stmt, "endcall"));
    return expect_end("endcall");
  }

  Status parse_parameters(Stmt& stmt) {
    HOTSET_RETURN_IF_ERROR(tokens_.expect_operator("("));
    while (!tokens_.take_operator(")")) {
      if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a parameter's name");
      std::string name = tokens_.take().text;
      ExprPtr value;
      if (tokens_.take_operator("=")) {
        HOTSET_ASSIGN(value, exprs_.parse());
      }
      stmt.parameters.emplace_back(std::move(name), std::move(value));
      if (!tokens_.is_operator(")")) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(","));
    }
    return ok_status();
  }

  Status parse_filter_block(Stmt& stmt) {
    stmt.kind = StmtKind::kFilterBlock;
    HOTSET_ASSIGN(stmt.value, exprs_.parse_block_filters(true));
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_ASSIGN(stmt.body, parse_body({"endfilter"}));
    return expect_end("endfilter");
  }

  Status parse_with(Stmt& stmt) {
    stmt.kind = StmtKind::kWith;
    while (!tokens_.is(TokenKind::kBlockEnd)) {
      if (!tokens_.is(TokenKind::kName)) return tokens_.expected("a name");
      std::string name = tokens_.take().text;
      HOTSET_RETURN_IF_ERROR(tokens_.expect_operator("="));
      HOTSET_ASSIGN(ExprPtr value, exprs_.parse());
      stmt.parameters.emplace_back(std::move(name), std::move(value));
      if (!tokens_.is(TokenKind::kBlockEnd)) HOTSET_RETURN_IF_ERROR(tokens_.expect_operator(","));
    }
    HOTSET_RETURN_IF_ERROR(end_block());
    HOTSET_ASSIGN(stmt.body, parse_body({"endwith"}));
    return expect_end("endwith");
  }

  TokenStream tokens_;
  ExprParser exprs_;
  int depth_ = 0;
  int loops_ = 0;  // around the current statement, within its macro
};

}  // namespace

Result<Body> parse(std::string_view source) {
  HOTSET_ASSIGN(std::vector<Token> tokens, lex(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace hotset::jinja
