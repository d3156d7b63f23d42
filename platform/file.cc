#include "platform/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace hotset {
namespace {

Code code_of_errno(int err) { return err == ENOENT || err == ENOTDIR ? Code::kNotFound : Code::kIo; }

Status errno_error(const char* what, const std::string& path, int err) {
  return error(code_of_errno(err), "cannot %s '%s': %s", what, path.c_str(), std::strerror(err));
}

}  // namespace

File::File(std::string path, int descriptor, uint64_t size_bytes)
    : path_(std::move(path)), descriptor_(descriptor), size_bytes_(size_bytes) {}

File::~File() { ::close(descriptor_); }

Result<std::unique_ptr<File>> File::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno_error("open", path, errno);
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    if (S_ISDIR(info.st_mode)) return error(Code::kInvalidArgument, "'%s' is a directory, not a file", path.c_str());
    return error(Code::kInvalidArgument, "'%s' is not a regular file", path.c_str());
  }
  return std::unique_ptr<File>(new File(path, descriptor, static_cast<uint64_t>(info.st_size)));
}

Status File::read(uint64_t offset_bytes, std::span<std::byte> out) const {
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

bool file_exists(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace hotset
