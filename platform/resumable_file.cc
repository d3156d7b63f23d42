#include "platform/resumable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
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
  struct stat info = {};
  if (::lstat(path.c_str(), &info) == 0) return error(Code::kInvalidArgument, "'%s' exists already: it is not written over", path.c_str());
  const std::string part = path + ".part";
  const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return error(errno == ENOENT ? Code::kNotFound : Code::kIo, "cannot write '%s': %s", part.c_str(), std::strerror(errno));
  std::unique_ptr<ResumableFile> file(new ResumableFile(path, key, descriptor));
  HOTSET_RETURN_IF_ERROR(file->lock());
  file->done_bytes_ = file->read_state(size_bytes);
  HOTSET_RETURN_IF_ERROR(file->take_size(size_bytes));
  return file;
}

ResumableFile::~ResumableFile() { ::close(descriptor_); }

Status ResumableFile::failed(int err) const {
  const char* hint = err == ENOSPC || err == EDQUOT || err == EFBIG ? "; what is written stays, make room and run it again" : "";
  return error(Code::kIo, "cannot write '%s': %s%s", part_path().c_str(), std::strerror(err), hint);
}

// Held until the descriptor is closed, also by a crash.
Status ResumableFile::lock() const {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return ok_status();
  if (errno != EWOULDBLOCK) return ok_status();  // a file system without locks
  return error(Code::kInvalidArgument, "'%s' is being written by another run", part_path().c_str());
}

// How far an earlier run of the same kind came; 0 where there is none, or where its state cannot be trusted.
uint64_t ResumableFile::read_state(uint64_t size_bytes) const {
  struct stat info = {};
  if (::fstat(descriptor_, &info) != 0 || static_cast<uint64_t>(info.st_size) != size_bytes) return 0;
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
  const auto size = static_cast<off_t>(size_bytes);
  if (done_bytes_ == 0 && ::ftruncate(descriptor_, 0) != 0) return failed(errno);
  if (size_bytes == 0 || ::fallocate(descriptor_, 0, 0, size) == 0) return ok_status();
  if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT) {
    const bool is_new = done_bytes_ == 0;
    if (is_new) drop();
    return error(Code::kIo, "cannot write '%s': no room for its %s%s", path_.c_str(), format_bytes(size_bytes).c_str(),
                 is_new ? "" : "; what is written stays");
  }
  return ::ftruncate(descriptor_, size) == 0 ? ok_status() : failed(errno);
}

Status ResumableFile::write(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed(errno);
    offset_bytes += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return ok_status();
}

Status ResumableFile::keep(uint64_t done_bytes) {
  if (::fdatasync(descriptor_) != 0) return failed(errno);
  HOTSET_RETURN_IF_ERROR(write_whole_file(state_path(), state_text(key_, size_bytes_, done_bytes)));
  done_bytes_ = done_bytes;
  return ok_status();
}

Status ResumableFile::commit() {
  if (::fsync(descriptor_) != 0) return failed(errno);
  // Not rename(): a file that came meanwhile must stay.
  if (::renameat2(AT_FDCWD, part_path().c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return error(Code::kInvalidArgument, "'%s' has come into being meanwhile: it is not written over", path_.c_str());
    if (::rename(part_path().c_str(), path_.c_str()) != 0) return failed(errno);
  }
  ::unlink(state_path().c_str());
  return ok_status();
}

void ResumableFile::drop() {
  ::unlink(part_path().c_str());
  ::unlink(state_path().c_str());
}

}  // namespace hotset
