#include "runtime/engine/engine.h"

#include "platform/clock.h"
#include "platform/seams.h"
#include "runtime/engine/loaded_model.h"
#include "runtime/engine/model_text.h"
#include "runtime/engine/no_throw.h"
#include "runtime/engine/session_impl.h"

namespace hotset {
namespace {

// What a model file is without a device: its tokenizer and its chat template.
class TextEngine : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const std::string& model_path) {
    const uint64_t start_ns = now_ns();
    std::unique_ptr<TextEngine> engine(new TextEngine());
    HOTSET_RETURN_IF_ERROR(engine->open_text(model_path, {}));
    engine->load_ns_ = now_ns() - start_ns;
    return std::unique_ptr<Engine>(std::move(engine));
  }

  Result<std::unique_ptr<Session>> create_session() override { return no_device(); }
  Status set_vram_budget(uint64_t) override { return no_device(); }
  Status set_ram_budget(uint64_t) override { return no_device(); }
  Result<uint64_t> give_vram_back(uint64_t) override { return no_device(); }

  uint32_t vocab_size() const override { return text_->tokenizer().vocab_size(); }
  uint32_t context_tokens() const override { return 0; }
  const std::string& device_name() const override { return kNoDevice; }
  const std::string& model_name() const override { return name_; }
  uint64_t load_ns() const override { return load_ns_; }

  Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special, bool parse_special) const override {
    return without_exceptions([&] { return text_->tokenizer().encode(text, add_special, parse_special); });
  }
  Result<std::string> detokenize(std::span<const TokenId> ids, bool show_special) const override {
    return without_exceptions([&] { return text_->tokenizer().decode(ids, show_special); });
  }
  bool is_end_of_generation(TokenId id) const override { return text_->tokenizer().is_end_of_generation(id); }
  Result<std::string> apply_chat_template(std::span<const ChatMessage> messages, bool add_generation_prompt) const override {
    return without_exceptions([&] { return text_->apply_chat_template(messages, add_generation_prompt); });
  }
  Result<std::string> apply_chat_template_json(std::string_view messages, std::string_view tools, std::string_view variables) const override {
    return without_exceptions([&] { return text_->apply_chat_template(messages, tools, variables); });
  }
  bool has_chat_template() const override { return text_->has_chat_template(); }
  std::unique_ptr<OutputParser> create_output_parser(std::string_view prompt, std::string_view tools) const override {
    return text_->create_output_parser(prompt, tools);
  }

 protected:
  TextEngine() = default;

  Status open_text(const std::string& model_path, const ReadSeam& read) {
    HOTSET_ASSIGN(file_, GgufFile::open(model_path, read));
    HOTSET_ASSIGN(text_, ModelText::open(*file_));
    const auto name = file_->get_string("general.name");
    if (name.ok()) name_ = *name;
    return ok_status();
  }

  std::unique_ptr<GgufFile> file_;  // outlives what points into it
  std::unique_ptr<ModelText> text_;
  uint64_t load_ns_ = 0;

 private:
  inline static const std::string kNoDevice = "none";
  static Status no_device() { return error(Code::kUnsupported, "this engine was opened for text alone: open one without text_only"); }

  std::string name_;
};

class EngineImpl final : public TextEngine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options) {
    const uint64_t start_ns = now_ns();
    std::unique_ptr<EngineImpl> engine(new EngineImpl());
    HOTSET_RETURN_IF_ERROR(engine->open_text(options.model_path, options.seams ? options.seams->read : ReadSeam()));
    HOTSET_ASSIGN(engine->loaded_, LoadedModel::open(options, *engine->file_));
    engine->load_ns_ = now_ns() - start_ns;
    return std::unique_ptr<Engine>(std::move(engine));
  }

  Result<std::unique_ptr<Session>> create_session() override {
    return without_exceptions([&] { return SessionImpl::create(*loaded_, *text_, load_ns_); });
  }

  Status set_vram_budget(uint64_t budget_bytes) override {
    return without_exceptions([&] { return loaded_->set_vram_budget(budget_bytes); });
  }
  Status set_ram_budget(uint64_t budget_bytes) override {
    return without_exceptions([&] { return loaded_->set_ram_budget(budget_bytes); });
  }

  Result<uint64_t> give_vram_back(uint64_t bytes) override {
    return without_exceptions([&] { return loaded_->give_vram_back(bytes); });
  }

  Status save_hot_set(const std::string& path) override {
    return without_exceptions([&] { return loaded_->save_hot_set(path); });
  }

  uint32_t vocab_size() const override { return loaded_->spec().vocab; }
  uint32_t embedding_size() const override { return loaded_->spec().hidden.width; }
  uint32_t context_tokens() const override { return loaded_->plan().workspace.context_tokens; }
  const std::string& device_name() const override { return loaded_->backend().name(); }
  const std::string& model_name() const override { return loaded_->spec().config.name; }

 private:
  EngineImpl() = default;

  std::unique_ptr<LoadedModel> loaded_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  return without_exceptions([&] { return EngineImpl::open(options); });
}
Result<std::unique_ptr<Engine>> Engine::open_text(const std::string& model_path) {
  return without_exceptions([&] { return TextEngine::open(model_path); });
}
Result<std::vector<DeviceReport>> list_devices() {
  return without_exceptions([] { return report_devices(); });
}

}  // namespace hotset
