// ChatTemplate: a model's own template, which turns messages into its prompt.
//
// The template is a Jinja program that comes with the model file, so it is run as foreign code: it sees only its input,
// and its steps, memory, output and nesting are bounded. Immutable after parse(); any thread may render.
#pragma once

#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "platform/status.h"
#include "runtime/text/jinja_eval.h"

namespace hotset {

struct ChatTurn {
  std::string_view role;  // "system", "user", "assistant"
  std::string_view content;
};

class ChatTemplate {
 public:
  // `bos_text` and `eos_text`: the text of those tokens, empty where there is none. Error: bad syntax, or a statement that
  // this interpreter does not know; names the line.
  static Result<std::unique_ptr<ChatTemplate>> parse(std::string_view source, std::string bos_text, std::string eos_text);

  // The prompt for the turns, to be tokenised with parse_special. Errors: what the template raises (its own words),
  // something that is not supported, or a bound exceeded; each with the template's line.
  Result<std::string> render(std::span<const ChatTurn> turns, bool add_generation_prompt) const;

  // The same for JSON: `messages` an array of objects; `tools` an array, `variables` an object, or nothing. add_generation_prompt is true
  // unless a variable says otherwise. Error also: no such JSON.
  Result<std::string> render_json(std::string_view messages, std::string_view tools, std::string_view variables) const;

  // The same for any variables; bos_token and eos_token are added. Values of the input must outlive the call. `now` is what
  // the template's clock shows.
  Result<std::string> render(const jinja::Variables& variables, jinja::ValueArena& arena, const std::tm& now) const;

 private:
  ChatTemplate(jinja::Body body, std::string bos_text, std::string eos_text)
      : body_(std::move(body)), bos_text_(std::move(bos_text)), eos_text_(std::move(eos_text)) {}

  const jinja::Body body_;
  const std::string bos_text_;
  const std::string eos_text_;
};

}  // namespace hotset
