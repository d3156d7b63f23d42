// Evaluator: the state of one rendering. Private to the two sources of the Jinja evaluator.
#pragma once

#include <deque>

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_eval.h"
#include "runtime/text/jinja_runtime.h"

namespace hotset::jinja {

struct Frame {
  Variables names;
};

// The body of a {% call %} with the names that it sees.
struct CallerMacro {
  const Stmt* stmt = nullptr;
  std::vector<Frame> frames;
};

class Evaluator {
 public:
  Evaluator(const Variables& variables, ValueArena& arena, const std::tm& now, const Limits& limits)
      : runtime_{arena, limits, now}, limits_(limits), frames_{{variables}} {}

  // What a statement does to the loop around it.
  enum class Flow { kNext, kBreak, kContinue };

  Result<Flow> run(const Body& body);
  std::string take_output() { return std::move(output_); }

 private:
  // Statements (jinja_statements.cc).
  Result<Flow> run_one(const Stmt& stmt);
  Result<Flow> run_if(const Stmt& stmt);
  Result<Flow> run_for(const Stmt& stmt);
  Result<const List*> loop_items(const Stmt& stmt, const Value& iterable);
  Result<Flow> walk(const Stmt& stmt, const List* items, int depth);
  Status run_call(const Stmt& stmt);
  Status run_set(const Stmt& stmt);
  Status run_filter_block(const Stmt& stmt);
  Result<Flow> run_with(const Stmt& stmt);
  Result<std::string> capture(const Body& body);
  Result<Value> filtered(const Stmt& stmt, std::string text);
  Result<Value> call_macro(const Stmt& macro, const Arguments& arguments, const CallerMacro* caller);
  Result<Value> call_caller(const CallerMacro& caller, const Arguments& arguments);
  Result<Value> call_loop(const Loop& loop, const Arguments& arguments);
  Status bind_parameters(const Stmt& macro, const Arguments& arguments);
  Status assign(const Target& target, const Value& value, int line);
  Status write(const Value& value, int line);
  Status append(std::string_view text);

  // Expressions (jinja_expressions.cc).
  Result<Value> eval(const Expr& expr);
  Result<Value> eval_inner(const Expr& expr);
  Result<Value> eval_sequence(const Expr& expr);
  Result<Value> eval_dict(const Expr& expr);
  Result<Value> eval_index(const Expr& expr);
  Result<Value> eval_slice(const Expr& expr);
  Result<Value> eval_call(const Expr& expr);
  Result<Value> call(const Value& target, const Arguments& arguments);
  Result<Value> eval_method(const Expr& expr, const Expr& callee);
  Result<Value> eval_filter(const Expr& expr);
  Result<Value> eval_test(const Expr& expr);
  Result<Value> eval_binary(const Expr& expr);
  Result<Value> eval_compare(const Expr& expr);
  Result<Value> eval_logic(const Expr& expr);
  Result<Value> eval_conditional(const Expr& expr);
  Result<bool> compare(std::string_view op, const Value& a, const Value& b);
  Result<Arguments> eval_arguments(const Expr& expr);
  Status unpack(std::string_view stars, const Value& value, Arguments& arguments);

  // Names.
  const Value* find(std::string_view name) const;
  void define(std::string_view name, Value value);

  Runtime runtime_;
  const Limits& limits_;
  std::string output_;
  std::vector<Frame> frames_;    // [0] is the template's own; innermost last
  size_t first_visible_ = 0;     // a macro sees its own frames from here on, and frame 0
  int depth_ = 0;
  std::deque<CallerMacro> callers_;
  Value block_text_;             // operand of a filter block's filters
};

// The error with "line N: " before it.
Status at_line(int line, const Status& status);

}  // namespace hotset::jinja
