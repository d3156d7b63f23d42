#include "runtime/format/json_document.h"

#include <unordered_set>
#include <vector>

#include "platform/file.h"
#include "runtime/format/gguf_value.h"

namespace hotset {
namespace {

using Json = nlohmann::json;

// Watches a parser at work. What is nested too deep is not kept, so it costs no memory.
class Guard {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) names_.emplace_back();
    if (event == Json::parse_event_t::object_end && !names_.empty()) names_.pop_back();
    if (event == Json::parse_event_t::key && !names_.empty() && repeated_.empty()) note(parsed.get_ref<const std::string&>());
    too_deep_ = too_deep_ || depth > kMaxJsonDepth;
    return !too_deep_;
  }

  Status status() const {
    if (too_deep_) return error(Code::kCorrupt, "the JSON is nested more than %d deep", kMaxJsonDepth);
    return repeated_.empty() ? ok_status() : error(Code::kCorrupt, "the JSON names '%s' twice", repeated_.c_str());
  }

 private:
  void note(const std::string& name) {
    if (!names_.back().insert(name).second) repeated_ = name.empty() ? "(nothing)" : printable(name);
  }

  std::vector<std::unordered_set<std::string>> names_;  // of the objects around, outermost first
  std::string repeated_;
  bool too_deep_ = false;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  Guard guard;
  const auto watch = [&guard](int depth, Json::parse_event_t event, Json& parsed) { return guard(depth, event, parsed); };
  Json document = Json::parse(text.begin(), text.end(), watch, false);
  HOTSET_RETURN_IF_ERROR(guard.status());
  if (document.is_discarded()) return error(Code::kCorrupt, "this is not JSON");
  return document;
}

Result<Json> read_json_file(const std::string& path, uint64_t limit_bytes) {
  HOTSET_ASSIGN(const std::string text, read_whole_file(path, limit_bytes));
  auto document = parse_json(text);
  if (!document.ok()) return document.status().with_context("'" + path + "'");
  return document;
}

const Json* json_member(const Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace hotset
