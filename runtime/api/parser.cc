// The C functions that take a model's output apart.
#include "runtime/api/calls.h"
#include "runtime/api/report_text.h"

namespace {

using namespace hotset;

std::string call_text(const ToolCall& call) {
  Json arguments = Json::parse(call.arguments, nullptr, false);
  if (arguments.is_discarded()) arguments = call.arguments;
  const Json json = {{"id", call.id}, {"name", call.name}, {"arguments", std::move(arguments)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct PartSink {
  hotset_part_function function;
  void* user;

  void give(hotset_part part, const std::string& text) const {
    if (!text.empty()) function(user, part, text.data(), text.size());
  }
  void give(const ModelOutput& news) const {
    give(HOTSET_REASONING, news.reasoning);
    give(HOTSET_CONTENT, news.content);
    for (const ToolCall& call : news.tool_calls) give(HOTSET_TOOL_CALL, call_text(call));
  }
};

Status check_tools(const char* tools) {
  if (tools == nullptr || *tools == '\0') return ok_status();
  return Json::parse(tools, nullptr, false).is_array() ? ok_status() : error(Code::kInvalidArgument, "the tools are no JSON array");
}

// `call`: what an open parser makes of more output, as a Result<ModelOutput>.
template <class Call>
hotset_code with_parser(hotset_parser* handle, const PartSink& sink, hotset_error* error, Call call) {
  return guarded(error, [&]() -> Status {
    const auto open = tables().parsers.find(handle);
    if (!open) return no_handle("parser");
    if (sink.function == nullptr) return no_argument("function");
    if (open->finished) return hotset::error(Code::kInvalidArgument, "the output has ended: open another parser for more");
    HOTSET_ASSIGN(const ModelOutput news, call(*open));
    sink.give(news);
    return ok_status();
  });
}

}  // namespace

extern "C" {

hotset_code hotset_session_show_special(hotset_session* session, int32_t shown, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) {
    open.session->show_special(shown != 0);
    return ok_status();
  });
}

hotset_code hotset_parser_open(hotset_engine* engine, const char* prompt, const char* tools, hotset_parser** parser, hotset_error* error) {
  return with_engine(engine, error, [&](OpenEngine& open) -> Status {
    if (prompt == nullptr) return no_argument("prompt");
    if (parser == nullptr) return no_argument("parser");
    HOTSET_RETURN_IF_ERROR(check_tools(tools));
    const auto opened = std::make_shared<OpenParser>();
    opened->parser = open.engine->create_output_parser(prompt, tools ? tools : "");
    return hand_out(tables().parsers, opened, parser);
  });
}

hotset_code hotset_parser_close(hotset_parser* parser) {
  return guarded(nullptr, [&] { return tables().parsers.take(parser) ? ok_status() : no_handle("parser"); });
}

hotset_code hotset_parser_push(hotset_parser* parser, const char* text, size_t text_bytes, hotset_part_function function, void* user, hotset_error* error) {
  return with_parser(parser, {function, user}, error, [&](OpenParser& open) -> Result<ModelOutput> {
    if (text == nullptr && text_bytes > 0) return no_argument("text");
    return open.parser->push({text, text_bytes});
  });
}

hotset_code hotset_parser_finish(hotset_parser* parser, hotset_part_function function, void* user, hotset_error* error) {
  return with_parser(parser, {function, user}, error, [&](OpenParser& open) -> Result<ModelOutput> {
    open.finished = true;
    return open.parser->finish();
  });
}

}  // extern "C"
