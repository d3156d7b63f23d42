// The expression half of the evaluator.
#include "runtime/text/jinja_builtins.h"
#include "runtime/text/jinja_evaluator.h"

namespace hotset::jinja {

Status at_line(int line, const Status& status) {
  return status.ok() ? status : status.with_context("line " + std::to_string(line));
}

namespace {

// A built-in's result, its error placed.
template <class T>
Result<T> placed(int line, Result<T> result) {
  if (result.ok()) return result;
  return at_line(line, result.status());
}

Status unknown(const char* what, const Expr& expr) {
  return error(Code::kUnsupported, "line %d: %s '%.60s' is not supported", expr.line, what, expr.name.c_str());
}

}  // namespace

const Value* Evaluator::find(std::string_view name) const {
  for (size_t i = frames_.size(); i-- > 0;) {
    if (i != 0 && i < first_visible_) i = 0;
    for (const auto& [key, value] : frames_[i].names) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Evaluator::define(std::string_view name, Value value) {
  for (auto& [key, old] : frames_.back().names) {
    if (key != name) continue;
    old = value;
    return;
  }
  frames_.back().names.emplace_back(name, value);
}

Result<Value> Evaluator::eval(const Expr& expr) {
  HOTSET_RETURN_IF_ERROR(at_line(expr.line, runtime_.charge(1)));
  if (++depth_ > limits_.max_depth) {
    return error(Code::kInvalidArgument, "line %d: nested deeper than %d", expr.line, limits_.max_depth);
  }
  auto result = eval_inner(expr);
  --depth_;
  return result;
}

Result<Value> Evaluator::eval_inner(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kLiteral: return expr.literal;
    case ExprKind::kName: {
      if (expr.name == kBlockText) return block_text_;
      HOTSET_RETURN_IF_ERROR(at_line(expr.line, runtime_.charge(frames_[0].names.size() / 32)));
      const Value* value = find(expr.name);
      if (value != nullptr) return *value;
      return find_function(expr.name) != nullptr ? Value::function(expr.name) : Value::undefined(expr.name);
    }
    case ExprKind::kList:
    case ExprKind::kTuple: return eval_sequence(expr);
    case ExprKind::kDict: return eval_dict(expr);
    case ExprKind::kAttribute: {
      HOTSET_ASSIGN(const Value object, eval(*expr.children[0]));
      return placed(expr.line, attribute_of(runtime_, object, expr.name));
    }
    case ExprKind::kIndex: return eval_index(expr);
    case ExprKind::kSlice: return eval_slice(expr);
    case ExprKind::kCall: return eval_call(expr);
    case ExprKind::kFilter: return eval_filter(expr);
    case ExprKind::kTest: return eval_test(expr);
    case ExprKind::kNot: {
      HOTSET_ASSIGN(const Value operand, eval(*expr.children[0]));
      return Value::boolean(!operand.is_true());
    }
    case ExprKind::kNegate: {
      HOTSET_ASSIGN(const Value operand, eval(*expr.children[0]));
      if (operand.is(Kind::kReal)) return Value::real(-operand.as_real());
      return placed(expr.line, binary(runtime_, "-", Value::integer(0), operand));
    }
    case ExprKind::kBinary: return eval_binary(expr);
    case ExprKind::kCompare: return eval_compare(expr);
    case ExprKind::kAnd:
    case ExprKind::kOr: return eval_logic(expr);
    case ExprKind::kConditional: return eval_conditional(expr);
    case ExprKind::kUnpack: break;  // eval_arguments takes it apart
  }
  return Value();
}

Result<Value> Evaluator::eval_sequence(const Expr& expr) {
  List items;
  for (const ExprPtr& child : expr.children) {
    HOTSET_ASSIGN(const Value item, eval(*child));
    items.push_back(item);
  }
  return runtime_.arena.list(std::move(items), expr.kind == ExprKind::kTuple);
}

Result<Value> Evaluator::eval_dict(const Expr& expr) {
  Dict entries;
  for (size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    HOTSET_ASSIGN(const Value key, eval(*expr.children[i]));
    HOTSET_ASSIGN(const Value value, eval(*expr.children[i + 1]));
    if (!Dict::is_key(key)) {
      return error(Code::kUnsupported, "line %d: keys of type '%s' are not supported", expr.line, key.type_name());
    }
    HOTSET_RETURN_IF_ERROR(at_line(expr.line, runtime_.charge(entries.entries.size() / 32)));
    entries.set(key, value);
  }
  return runtime_.arena.dict(std::move(entries));
}

Result<Value> Evaluator::eval_index(const Expr& expr) {
  HOTSET_ASSIGN(const Value object, eval(*expr.children[0]));
  HOTSET_ASSIGN(const Value key, eval(*expr.children[1]));
  return placed(expr.line, item_of(runtime_, object, key));
}

Result<Value> Evaluator::eval_slice(const Expr& expr) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    if (expr.children[i] == nullptr) continue;
    HOTSET_ASSIGN(parts[i], eval(*expr.children[i]));
  }
  return placed(expr.line, slice_of(runtime_, parts[0], parts[1], parts[2], parts[3]));
}

Result<Arguments> Evaluator::eval_arguments(const Expr& expr) {
  Arguments arguments;
  for (size_t i = 1; i < expr.children.size(); ++i) {
    const Expr& child = *expr.children[i];
    HOTSET_ASSIGN(const Value value, eval(child.kind == ExprKind::kUnpack ? *child.children[0] : child));
    if (child.kind == ExprKind::kUnpack) HOTSET_RETURN_IF_ERROR(at_line(expr.line, unpack(child.name, value, arguments)));
    else arguments.positional.push_back(value);
  }
  for (const auto& [name, child] : expr.named) {
    HOTSET_ASSIGN(const Value value, eval(*child));
    arguments.named.emplace_back(name, value);
  }
  return arguments;
}

