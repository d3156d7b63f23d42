#include "platform/file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "platform/bytes.h"
#include "platform/log.h"
#include "platform/paths.h"

namespace hotset {
namespace {

Status errno_error(const char* what, const std::string& path, int err) {
  const Code code = err == ENOENT || err == ENOTDIR ? Code::kNotFound : Code::kIo;
  return error(code, "cannot %s '%s': %s", what, path.c_str(), std::strerror(err));
}

constexpr int kMostNames = 1000;  // tried for one file; a name is taken where a process of the same number was killed, or writes on another machine

// A new file beside `path` that nobody else writes.
struct Partial {
  std::string path;
  os::OpenedFile file;
};

Partial open_partial(const std::string& path) {
  static std::atomic<uint32_t> count{0};
  Partial partial;
  for (int i = 0; i < kMostNames; ++i) {
    partial.path = path + ".partial." + std::to_string(os::process_id()) + "." + std::to_string(count++);
    partial.file = os::open_new_to_write(partial.path);
    if (partial.file.error != EEXIST) break;
  }
  return partial;
}

std::string folder_of(const std::string& path) { return utf8_text(native_path(path).parent_path()); }

Result<std::string> made_folder(const std::string& folder, const char* purpose) {
  if (folder.empty()) return error(Code::kNotFound, "no %s folder: the environment names neither one nor a home", purpose);
  std::error_code ec;
  std::filesystem::create_directories(native_path(folder), ec);
  if (ec) return error(Code::kIo, "cannot make the folder '%s': %s", folder.c_str(), ec.message().c_str());
  return folder;
}

}  // namespace

File::File(std::string path, os::FileHandle handle, uint64_t size_bytes, ReadSeam seam)
    : path_(std::move(path)), handle_(handle), size_bytes_(size_bytes), seam_(std::move(seam)) {}

File::~File() {
  os::close(handle_);
  if (direct()) os::close(direct_handle_);
}

Result<std::unique_ptr<File>> File::open(const std::string& path, ReadSeam seam) {
  const os::OpenedFile opened = os::open_to_read(path);
  if (opened.error != 0) return errno_error("open", path, opened.error);
  os::FileFacts facts;
  if (os::look_at(opened.handle, facts) != 0 || facts.kind != os::FileKind::kRegular) {
    os::close(opened.handle);
    if (facts.kind == os::FileKind::kFolder) return error(Code::kInvalidArgument, "'%s' is a directory, not a file", path.c_str());
    return error(Code::kInvalidArgument, "'%s' is not a regular file", path.c_str());
  }
  return std::unique_ptr<File>(new File(path, opened.handle, facts.size_bytes, std::move(seam)));
}

Result<std::unique_ptr<File>> File::reopen_direct() const {
  const os::OpenedFile opened = os::duplicate(handle_);
  if (opened.error != 0) return errno_error("open", path_, opened.error);
  std::unique_ptr<File> file(new File(path_, opened.handle, size_bytes_, seam_));
  HOTSET_RETURN_IF_ERROR(file->add_direct());
  return file;
}

Status File::add_direct() {
  const os::OpenedFile opened = os::open_to_read(path_, true);
  if (opened.error != 0) {
    log_line(LogLevel::kInfo, "'%s' is read through the page cache: direct I/O was refused (%s)", path_.c_str(), std::strerror(opened.error));
    return ok_status();
  }
  os::FileFacts mine, other;
  const bool same = os::look_at(handle_, mine) == 0 && os::look_at(opened.handle, other) == 0 && mine.same_file(other);
  const uint64_t alignment_bytes = os::direct_alignment_bytes(opened.handle, kMostDirectAlignment);
  if (same && alignment_bytes != 0) {
    direct_handle_ = opened.handle;
    direct_alignment_bytes_ = alignment_bytes;
    return ok_status();
  }
  os::close(opened.handle);
  if (!same) return error(Code::kIo, "'%s' was replaced by another file while it was open", path_.c_str());
  log_line(LogLevel::kInfo, "'%s' is read through the page cache: its file system has no direct I/O", path_.c_str());
  return ok_status();
}

Status File::read(uint64_t offset_bytes, std::span<std::byte> out) const {
  if (const int refused = seam_ ? seam_(offset_bytes, out.size()) : 0; refused != 0) return errno_error("read", path_, refused);
  size_t done = 0;
  while (done < out.size()) {
    const os::MovedBytes got = os::read_at(handle_, offset_bytes + done, out.subspan(done));
    if (got.error != 0) return errno_error("read", path_, got.error);
    if (got.size_bytes == 0) {
      return error(Code::kIo, "'%s' ended at byte %llu while more was expected: is the file still being written?", path_.c_str(),
                   static_cast<unsigned long long>(offset_bytes + done));
    }
    done += got.size_bytes;
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
  if (path.empty()) return errno_error("write", path, ENOENT);
  os::FileFacts facts;
  if (os::look_at(path, facts) == 0 && facts.kind != os::FileKind::kRegular) {
    if (facts.kind == os::FileKind::kFolder) return errno_error("write", path, EISDIR);
    return error(Code::kIo, "cannot write '%s': it is there and no regular file", path.c_str());
  }
  const Partial partial = open_partial(path);
  if (partial.file.error != 0) return errno_error("write", path, partial.file.error);
  std::unique_ptr<FileWriter> writer(new FileWriter(path, partial.path, partial.file.handle));
  if (size_bytes > 0 && os::is_no_room(os::set_aside(partial.file.handle, size_bytes))) {
    return error(Code::kIo, "cannot write '%s': no room for its %s", path.c_str(), format_bytes(size_bytes).c_str());
  }
  return writer;
}

FileWriter::~FileWriter() {
  os::close(handle_);
  if (!committed_) os::remove_file(partial_);
}

Status FileWriter::write(uint64_t offset_bytes, std::span<const std::byte> bytes) {
  const os::MovedBytes put = os::write_all_at(handle_, offset_bytes, bytes);
  return put.error == 0 ? ok_status() : errno_error("write", path_, put.error);
}

Status FileWriter::commit() {
  const int refused = os::bring_to_disk(handle_);
  return refused == 0 ? commit_unsynced() : errno_error("write", path_, refused);
}

Status FileWriter::commit_unsynced() {
  const int refused = os::replace_file(partial_, path_);
  committed_ = refused == 0;
  return committed_ ? ok_status() : errno_error("write", path_, refused);
}

bool same_file(const std::string& a, const std::string& b) {
  os::FileFacts first, second;
  return os::look_at(a, first) == 0 && os::look_at(b, second) == 0 && first.same_file(second);
}

Status write_whole_file(const std::string& path, std::string_view content) {
  HOTSET_ASSIGN(const auto file, FileWriter::create(path, 0));
  HOTSET_RETURN_IF_ERROR(file->write(0, std::as_bytes(std::span(content.data(), content.size()))));
  return file->commit_unsynced();
}

Result<std::string> cache_directory() { return made_folder(os::cache_folder("hotset"), "cache"); }

Result<std::string> state_directory() { return made_folder(os::state_folder("hotset"), "state"); }

std::string program_directory() { return folder_of(os::program_path()); }

std::string library_directory() {
  const std::string path = os::library_path();
  return path.empty() ? program_directory() : folder_of(path);
}

bool file_exists(const std::string& path) {
  os::FileFacts facts;
  return os::look_at(path, facts) == 0 && facts.kind == os::FileKind::kRegular;
}

}  // namespace hotset
