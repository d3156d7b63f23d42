// Tests ("x is defined") of chat templates (jinja.palletsprojects.com/en/stable/templates/#builtin-tests).
#include "runtime/text/jinja_builtins.h"

namespace hotset::jinja {

namespace {

template <Kind kKind>
Result<bool> is_kind(Runtime&, const Value& v, const Arguments&) { return v.is(kKind); }

Result<bool> is_defined(Runtime&, const Value& v, const Arguments&) { return !v.is(Kind::kUndefined); }
Result<bool> is_number(Runtime&, const Value& v, const Arguments&) { return v.is_number(); }
Result<bool> is_sequence(Runtime&, const Value& v, const Arguments&) {
  return v.is(Kind::kString) || v.is(Kind::kList) || v.is(Kind::kDict);
}
Result<bool> is_iterable(Runtime& r, const Value& v, const Arguments& a) {
  if (v.is(Kind::kUndefined)) return true;
  return is_sequence(r, v, a);
}
Result<bool> is_callable(Runtime&, const Value& v, const Arguments&) { return v.is_callable(); }
Result<bool> is_true(Runtime&, const Value& v, const Arguments&) { return v.is(Kind::kBoolean) && v.as_boolean(); }
Result<bool> is_false(Runtime&, const Value& v, const Arguments&) { return v.is(Kind::kBoolean) && !v.as_boolean(); }

Result<bool> has_remainder(const Value& v, const Value& divisor, int64_t remainder) {
  if (!v.is(Kind::kInteger) || !divisor.is(Kind::kInteger) || divisor.as_integer() == 0) {
    return error(Code::kInvalidArgument, "this test takes whole numbers, and no division by zero");
  }
  if (divisor.as_integer() == -1) return remainder == 0;
  return std::abs(v.as_integer() % divisor.as_integer()) == remainder;
}

Result<bool> is_even(Runtime&, const Value& v, const Arguments&) { return has_remainder(v, Value::integer(2), 0); }
Result<bool> is_odd(Runtime&, const Value& v, const Arguments&) { return has_remainder(v, Value::integer(2), 1); }

Result<Value> other(const Arguments& arguments) {
  if (arguments.positional.empty()) return error(Code::kInvalidArgument, "this test takes a value to compare with");
  return arguments.positional[0];
}

Result<bool> is_divisible_by(Runtime&, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value divisor, other(a));
  return has_remainder(v, divisor, 0);
}
Result<bool> is_equal(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value to, other(a));
  return r.equal(v, to);
}
Result<bool> is_unequal(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value to, other(a));
  HOTSET_ASSIGN(const bool same, r.equal(v, to));
  return !same;
}
Result<bool> is_less(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value than, other(a));
  return r.less(v, than);
}
Result<bool> is_greater(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value than, other(a));
  return r.less(than, v);
}
Result<bool> is_same(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value as, other(a));
  if (v.kind() != as.kind()) return false;
  return r.equal(v, as);
}
Result<bool> is_in(Runtime& r, const Value& v, const Arguments& a) {
  HOTSET_ASSIGN(const Value within, other(a));
  return contains(r, within, v);
}

// Python's islower() and isupper() on ASCII: at least one letter, none of the other case.
Result<bool> is_lower(Runtime&, const Value& v, const Arguments&) {
  return v.is(Kind::kString) && upper_case(v.as_text()) != v.as_text() && lower_case(v.as_text()) == v.as_text();
}
Result<bool> is_upper(Runtime&, const Value& v, const Arguments&) {
  return v.is(Kind::kString) && lower_case(v.as_text()) != v.as_text() && upper_case(v.as_text()) == v.as_text();
}

struct NamedTest {
  std::string_view name;
  Test function;
};

constexpr NamedTest kTests[] = {
    {"defined", is_defined}, {"undefined", is_kind<Kind::kUndefined>}, {"none", is_kind<Kind::kNone>},
    {"string", is_kind<Kind::kString>}, {"boolean", is_kind<Kind::kBoolean>}, {"integer", is_kind<Kind::kInteger>},
    {"float", is_kind<Kind::kReal>}, {"mapping", is_kind<Kind::kDict>}, {"number", is_number},
    {"sequence", is_sequence}, {"iterable", is_iterable}, {"callable", is_callable}, {"true", is_true},
    {"false", is_false}, {"even", is_even}, {"odd", is_odd}, {"divisibleby", is_divisible_by}, {"equalto", is_equal},
    {"eq", is_equal}, {"ne", is_unequal}, {"lt", is_less}, {"gt", is_greater}, {"sameas", is_same}, {"in", is_in},
    {"lower", is_lower}, {"upper", is_upper}, {"==", is_equal}, {"!=", is_unequal}, {"<", is_less}, {">", is_greater},
    {"lessthan", is_less}, {"greaterthan", is_greater},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const NamedTest& test : kTests) {
    if (test.name == name) return test.function;
  }
  return nullptr;
}

}  // namespace hotset::jinja
