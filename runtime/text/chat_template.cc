#include "runtime/text/chat_template.h"

#include "platform/local_time.h"
#include "runtime/text/jinja_parser.h"
#include "runtime/text/json_values.h"

namespace hotset {

namespace {

// The longest published templates have about 30 000 bytes.
constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

}  // namespace

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::parse(std::string_view source, std::string bos_text,
                                                         std::string eos_text) {
  if (source.size() > kMaxTemplateBytes) {
    return error(Code::kUnsupported, "chat template: %zu bytes are too many", source.size());
  }
  auto body = jinja::parse(source);
  if (!body.ok()) return body.status().with_context("chat template");
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(body).value(), std::move(bos_text), std::move(eos_text)));
}

Result<std::string> ChatTemplate::render(std::span<const ChatTurn> turns, bool add_generation_prompt) const {
  jinja::ValueArena arena;
  jinja::List messages;
  for (const ChatTurn& turn : turns) {
    jinja::Dict message;
    message.set("role", jinja::Value::text(turn.role));
    message.set("content", jinja::Value::text(turn.content));
    messages.push_back(arena.dict(std::move(message)));
  }
  const jinja::Variables variables = {
      {"messages", arena.list(std::move(messages))},
      {"add_generation_prompt", jinja::Value::boolean(add_generation_prompt)},
  };
  return render(variables, arena, local_time_now());
}

Result<std::string> ChatTemplate::render_json(std::string_view messages, std::string_view tools, std::string_view variables) const {
  jinja::ValueArena arena;
  HOTSET_ASSIGN(const jinja::Value turns, json_value(messages, "the messages", arena));
  if (!turns.is(jinja::Kind::kList)) return error(Code::kInvalidArgument, "the messages are no JSON array");
  HOTSET_ASSIGN(const jinja::Value more, json_value(variables.empty() ? "{}" : variables, "the variables", arena));
  if (!more.is(jinja::Kind::kDict)) return error(Code::kInvalidArgument, "the variables are no JSON object");
  jinja::Variables all;
  for (const auto& [name, value] : more.as_dict().entries) all.emplace_back(name.as_text(), value);
  if (more.as_dict().find("add_generation_prompt") == nullptr) all.emplace_back("add_generation_prompt", jinja::Value::boolean(true));
  if (!tools.empty()) {
    HOTSET_ASSIGN(const jinja::Value offered, json_value(tools, "the tools", arena));
    if (!offered.is(jinja::Kind::kList)) return error(Code::kInvalidArgument, "the tools are no JSON array");
    all.emplace_back("tools", offered);
  }
  all.emplace_back("messages", turns);
  return render(all, arena, local_time_now());
}

Result<std::string> ChatTemplate::render(const jinja::Variables& variables, jinja::ValueArena& arena,
                                         const std::tm& now) const {
  jinja::Variables all = variables;
  all.emplace_back("bos_token", jinja::Value::text(bos_text_));
  all.emplace_back("eos_token", jinja::Value::text(eos_text_));
  auto text = jinja::render(body_, all, arena, now);
  if (!text.ok()) return text.status().with_context("chat template");
  return text;
}

}  // namespace hotset