// The arguments of `*value` or `**value`.
Status Evaluator::unpack(std::string_view stars, const Value& value, Arguments& arguments) {
  if (stars == "*") {
    HOTSET_ASSIGN(const List* items, items_of(runtime_, value));
    HOTSET_RETURN_IF_ERROR(runtime_.charge(items->size()));
    arguments.positional.insert(arguments.positional.end(), items->begin(), items->end());
    return ok_status();
  }
  if (!value.is(Kind::kDict)) return error(Code::kInvalidArgument, "only a mapping can follow **, not '%s'", value.type_name());
  HOTSET_RETURN_IF_ERROR(runtime_.charge(value.as_dict().entries.size()));
  for (const auto& [key, item] : value.as_dict().entries) {
    if (!key.is(Kind::kString)) return error(Code::kInvalidArgument, "arguments have names, not a '%s'", key.type_name());
    arguments.named.emplace_back(key.as_text(), item);
  }
  return ok_status();
}

Result<Value> Evaluator::eval_call(const Expr& expr) {
  const Expr& callee = *expr.children[0];
  if (callee.kind == ExprKind::kAttribute) return eval_method(expr, callee);
  HOTSET_ASSIGN(const Value target, eval(callee));
  HOTSET_ASSIGN(const Arguments arguments, eval_arguments(expr));
  if (target.is(Kind::kUndefined)) return unknown("function", callee);
  return placed(expr.line, call(target, arguments));
}

Result<Value> Evaluator::call(const Value& target, const Arguments& arguments) {
  switch (target.kind()) {
    case Kind::kMacro: return call_macro(target.as_macro(), arguments, nullptr);
    case Kind::kCaller: return call_caller(target.as_caller(), arguments);
    case Kind::kLoop: return call_loop(target.as_loop(), arguments);
    case Kind::kFunction: return find_function(target.as_text())(runtime_, Value(), arguments);
    default: return error(Code::kInvalidArgument, "'%s' object is not callable", target.type_name());
  }
}

Result<Value> Evaluator::eval_method(const Expr& expr, const Expr& callee) {
  HOTSET_ASSIGN(const Value subject, eval(*callee.children[0]));
  HOTSET_ASSIGN(const Arguments arguments, eval_arguments(expr));
  const Builtin method = find_method(subject, callee.name);
  if (method != nullptr) return placed(expr.line, method(runtime_, subject, arguments));
  HOTSET_ASSIGN(const Value target, placed(expr.line, attribute_of(runtime_, subject, callee.name)));
  if (target.is_callable()) return placed(expr.line, call(target, arguments));
  return error(Code::kInvalidArgument, "line %d: '%s object' has no attribute '%.60s'",
               expr.line, subject.type_name(), callee.name.c_str());
}

Result<Value> Evaluator::eval_filter(const Expr& expr) {
  const Builtin filter = find_filter(expr.name);
  if (filter == nullptr) return unknown("filter", expr);
  HOTSET_ASSIGN(const Value subject, eval(*expr.children[0]));
  HOTSET_ASSIGN(const Arguments arguments, eval_arguments(expr));
  return placed(expr.line, filter(runtime_, subject, arguments));
}

Result<Value> Evaluator::eval_test(const Expr& expr) {
  const Test test = find_test(expr.name);
  if (test == nullptr) return unknown("test", expr);
  HOTSET_ASSIGN(const Value subject, eval(*expr.children[0]));
  HOTSET_ASSIGN(const Arguments arguments, eval_arguments(expr));
  HOTSET_ASSIGN(const bool passes, placed(expr.line, test(runtime_, subject, arguments)));
  return Value::boolean(passes);
}

Result<Value> Evaluator::eval_binary(const Expr& expr) {
  HOTSET_ASSIGN(const Value left, eval(*expr.children[0]));
  HOTSET_ASSIGN(const Value right, eval(*expr.children[1]));
  return placed(expr.line, binary(runtime_, expr.name, left, right));
}

Result<bool> Evaluator::compare(std::string_view op, const Value& a, const Value& b) {
  if (op == "==" || op == "!=") {
    HOTSET_ASSIGN(const bool same, runtime_.equal(a, b));
    return same == (op == "==");
  }
  if (op == "in" || op == "not in") {
    HOTSET_ASSIGN(const bool found, contains(runtime_, b, a));
    return found == (op == "in");
  }
  if (op == "<") return runtime_.less(a, b);
  if (op == ">") return runtime_.less(b, a);
  HOTSET_ASSIGN(const bool otherwise, op == "<=" ? runtime_.less(b, a) : runtime_.less(a, b));
  return !otherwise;
}

Result<Value> Evaluator::eval_compare(const Expr& expr) {
  HOTSET_ASSIGN(Value left, eval(*expr.children[0]));
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    HOTSET_ASSIGN(const Value right, eval(*expr.children[i + 1]));
    HOTSET_ASSIGN(const bool holds, placed(expr.line, compare(expr.operators[i], left, right)));
    if (!holds) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

Result<Value> Evaluator::eval_logic(const Expr& expr) {
  HOTSET_ASSIGN(const Value left, eval(*expr.children[0]));
  if (left.is_true() == (expr.kind == ExprKind::kOr)) return left;
  return eval(*expr.children[1]);
}

Result<Value> Evaluator::eval_conditional(const Expr& expr) {
  HOTSET_ASSIGN(const Value condition, eval(*expr.children[0]));
  if (condition.is_true()) return eval(*expr.children[1]);
  if (expr.children[2] == nullptr) return Value::undefined("inline if without else");
  return eval(*expr.children[2]);
}

}  // namespace hotset::jinja
