#include "runtime/engine/engine.h"

namespace hotset {

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions&) { return error(Code::kUnsupported, "not linked yet"); }
Result<std::unique_ptr<TextModel>> TextModel::open(const std::string&) { return error(Code::kUnsupported, "not linked yet"); }
Result<std::vector<DeviceReport>> list_devices() { return error(Code::kUnsupported, "not linked yet"); }
Result<ModelReport> inspect_model(const std::string&) { return error(Code::kUnsupported, "not linked yet"); }

}  // namespace hotset
