#include "platform/os_file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace hotset::os {
namespace {

int descriptor_of(FileHandle file) { return static_cast<int>(file); }

OpenedFile opened(int descriptor) { return descriptor < 0 ? OpenedFile{kNoFile, errno} : OpenedFile{descriptor, 0}; }

FileFacts facts_of(const struct stat& info) {
  const FileKind kind = S_ISREG(info.st_mode) ? FileKind::kRegular : S_ISDIR(info.st_mode) ? FileKind::kFolder : FileKind::kOther;
  return {kind, static_cast<uint64_t>(info.st_size), static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)};
}

// "$`variable`/name", or `below_home` in the home folder.
std::string folder_by_rule(const char* variable, const char* below_home, const std::string& name) {
  const char* given = std::getenv(variable);
  if (given && *given) return std::string(given) + "/" + name;
  const char* home = std::getenv("HOME");
  return home && *home ? std::string(home) + below_home + name : std::string();
}

}  // namespace

OpenedFile open_to_read(const std::string& path, bool direct) {
#ifdef O_DIRECT
  return opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0)));
#else
  const OpenedFile file = opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!direct || file.error != 0 || ::fcntl(descriptor_of(file.handle), F_NOCACHE, 1) == 0) return file;
  const int refused = errno;
  close(file.handle);
  return {kNoFile, refused};
#endif
}

OpenedFile open_to_write(const std::string& path, bool emptied) {
  return opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (emptied ? O_TRUNC : 0), 0666));
}

OpenedFile open_new_to_write(const std::string& path) { return opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)); }

OpenedFile duplicate(FileHandle file) { return opened(::fcntl(descriptor_of(file), F_DUPFD_CLOEXEC, 0)); }

void close(FileHandle file) { ::close(descriptor_of(file)); }

int look_at(FileHandle file, FileFacts& facts) {
  struct stat info = {};
  if (::fstat(descriptor_of(file), &info) != 0) return errno;
  facts = facts_of(info);
  return 0;
}

int look_at(const std::string& path, FileFacts& facts) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return errno;
  facts = facts_of(info);
  return 0;
}

bool name_is_taken(const std::string& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0;
}

uint64_t direct_alignment_bytes(FileHandle file, uint64_t most_bytes) {
#ifdef STATX_DIOALIGN  // Linux 6.1
  struct statx info = {};
  if (::statx(descriptor_of(file), "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 && (info.stx_mask & STATX_DIOALIGN) != 0) {
    const uint64_t needed = std::max(info.stx_dio_mem_align, info.stx_dio_offset_align);
    const bool usable = info.stx_dio_offset_align != 0 && needed <= most_bytes && std::has_single_bit(needed);
    return usable ? needed : 0;
  }
#else
  (void)file;
#endif
  return most_bytes;  // enough for any file system that does not say
}

MovedBytes read_at(FileHandle file, uint64_t offset_bytes, std::span<std::byte> out) {
  for (;;) {
    const ssize_t got = ::pread(descriptor_of(file), out.data(), out.size(), static_cast<off_t>(offset_bytes));
    if (got >= 0) return {static_cast<uint64_t>(got), 0};
    if (errno != EINTR) return {0, errno};
  }
}

MovedBytes write_at(FileHandle file, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  for (;;) {
    ssize_t put = ::pwrite(descriptor_of(file), bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == ESPIPE) put = ::write(descriptor_of(file), bytes.data(), bytes.size());
    if (put >= 0) return {static_cast<uint64_t>(put), 0};
    if (errno != EINTR) return {0, errno};
  }
}

int set_aside(FileHandle file, uint64_t size_bytes) {
#ifdef __linux__
  return ::fallocate(descriptor_of(file), 0, 0, static_cast<off_t>(size_bytes)) == 0 ? 0 : errno;
#else
  (void)file, (void)size_bytes;
  return EOPNOTSUPP;
#endif
}

int set_size(FileHandle file, uint64_t size_bytes) { return ::ftruncate(descriptor_of(file), static_cast<off_t>(size_bytes)) == 0 ? 0 : errno; }

bool is_no_room(int error) { return error == ENOSPC || error == EFBIG || error == EDQUOT; }

int bring_to_disk(FileHandle file) { return ::fsync(descriptor_of(file)) == 0 ? 0 : errno; }

bool is_locked_by_another(FileHandle file) {
  return ::flock(descriptor_of(file), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;  // else: a file system without locks
}

int replace_file(const std::string& from, const std::string& to) { return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno; }

int rename_to_new(const std::string& from, const std::string& to) {
#ifdef __APPLE__
  const int refused = ::renamex_np(from.c_str(), to.c_str(), RENAME_EXCL) == 0 ? 0 : errno;
#else
  const int refused = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
#endif
  return refused == 0 || refused == EEXIST ? refused : replace_file(from, to);  // a file system that cannot tell
}

void remove_file(const std::string& path) { ::unlink(path.c_str()); }

uint32_t process_id() { return static_cast<uint32_t>(::getpid()); }

std::string program_path() {
  std::error_code ec;
#ifdef __APPLE__
  char text[4096];
  uint32_t size = sizeof text;
  const auto path = ::_NSGetExecutablePath(text, &size) == 0 ? std::filesystem::canonical(text, ec) : std::filesystem::path();
#else
  const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
#endif
  return ec ? std::string() : path.string();
}

std::string library_path() {
  Dl_info info = {};
  static const int anchor = 0;
  if (::dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ec;
  const auto path = std::filesystem::canonical(info.dli_fname, ec);
  return ec ? std::string() : path.string();
}

std::string cache_folder(const std::string& name) { return folder_by_rule("XDG_CACHE_HOME", "/.cache/", name); }

std::string state_folder(const std::string& name) { return folder_by_rule("XDG_STATE_HOME", "/.local/state/", name); }

}  // namespace hotset::os
