// Tests ("x is defined") of chat templates (jinja.palletsprojects.com/en/stable/templates/#builtin-tests).
#include "runtime/text/jinja_builtins.h"

namespace hotset::jinja {

namespace {

template <Kind kKind>
Result<bool> is_kind(const Value& v, const Arguments&) { return v.is(kKind); }

Result<bool> is_defined(const Value& v, const Arguments&) { return !v.is(Kind::kUndefined); }
Result<bool> is_number(const Value& v, const Arguments&) { return v.is_number(); }
Result<bool> is_sequence(const Value& v, const Arguments&) { return v.is(Kind::kString) || v.is(Kind::kList) || v.is(Kind::kDict); }
Result<bool> is_iterable(const Value& v, const Arguments& a) {
  if (v.is(Kind::kUndefined)) return true;
  return is_sequence(v, a);
}
Result<bool> is_callable(const Value& v, const Arguments&) { return v.is(Kind::kMacro); }
Result<bool> is_true(const Value& v, const Arguments&) { return v.is(Kind::kBoolean) && v.as_boolean(); }
Result<bool> is_false(const Value& v, const Arguments&) { return v.is(Kind::kBoolean) && !v.as_boolean(); }

Result<bool> has_remainder(const Value& v, const Value& divisor, int64_t remainder) {
  if (!v.is(Kind::kInteger) || !divisor.is(Kind::kInteger) || divisor.as_integer() == 0) {
    return error(Code::kInvalidArgument, "this test takes whole numbers, and no division by zero");
  }
  if (divisor.as_integer() == -1) return remainder == 0;
  return std::abs(v.as_integer() % divisor.as_integer()) == remainder;
}

Result<bool> is_even(const Value& v, const Arguments&) { return has_remainder(v, Value::integer(2), 0); }
Result<bool> is_odd(const Value& v, const Arguments&) { return has_remainder(v, Value::integer(2), 1); }

Result<Value> other(const Arguments& arguments) {
  if (arguments.positional.empty()) return error(Code::kInvalidArgument, "this test takes a value to compare with");
  return arguments.positional[0];
}

Result<bool> is_divisible_by(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value divisor, other(a));
  return has_remainder(v, divisor, 0);
}
Result<bool> is_equal(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value to, other(a));
  return equal(v, to);
}
Result<bool> is_unequal(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value to, other(a));
  return !equal(v, to);
}
Result<bool> is_less(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value than, other(a));
  return less(v, than);
}
Result<bool> is_greater(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value than, other(a));
  return less(than, v);
}
Result<bool> is_same(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value as, other(a));
  return v.kind() == as.kind() && equal(v, as);
}
Result<bool> is_in(const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value within, other(a));
  if (within.is(Kind::kString) && v.is(Kind::kString)) return within.as_text().find(v.as_text()) != std::string_view::npos;
  if (within.is(Kind::kDict)) return v.is(Kind::kString) && within.as_dict().find(v.as_text()) != nullptr;
  if (!within.is(Kind::kList)) return error(Code::kInvalidArgument, "'%s' object is not iterable", within.type_name());
  for (const Value& item : within.as_list()) {
    if (equal(item, v)) return true;
  }
  return false;
}
Result<bool> is_lower(const Value& v, const Arguments&) { return v.is(Kind::kString) && upper_case(v.as_text()) != v.as_text() && lower_case(v.as_text()) == v.as_text(); }
Result<bool> is_upper(const Value& v, const Arguments&) { return v.is(Kind::kString) && lower_case(v.as_text()) != v.as_text() && upper_case(v.as_text()) == v.as_text(); }

struct NamedTest {
  std::string_view name;
  Test function;
};

constexpr NamedTest kTests[] = {
    {"defined", is_defined},     {"undefined", is_kind<Kind::kUndefined>}, {"none", is_kind<Kind::kNone>}, {"string", is_kind<Kind::kString>},
    {"boolean", is_kind<Kind::kBoolean>}, {"integer", is_kind<Kind::kInteger>}, {"float", is_kind<Kind::kReal>}, {"mapping", is_kind<Kind::kDict>},
    {"number", is_number},       {"sequence", is_sequence}, {"iterable", is_iterable}, {"callable", is_callable}, {"true", is_true},
    {"false", is_false},         {"even", is_even},         {"odd", is_odd},           {"divisibleby", is_divisible_by},
    {"equalto", is_equal},       {"eq", is_equal},          {"ne", is_unequal},        {"lt", is_less},
    {"gt", is_greater},          {"sameas", is_same},       {"in", is_in},             {"lower", is_lower},
    {"upper", is_upper},         {"==", is_equal},          {"!=", is_unequal},        {"<", is_less},
    {">", is_greater},           {"lessthan", is_less},     {"greaterthan", is_greater},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const NamedTest& test : kTests) {
    if (test.name == name) return test.function;
  }
  return nullptr;
}

}  // namespace hotset::jinja
