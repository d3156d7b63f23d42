// The statement half of the evaluator.
#include <algorithm>

#include "runtime/text/jinja_builtins.h"
#include "runtime/text/jinja_evaluator.h"

namespace hotset::jinja {

using Flow = Evaluator::Flow;

Result<std::string> render(const Body& body, const Variables& variables, ValueArena& arena, const std::tm& now,
                           const Limits& limits) {
  Evaluator evaluator(variables, arena, now, limits);
  HOTSET_RETURN_IF_ERROR(evaluator.run(body).status());
  return evaluator.take_output();
}

Result<Flow> Evaluator::run(const Body& body) {
  for (const Stmt& stmt : body) {
    HOTSET_RETURN_IF_ERROR(at_line(stmt.line, runtime_.charge(1)));
    if (++depth_ > limits_.max_depth) {
      return error(Code::kInvalidArgument, "line %d: nested deeper than %d", stmt.line, limits_.max_depth);
    }
    HOTSET_ASSIGN(const Flow flow, run_one(stmt));
    --depth_;
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Flow> Evaluator::run_one(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kText: HOTSET_RETURN_IF_ERROR(at_line(stmt.line, append(stmt.text))); break;
    case StmtKind::kOutput: {
      HOTSET_ASSIGN(const Value value, eval(*stmt.value));
      HOTSET_RETURN_IF_ERROR(write(value, stmt.line));
      break;
    }
    case StmtKind::kIf: return run_if(stmt);
    case StmtKind::kFor: return run_for(stmt);
    case StmtKind::kWith: return run_with(stmt);
    case StmtKind::kSet:
    case StmtKind::kSetBlock: HOTSET_RETURN_IF_ERROR(run_set(stmt)); break;
    case StmtKind::kMacro: define(stmt.text, Value::macro(&stmt)); break;
    case StmtKind::kCall: HOTSET_RETURN_IF_ERROR(run_call(stmt)); break;
    case StmtKind::kFilterBlock: HOTSET_RETURN_IF_ERROR(run_filter_block(stmt)); break;
    case StmtKind::kBreak: return Flow::kBreak;
    case StmtKind::kContinue: return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<Flow> Evaluator::run_if(const Stmt& stmt) {
  for (const Branch& branch : stmt.branches) {
    if (branch.condition != nullptr) {
      HOTSET_ASSIGN(const Value condition, eval(*branch.condition));
      if (!condition.is_true()) continue;
    }
    return run(branch.body);
  }
  return Flow::kNext;
}

// The items to walk: those that pass the loop's own condition.
Result<const List*> Evaluator::loop_items(const Stmt& stmt, const Value& iterable) {
  const Result<const List*> found = items_of(runtime_, iterable);
  if (!found.ok()) return at_line(stmt.line, found.status());
  const List* items = *found;
  if (stmt.condition == nullptr) return items;
  List kept;
  for (const Value& item : *items) {
    frames_.emplace_back();
    HOTSET_RETURN_IF_ERROR(assign(stmt.target, item, stmt.line));
    HOTSET_ASSIGN(const Value condition, eval(*stmt.condition));
    if (condition.is_true()) kept.push_back(item);
    frames_.pop_back();
  }
  return &runtime_.arena.list(std::move(kept)).as_list();
}

Result<Flow> Evaluator::run_for(const Stmt& stmt) {
  HOTSET_ASSIGN(const Value iterable, eval(*stmt.value));
  HOTSET_ASSIGN(const List* items, loop_items(stmt, iterable));
  return walk(stmt, items, 1);
}

Result<Flow> Evaluator::walk(const Stmt& stmt, const List* items, int depth) {
  if (items->empty()) return run(stmt.other);
  Loop& loop = runtime_.arena.loop(items);
  loop.depth = depth;
  loop.stmt = stmt.text.empty() ? nullptr : &stmt;
  for (; loop.index < items->size(); ++loop.index) {
    frames_.emplace_back();  // what a turn sets is gone with it
    define("loop", Value::loop(&loop));
    HOTSET_RETURN_IF_ERROR(assign(stmt.target, (*items)[loop.index], stmt.line));
    HOTSET_ASSIGN(const Flow flow, run(stmt.body));
    frames_.pop_back();
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Result<Flow> Evaluator::run_with(const Stmt& stmt) {
  std::vector<Value> values;
  for (const auto& [name, expr] : stmt.parameters) {
    HOTSET_ASSIGN(const Value value, eval(*expr));
    values.push_back(value);
  }
  frames_.emplace_back();
  for (size_t i = 0; i < values.size(); ++i) define(stmt.parameters[i].first, values[i]);
  auto flow = run(stmt.body);
  frames_.pop_back();
  return flow;
}

Status Evaluator::run_set(const Stmt& stmt) {
  if (stmt.kind == StmtKind::kSet) {
    HOTSET_ASSIGN(const Value value, eval(*stmt.value));
    return assign(stmt.target, value, stmt.line);
  }
  HOTSET_ASSIGN(std::string text, capture(stmt.body));
  HOTSET_ASSIGN(const Value value, filtered(stmt, std::move(text)));
  return assign(stmt.target, value, stmt.line);
}

Status Evaluator::run_filter_block(const Stmt& stmt) {
  HOTSET_ASSIGN(std::string text, capture(stmt.body));
  HOTSET_ASSIGN(const Value value, filtered(stmt, std::move(text)));
  return write(value, stmt.line);
}

// What `body` would have written.
Result<std::string> Evaluator::capture(const Body& body) {
  std::string outer = std::exchange(output_, std::string());
  HOTSET_RETURN_IF_ERROR(run(body).status());
  return std::exchange(output_, std::move(outer));
}

// A block's text through its filters.
Result<Value> Evaluator::filtered(const Stmt& stmt, std::string text) {
  const Result<Value> value = runtime_.text(std::move(text));
  if (!value.ok()) return at_line(stmt.line, value.status());
  if (stmt.value == nullptr) return value;
  const Value outer = std::exchange(block_text_, *value);
  auto result = eval(*stmt.value);
  block_text_ = outer;
  return result;
}

// A loop that calls itself: what its body writes for other items.
Result<Value> Evaluator::call_loop(const Loop& loop, const Arguments& arguments) {
  if (loop.stmt == nullptr) return error(Code::kInvalidArgument, "only a recursive loop can be called");
  if (arguments.positional.size() != 1) return error(Code::kInvalidArgument, "a recursive loop takes what to walk");
  HOTSET_ASSIGN(const List* items, loop_items(*loop.stmt, arguments.positional[0]));
  std::string outer = std::exchange(output_, std::string());
  if (++depth_ > limits_.max_depth) return error(Code::kInvalidArgument, "nested deeper than %d", limits_.max_depth);
  HOTSET_RETURN_IF_ERROR(walk(*loop.stmt, items, loop.depth + 1).status());
  --depth_;
  return runtime_.text(std::exchange(output_, std::move(outer)));
}

Status Evaluator::run_call(const Stmt& stmt) {
  const Expr& expr = *stmt.value;
  HOTSET_ASSIGN(const Value target, eval(*expr.children[0]));
  HOTSET_ASSIGN(const Arguments arguments, eval_arguments(expr));
  if (!target.is(Kind::kMacro)) {
    return error(Code::kInvalidArgument, "line %d: 'call' takes a macro, not '%s'", stmt.line, target.type_name());
  }
  CallerMacro& caller = callers_.emplace_back();
  caller.stmt = &stmt;
  caller.frames.assign(frames_.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(first_visible_, 1)), frames_.end());
  for (const Frame& frame : caller.frames) HOTSET_RETURN_IF_ERROR(at_line(stmt.line, runtime_.charge(1 + frame.names.size())));
  const auto text = call_macro(target.as_macro(), arguments, &caller);
  callers_.pop_back();
  if (!text.ok()) return at_line(stmt.line, text.status());
  return write(*text, stmt.line);
}

// The body of a {% call %} runs among the names of the place where it stands.
Result<Value> Evaluator::call_caller(const CallerMacro& caller, const Arguments& arguments) {
  const size_t outer = std::exchange(first_visible_, frames_.size());
  frames_.insert(frames_.end(), caller.frames.begin(), caller.frames.end());
  frames_.emplace_back();
  HOTSET_RETURN_IF_ERROR(bind_parameters(*caller.stmt, arguments));
  HOTSET_ASSIGN(std::string text, capture(caller.stmt->body));
  frames_.resize(first_visible_);
  first_visible_ = outer;
  return runtime_.text(std::move(text));
}

Result<Value> Evaluator::call_macro(const Stmt& macro, const Arguments& arguments, const CallerMacro* caller) {
  const size_t outer = std::exchange(first_visible_, frames_.size());
  frames_.emplace_back();
  HOTSET_RETURN_IF_ERROR(bind_parameters(macro, arguments));
  if (caller != nullptr) define("caller", Value::caller(caller));
  HOTSET_ASSIGN(std::string text, capture(macro.body));
  frames_.pop_back();
  first_visible_ = outer;
  return runtime_.text(std::move(text));
}

Status Evaluator::bind_parameters(const Stmt& macro, const Arguments& arguments) {
  if (arguments.positional.size() > macro.parameters.size()) {
    return error(Code::kInvalidArgument, "macro '%s' takes at most %zu arguments",
                 macro.text.c_str(), macro.parameters.size());
  }
  HOTSET_RETURN_IF_ERROR(runtime_.charge(macro.parameters.size() * (arguments.named.size() + macro.parameters.size()) / 16));
  for (const auto& [name, value] : arguments.named) {
    bool known = false;
    for (const auto& [parameter, fallback] : macro.parameters) known |= parameter == name;
    if (!known) {
      return error(Code::kInvalidArgument, "macro '%s' has no parameter '%s'",
                   macro.text.c_str(), std::string(name).c_str());
    }
  }
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& [name, fallback] = macro.parameters[i];
    const Value* given = arguments.find(i, name);
    Value value = given != nullptr ? *given : Value::undefined(name);
    if (given == nullptr && fallback != nullptr) {
      HOTSET_ASSIGN(value, eval(*fallback));
    }
    define(name, value);
  }
  return ok_status();
}

Status Evaluator::assign(const Target& target, const Value& value, int line) {
  if (!target.attribute.empty()) {
    const Value* space = find(target.names[0]);
    if (space == nullptr || !space->is(Kind::kNamespace)) {
      return error(Code::kInvalidArgument, "line %d: cannot set an attribute of '%s': it is no namespace",
                   line, target.names[0].c_str());
    }
    HOTSET_RETURN_IF_ERROR(at_line(line, runtime_.charge(space->as_dict().entries.size())));
    space->as_dict().set(target.attribute, value);
    return ok_status();
  }
  HOTSET_RETURN_IF_ERROR(at_line(line, runtime_.charge(target.names.size() * (frames_.back().names.size() / 32 + 1))));
  if (target.names.size() == 1) {
    define(target.names[0], value);
    return ok_status();
  }
  const Result<const List*> items = items_of(runtime_, value);
  if (!items.ok()) return at_line(line, items.status());
  if ((*items)->size() != target.names.size()) {
    return error(Code::kInvalidArgument, "line %d: %zu values for %zu names", line, (*items)->size(), target.names.size());
  }
  for (size_t i = 0; i < target.names.size(); ++i) define(target.names[i], (**items)[i]);
  return ok_status();
}

Status Evaluator::write(const Value& value, int line) {
  if (value.is(Kind::kString)) return at_line(line, append(value.as_text()));
  const auto text = to_text(value, limits_.max_output_bytes);
  if (!text.ok()) return at_line(line, text.status());
  return at_line(line, append(*text));
}

Status Evaluator::append(std::string_view text) {
  if (output_.size() + text.size() > limits_.max_output_bytes) {
    return error(Code::kInvalidArgument, "the template writes more than %zu bytes", limits_.max_output_bytes);
  }
  output_.append(text);
  return ok_status();
}

}  // namespace hotset::jinja
