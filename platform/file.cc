#include "platform/file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "platform/bytes.h"
#include "platform/log.h"

namespace hotset {
namespace {

Code code_of_errno(int err) { return err == ENOENT || err == ENOTDIR ? Code::kNotFound : Code::kIo; }

Status errno_error(const char* what, const std::string& path, int err) {
  return error(code_of_errno(err), "cannot %s '%s': %s", what, path.c_str(), std::strerror(err));
}

bool same_inode(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// What direct I/O on the file must be aligned to; 0 when it cannot be done.
uint64_t direct_alignment(int descriptor) {
#ifdef STATX_DIOALIGN  // Linux 6.1
  struct statx info = {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 && (info.stx_mask & STATX_DIOALIGN) != 0) {
    const uint64_t needed = std::max(info.stx_dio_mem_align, info.stx_dio_offset_align);
    const bool usable = info.stx_dio_offset_align != 0 && needed <= File::kMostDirectAlignment && std::has_single_bit(needed);
    return usable ? needed : 0;
  }
#else
  (void)descriptor;
#endif
  return File::kMostDirectAlignment;  // enough for any file system that does not say
}

}  // namespace

File::File(std::string path, int descriptor, uint64_t size_bytes, ReadSeam seam)
    : path_(std::move(path)), descriptor_(descriptor), size_bytes_(size_bytes), seam_(std::move(seam)) {}

File::~File() {
  ::close(descriptor_);
  if (direct_descriptor_ >= 0) ::close(direct_descriptor_);
}

Result<std::unique_ptr<File>> File::open(const std::string& path, ReadSeam seam) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno_error("open", path, errno);
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    if (S_ISDIR(info.st_mode)) return error(Code::kInvalidArgument, "'%s' is a directory, not a file", path.c_str());
    return error(Code::kInvalidArgument, "'%s' is not a regular file", path.c_str());
  }
  return std::unique_ptr<File>(new File(path, descriptor, static_cast<uint64_t>(info.st_size), std::move(seam)));
}

Result<std::unique_ptr<File>> File::reopen_direct() const {
  const int descriptor = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return errno_error("open", path_, errno);
  std::unique_ptr<File> file(new File(path_, descriptor, size_bytes_, seam_));
  HOTSET_RETURN_IF_ERROR(file->add_direct());
  return file;
}

Status File::add_direct() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (descriptor < 0) {
    log_line(LogLevel::kInfo, "'%s' is read through the page cache: direct I/O was refused (%s)", path_.c_str(), std::strerror(errno));
    return ok_status();
  }
  struct stat mine = {}, opened = {};
  const bool same = ::fstat(descriptor_, &mine) == 0 && ::fstat(descriptor, &opened) == 0 && same_inode(mine, opened);
  const uint64_t alignment_bytes = direct_alignment(descriptor);
  if (same && alignment_bytes != 0) {
    direct_descriptor_ = descriptor;
    direct_alignment_bytes_ = alignment_bytes;
    return ok_status();
  }
  ::close(descriptor);
  if (!same) return error(Code::kIo, "'%s' was replaced by another file while it was open", path_.c_str());
  log_line(LogLevel::kInfo, "'%s' is read through the page cache: its file system has no direct I/O", path_.c_str());
  return ok_status();
}

Status File::read(uint64_t offset_bytes, std::span<std::byte> out) const {
  if (const int refused = seam_ ? seam_(offset_bytes, out.size()) : 0; refused != 0) return errno_error("read", path_, refused);
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset_bytes + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read", path_, errno);
    if (got == 0) {
      return error(Code::kIo, "'%s' ended at byte %llu while more was expected: is the file still being written?", path_.c_str(),
                   static_cast<unsigned long long>(offset_bytes + done));
    }
    done += static_cast<size_t>(got);
  }
  return ok_status();
}

Result<std::string> read_whole_file(const std::string& path, uint64_t limit_bytes) {
  HOTSET_ASSIGN(const auto file, File::open(path));
  if (file->size_bytes() > limit_bytes) {
    return error(Code::kInvalidArgument, "'%s' is too large: %llu bytes, at most %llu are read", path.c_str(),
                 static_cast<unsigned long long>(file->size_bytes()), static_cast<unsigned long long>(limit_bytes));
  }
  std::string content(file->size_bytes(), '\0');
  HOTSET_RETURN_IF_ERROR(file->read(0, std::as_writable_bytes(std::span(content.data(), content.size()))));
  return content;
}

Result<std::unique_ptr<FileWriter>> FileWriter::create(const std::string& path, uint64_t size_bytes) {
  const std::string partial = path + ".partial";
  const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return errno_error("write", partial, errno);
  std::unique_ptr<FileWriter> writer(new FileWriter(path, descriptor));
  if (size_bytes > 0 && ::fallocate(descriptor, 0, 0, static_cast<off_t>(size_bytes)) != 0 && (errno == ENOSPC || errno == EFBIG)) {
    return error(Code::kIo, "cannot write '%s': no room for its %s", path.c_str(), format_bytes(size_bytes).c_str());
  }
  return writer;
}

FileWriter::~FileWriter() {
  ::close(descriptor_);
  if (!committed_) ::unlink(partial().c_str());
}

Status FileWriter::write(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno_error("write", path_, errno);
    offset_bytes += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return ok_status();
}

Status FileWriter::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(partial().c_str(), path_.c_str()) != 0) return errno_error("write", path_, errno);
  committed_ = true;
  return ok_status();
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first = {}, second = {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && same_inode(first, second);
}

Status write_whole_file(const std::string& path, std::string_view content) {
  static std::atomic<uint32_t> count{0};  // several threads may write at once
  const std::string partial = path + ".partial." + std::to_string(::getpid()) + "." + std::to_string(count++);
  std::FILE* file = std::fopen(partial.c_str(), "wbe");
  if (!file) return errno_error("write", path, errno);
  const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  const int write_errno = errno;
  const bool closed = std::fclose(file) == 0;
  if (written && closed && std::rename(partial.c_str(), path.c_str()) == 0) return ok_status();
  const int err = written ? errno : write_errno;
  std::remove(partial.c_str());
  return errno_error("write", path, err);
}

Result<std::string> cache_directory() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  std::string directory;
  if (xdg && *xdg) directory = std::string(xdg) + "/hotset";
  else if (home && *home) directory = std::string(home) + "/.cache/hotset";
  else return error(Code::kNotFound, "no cache folder: neither XDG_CACHE_HOME nor HOME is set");
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) return error(Code::kIo, "cannot make the folder '%s': %s", directory.c_str(), ec.message().c_str());
  return directory;
}

std::string program_directory() {
  std::error_code ec;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
  return ec ? std::string() : path.parent_path().string();
}

std::string library_directory() {
  Dl_info info = {};
  static const int anchor = 0;
  if (::dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return program_directory();
  std::error_code ec;
  const auto path = std::filesystem::canonical(info.dli_fname, ec);
  return ec ? program_directory() : path.parent_path().string();
}

bool file_exists(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace hotset
