#include "platform/resumable_file.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include "platform/bytes.h"
#include "platform/file.h"

namespace hotset {
namespace {

constexpr uint64_t kMaxStateBytes = 4096;

std::string state_text(const std::string& key, uint64_t size_bytes, uint64_t done_bytes) {
  return key + "\n" + std::to_string(size_bytes) + "\n" + std::to_string(done_bytes) + "\n";
}

}  // namespace

Result<std::unique_ptr<ResumableFile>> ResumableFile::open(const std::string& path, const std::string& key, uint64_t size_bytes) {
  if (path.empty()) return error(Code::kInvalidArgument, "no name was given for the file to write");
  if (os::name_is_taken(path)) return error(Code::kInvalidArgument, "'%s' exists already: it is not written over", path.c_str());
  const std::string part = path + ".part";
  const os::OpenedFile opened = os::open_to_write(part, false);
  if (opened.error != 0) {
    return error(opened.error == ENOENT ? Code::kNotFound : Code::kIo, "cannot write '%s': %s", part.c_str(), std::strerror(opened.error));
  }
  std::unique_ptr<ResumableFile> file(new ResumableFile(path, key, opened.handle));
  if (os::is_locked_by_another(opened.handle)) return error(Code::kInvalidArgument, "'%s' is being written by another run", part.c_str());
  file->done_bytes_ = file->read_state(size_bytes);
  HOTSET_RETURN_IF_ERROR(file->take_size(size_bytes));
  return file;
}

ResumableFile::~ResumableFile() { os::close(handle_); }

Status ResumableFile::failed(int err) const {
  const char* hint = os::is_no_room(err) ? "; what is written stays, make room and run it again" : "";
  return error(Code::kIo, "cannot write '%s': %s%s", part_path().c_str(), std::strerror(err), hint);
}

// How far an earlier run of the same kind came; 0 where there is none, or where its state cannot be trusted.
uint64_t ResumableFile::read_state(uint64_t size_bytes) const {
  os::FileFacts facts;
  if (os::look_at(handle_, facts) != 0 || facts.size_bytes != size_bytes) return 0;
  const auto text = read_whole_file(state_path(), kMaxStateBytes);
  if (!text.ok()) return 0;
  const std::string begin = key_ + "\n" + std::to_string(size_bytes) + "\n";
  uint64_t done = 0;
  if (!text->starts_with(begin)) return 0;
  const char* end = text->data() + text->size();
  const auto [after, ec] = std::from_chars(text->data() + begin.size(), end, done);
  return ec == std::errc() && after + 1 == end && *after == '\n' && done <= size_bytes ? done : 0;
}

Status ResumableFile::take_size(uint64_t size_bytes) {
  size_bytes_ = size_bytes;
  if (const int refused = done_bytes_ == 0 ? os::set_size(handle_, 0) : 0; refused != 0) return failed(refused);
  const int refused = size_bytes == 0 ? 0 : os::set_aside(handle_, size_bytes);
  if (refused == 0) return ok_status();
  if (os::is_no_room(refused)) {
    const bool is_new = done_bytes_ == 0;
    if (is_new) drop();
    return error(Code::kIo, "cannot write '%s': no room for its %s%s", path_.c_str(), format_bytes(size_bytes).c_str(),
                 is_new ? "" : "; what is written stays");
  }
  const int not_sized = os::set_size(handle_, size_bytes);
  return not_sized == 0 ? ok_status() : failed(not_sized);
}

Status ResumableFile::write(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  const os::MovedBytes put = os::write_all_at(handle_, offset_bytes, bytes);
  return put.error == 0 ? ok_status() : failed(put.error);
}

Status ResumableFile::keep(uint64_t done_bytes) {
  if (const int refused = os::bring_to_disk(handle_); refused != 0) return failed(refused);
  HOTSET_RETURN_IF_ERROR(write_whole_file(state_path(), state_text(key_, size_bytes_, done_bytes)));
  done_bytes_ = done_bytes;
  return ok_status();
}

Status ResumableFile::commit() {
  if (const int refused = os::bring_to_disk(handle_); refused != 0) return failed(refused);
  const int refused = os::rename_to_new(part_path(), path_);
  if (refused == EEXIST) return error(Code::kInvalidArgument, "'%s' has come into being meanwhile: it is not written over", path_.c_str());
  if (refused != 0) return failed(refused);
  os::remove_file(state_path());
  return ok_status();
}

void ResumableFile::drop() {
  os::remove_file(part_path());
  os::remove_file(state_path());
}

}  // namespace hotset
