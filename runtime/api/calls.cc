#include "runtime/api/calls.h"

namespace hotset {

Tables& tables() {
  static Tables* const all = new Tables();  // never destroyed: programs may call from their own destructors
  return *all;
}

hotset_code tell(Code status, std::string_view message, hotset_error* error) {
  const auto code = static_cast<hotset_code>(status);
  if (error == nullptr || error->size < offsetof(hotset_error, message) + 1) return code;
  error->code = code;
  const size_t room = std::min(error->size, sizeof(hotset_error)) - offsetof(hotset_error, message) - 1;
  const size_t length = std::min(room, message.size());
  // One line, whatever names and paths are in it.
  std::transform(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(length), error->message,
                 [](char c) { return static_cast<unsigned char>(c) < ' ' ? '?' : c; });
  error->message[length] = '\0';
  return code;
}

hotset_code tell(const Status& status, hotset_error* error) { return tell(status.code(), status.message(), error); }

Status no_handle(const char* kind) { return error(kInvalidHandle, "this is not an open %s: it is NULL, closed, or of another kind", kind); }
Status no_argument(const char* name) { return error(Code::kInvalidArgument, "%s is NULL: pass where it is", name); }

Status write_text(std::string_view text, char* buffer, size_t capacity, size_t* length) {
  if (length) *length = text.size();
  if (capacity <= text.size()) return error(kTooSmall, "%zu bytes have no room for a text of %zu and a zero", capacity, text.size());
  if (buffer == nullptr) return no_argument("buffer");
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  return ok_status();
}

Status options_of(const hotset_options* handle, OptionSet& options) {
  if (handle == nullptr) return ok_status();
  const auto set = tables().options.find(handle);
  if (!set) return no_handle("set of options");
  options = *set;
  return ok_status();
}

Status check_tokens(const hotset_token* tokens, size_t count) { return tokens == nullptr && count > 0 ? no_argument("tokens") : ok_status(); }

}  // namespace hotset
