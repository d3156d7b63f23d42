// Where the model that ships with the program lies: in an installed prefix, or in the source tree it was built from.
#include <array>

#include "platform/file.h"
#include "platform/paths.h"
#include "runtime/engine/engine.h"

namespace hotset {

Result<std::string> shipped_model_path() {
  constexpr const char* kFile = "/storyteller-35m-q4_k_m.gguf";
  const std::string program = program_directory();
  const std::string library = library_directory();
  // The installed prefix comes first, so that a program does not reach into a source tree that may change under it.
  const auto plain = [](const std::string& path) { return utf8_text(native_path(path).lexically_normal()); };
  const std::array folders = {
      plain(program + "/" HOTSET_MODELS_FROM_PROGRAM),
      plain(library + "/" HOTSET_MODELS_FROM_LIBRARY),
      plain(program + "/../../models"),
      std::string(HOTSET_SOURCE_MODELS),
  };
  for (const std::string& folder : folders) {
    if (file_exists(folder + kFile)) return folder + kFile;
  }
  return error(Code::kNotFound, "the shipped model is in none of '%s', '%s', '%s', '%s': name a model file", folders[0].c_str(),
               folders[1].c_str(), folders[2].c_str(), folders[3].c_str());
}

}  // namespace hotset
