#include "runtime/api/calls.h"

namespace hotset {

Tables& tables() {
  static Tables* const all = new Tables();  // never destroyed: programs may call from their own destructors
  return *all;
}

namespace {

// The most bytes of a text, up to `room`, that end with a whole character of UTF-8.
size_t whole_characters(std::string_view text, size_t room) {
  if (text.size() <= room) return text.size();
  while (room > 0 && (static_cast<unsigned char>(text[room]) & 0xc0) == 0x80) --room;
  return room;
}

}  // namespace

hotset_code tell(Code status, std::string_view message, hotset_error* error) {
  const auto code = static_cast<hotset_code>(status);
  if (error == nullptr || error->size < offsetof(hotset_error, message) + 1) return code;
  error->code = code;
  const size_t length = whole_characters(message, std::min(error->size, sizeof(hotset_error)) - offsetof(hotset_error, message) - 1);
  // What it quotes may have line ends of its own.
  std::transform(message.data(), message.data() + length, error->message, [](char c) { return static_cast<unsigned char>(c) < ' ' ? ' ' : c; });
  error->message[length] = '\0';
  return code;
}

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

}  // namespace hotset
