// The parsed form of a chat template: statements and expressions as plain trees.
//
// Built by the parser, immutable afterwards. `line` is where a node begins in the source.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.h"

namespace hotset::jinja {

enum class ExprKind {
  kLiteral,      // literal (its text is `name`)
  kName,         // name
  kList,         // children
  kTuple,        // children
  kDict,         // children: key, value, key, value
  kAttribute,    // children[0] . name
  kIndex,        // children[0] [ children[1] ]
  kSlice,        // children[0] [ children[1] : children[2] : children[3] ], absent ones null
  kCall,         // children[0] ( children[1..], named )
  kFilter,       // children[0] | name ( children[1..], named )
  kTest,         // children[0] is name ( children[1..], named )
  kNot,          // not children[0]
  kNegate,       // - children[0]
  kBinary,       // children[0] name children[1]; name is + - * / // % ** ~
  kCompare,      // children[0] operators[0] children[1] operators[1] ...
  kAnd,          // children[0] and children[1]
  kOr,           // children[0] or children[1]
  kConditional,  // children[1] if children[0] else children[2]; the last may be null
  kUnpack,       // name (* or **) children[0], among a call's arguments
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  int line = 0;
  int depth = 1;  // of the tree below, this node included
  std::string name;
  Value literal;
  std::vector<ExprPtr> children;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> operators;
};

enum class StmtKind {
  kText,         // text
  kOutput,       // {{ value }}
  kIf,           // branches
  kFor,          // for target in value if condition: body, else other; text is "recursive" where the body may call it
  kSet,          // set target = value
  kSetBlock,     // set target: body; value, when present, filters it
  kMacro,        // macro text(parameters): body
  kCall,         // call value, a call of a macro, in which caller(parameters) is the body
  kFilterBlock,  // filter value: body
  kWith,         // with assignments: body
  kBreak,
  kContinue,
};

struct Stmt;
using Body = std::vector<Stmt>;

// What a value is given to: names (several unpack a tuple), or an attribute of a namespace.
struct Target {
  std::vector<std::string> names;
  std::string attribute;  // of names[0]; empty: none
};

struct Branch {
  ExprPtr condition;  // null: else
  Body body;
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  int line = 0;
  std::string text;
  Target target;
  ExprPtr value;
  ExprPtr condition;
  std::vector<Branch> branches;
  Body body;
  Body other;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // a macro's, with defaults; a with block's assignments
};

// The operand of a filter that stands before its text is known ({% set x | upper %}): an Expr of kind kName with this name.
inline constexpr const char* kBlockText = "{body}";

}  // namespace hotset::jinja
