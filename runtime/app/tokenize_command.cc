// `hotset tokenize`: text to ids and back, with a model's tokenizer and without a device.
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

  void add_flags(CLI::App& app) override {
    app.add_option("ARGS", arguments_, wrap_help("[MODEL] TEXT, or [MODEL] with --file or --decode. Without a model, the shipped "
                                                 "one; without a text, standard input."))
        ->type_name("")
        ->expected(0, 2);
    auto* file = app.add_option("-f,--file", file_, wrap_help("Read the text from a file; - is standard input."))->type_name("FILE");
    app.add_option("--decode", decode_, wrap_help("Ids to turn into text: 1,2,3, or @FILE."))
        ->type_name("IDS")
        ->excludes(file)
        ->check(CLI::Validator([](const std::string& text) { return token_list_flaw(text); }, "", "token list"));
    app.add_flag("--ids", ids_only_, wrap_help("Print the ids alone, as 1,2,3."));
    app.add_flag("--special", special_, wrap_help("Recognise special tokens in the text, and show them when decoding."));
    add_json_flag(app, json_, "Write ids and pieces as JSON.");
  }

  Status check_usage() const override {
    if (arguments_.size() > 1 && from_elsewhere()) {
      return error(Code::kInvalidArgument, "a text and --%s were given: one of them is enough", decode_.empty() ? "file" : "decode");
    }
    return ok_status();
  }

  Status execute(Console& console) override {
    HOTSET_ASSIGN(const std::string path, resolve_model(model_argument()));
    if (!decode_.empty()) return decode(console, path);
    if (!from_elsewhere() && text_argument().empty() && console.input_is_terminal()) {
      return error(Code::kInvalidArgument, "there is no text: give it as an argument, with --file, or through a pipe");
    }
    HOTSET_ASSIGN(const std::string text, text_to_encode());
    HOTSET_ASSIGN(const auto model, TextModel::open(path));
    HOTSET_ASSIGN(const auto ids, model->tokenize(text, false, special_));
    return show(console, *model, ids);
  }

 private:
  bool from_elsewhere() const { return !file_.empty() || !decode_.empty(); }
  // A single argument is the model when the text comes from elsewhere, or when it names a model file.
  bool single_is_model() const { return arguments_.size() == 1 && (from_elsewhere() || arguments_[0].ends_with(".gguf")); }

  std::string model_argument() const {
    return arguments_.size() == 2 || single_is_model() ? arguments_[0] : std::string();
  }
  std::string text_argument() const {
    return arguments_.empty() || single_is_model() ? std::string() : arguments_.back();
  }

  Result<std::string> text_to_encode() const {
    if (!file_.empty()) return load_text(file_, TextEnd::kAsIs);
    if (arguments_.empty() || single_is_model()) return load_text("-", TextEnd::kAsIs);
    return text_argument();
  }

  Status decode(Console& console, const std::string& path) const {
    HOTSET_ASSIGN(const auto ids, load_token_list(decode_));
    HOTSET_ASSIGN(const auto model, TextModel::open(path));
    HOTSET_ASSIGN(const std::string text, model->detokenize(ids, special_));
    if (json_) console.write(json_text({{"ids", ids}, {"text", text}}));
    else console.write(console.output_is_terminal() ? text + "\n" : text);
    return ok_status();
  }

  Status show(Console& console, const TextModel& model, const std::vector<TokenId>& ids) const {
    if (ids_only_ && !json_) {
      console.write(token_list_text(ids) + "\n");
      return ok_status();
    }
    std::vector<std::string> pieces;
    for (const TokenId id : ids) {
      HOTSET_ASSIGN(std::string piece, model.detokenize(std::span(&id, 1), true));
      pieces.push_back(std::move(piece));
    }
    if (json_) {
      console.write(json_text({{"ids", ids}, {"pieces", pieces}}));
      return ok_status();
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!console.write(std::to_string(ids[i]) + "\t" + printable(pieces[i]) + "\n")) break;
    }
    return ok_status();
  }

  std::vector<std::string> arguments_;
  std::string file_;
  std::string decode_;
  bool ids_only_ = false;
  bool special_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize_command() { return std::make_unique<TokenizeCommand>(); }

}  // namespace hotset
