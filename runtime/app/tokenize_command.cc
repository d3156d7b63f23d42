// `hotset tokenize`: text to ids and back, with a model's tokenizer and without a device.
#include <optional>

#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/app/token_list.h"

namespace hotset {
namespace {

class TokenizeCommand : public Command {
 public:
  const char* name() const override { return "tokenize"; }
  const char* summary() const override { return "Turn text into token ids, or ids into text"; }

  void add_flags(Flags& flags) override {
    flags.add("MODEL", &first_, "A .gguf file; without it, the shipped model.");
    flags.add("TEXT", &second_, "The text; without it, --file or standard input.");
    flags.add("-f,--file", &file_, "Read the text from a file; - is standard input.").value_name("FILE");
    flags.add("--decode", &decode_, "Ids to turn into text: 1,2,3, or @FILE.").value_name("IDS").check(token_list_flaw);
    flags.add("--ids", &ids_only_, "Print the ids alone, as 1,2,3.");
    flags.add("--special", &special_, "Recognise special tokens in the text, and show them when decoding.");
    add_json_flag(flags, json_, "Write ids and pieces as JSON.");
  }

  Status check_usage() const override {
    if (second_.has_value() + file_.has_value() + decode_.has_value() > 1) {
      return error(Code::kInvalidArgument, "more than one of a text, --file and --decode was given: one is enough");
    }
    return ok_status();
  }

  Status execute(Console& console) override {
    // A single argument is the text, unless the text comes from elsewhere or the argument is a model's name.
    if (first_ && !second_ && !file_ && !decode_ && !first_->ends_with(".gguf")) second_.swap(first_);
    const std::string path = first_.value_or("");
    if (decode_) return decode(console, path);
    if (!second_ && !file_ && console.input_is_terminal()) {
      return error(Code::kInvalidArgument, "there is no text: give it as an argument, with --file, or through a pipe");
    }
    HOTSET_ASSIGN(const std::string text, second_ ? Result<std::string>(*second_) : load_text(file_.value_or("-"), TextEnd::kAsIs));
    const auto model = api::engine::text_only(path);
    return show(console, model, model.tokenize(text, special_ ? HOTSET_PARSE_SPECIAL : 0));
  }

 private:
  Status decode(Console& console, const std::string& path) const {
    HOTSET_ASSIGN(const auto ids, load_token_list(*decode_));
    const std::string text = api::engine::text_only(path).detokenize(ids, special_ ? HOTSET_SHOW_SPECIAL : 0);
    if (json_) console.write(json_text({{"ids", ids}, {"text", text}}));
    else console.write(console.output_is_terminal() ? text + "\n" : text);
    return ok_status();
  }

  Status show(Console& console, const api::engine& model, const std::vector<hotset_token>& ids) const {
    if (ids_only_ && !json_) {
      console.write(token_list_text(ids) + "\n");
      return ok_status();
    }
    std::vector<std::string> pieces;
    for (const hotset_token id : ids) pieces.push_back(model.detokenize(std::span(&id, 1), HOTSET_SHOW_SPECIAL));
    if (json_) {
      console.write(json_text({{"ids", ids}, {"pieces", pieces}}));
      return ok_status();
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!console.write(std::to_string(ids[i]) + "\t" + escape_controls(pieces[i]) + "\n")) break;
    }
    return ok_status();
  }

  std::optional<std::string> first_;   // MODEL, or TEXT when it is alone
  std::optional<std::string> second_;  // TEXT
  std::optional<std::string> file_;
  std::optional<std::string> decode_;
  bool ids_only_ = false;
  bool special_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize_command() { return std::make_unique<TokenizeCommand>(); }

}  // namespace hotset
