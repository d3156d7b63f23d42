#include "platform/os_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <limits>

#include "platform/windows/wide.h"

namespace hotset::os {
namespace {

// Others may do with an open file what they may on other systems: read, write, rename and remove it.
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
constexpr size_t kLongestPlainPath = 240;  // of the 260 that the system takes without the mark of a long one
constexpr uint64_t kMostBytesAtOnce = 1u << 30;
constexpr uint64_t kLockOffset = uint64_t{1} << 62;  // behind all bytes: a lock keeps others from what it covers

HANDLE native(FileHandle file) { return reinterpret_cast<HANDLE>(file); }
OpenedFile opened(HANDLE handle) { return handle == INVALID_HANDLE_VALUE ? OpenedFile{kNoFile, last_errno()} : OpenedFile{reinterpret_cast<FileHandle>(handle), 0}; }

DWORD low(uint64_t value) { return static_cast<DWORD>(value); }
DWORD high(uint64_t value) { return static_cast<DWORD>(value >> 32); }

std::wstring wide_path(const std::string& path) {
  const std::wstring given = wide(path);
  if (given.size() < kLongestPlainPath || given.starts_with(L"\\\\")) return given;
  std::wstring whole(::GetFullPathNameW(given.c_str(), 0, nullptr, nullptr), L'\0');
  whole.resize(::GetFullPathNameW(given.c_str(), static_cast<DWORD>(whole.size()), whole.data(), nullptr));
  return L"\\\\?\\" + whole;
}

// All handles are open for overlapped calls: the system lets one call at a time through the others, which would read a disk with a queue of
// one however many threads there are.
OpenedFile open_path(const std::string& path, DWORD access, DWORD disposition, DWORD flags) {
  return opened(::CreateFileW(wide_path(path).c_str(), access, kShareAll, nullptr, disposition, flags | FILE_FLAG_OVERLAPPED, nullptr));
}

// What waits for one call. Its cost, a few microseconds, is nothing beside a read's.
class Event {
 public:
  Event() : handle_(::CreateEventW(nullptr, TRUE, FALSE, nullptr)) {}
  ~Event() {
    if (handle_) ::CloseHandle(handle_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  HANDLE handle() const { return handle_; }

 private:
  const HANDLE handle_;
};

// Begins what `call(overlapped)` begins at that place and waits for its end. Behind the end of the file there is nothing to read.
template <class Call>
MovedBytes move_bytes(FileHandle file, uint64_t offset_bytes, Call call) {
  if (offset_bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return {0, EINVAL};
  const Event event;
  if (!event.handle()) return {0, last_errno()};
  OVERLAPPED place = {};
  place.Offset = low(offset_bytes);
  place.OffsetHigh = high(offset_bytes);
  place.hEvent = event.handle();
  DWORD moved = 0;
  const bool begun = call(place) || ::GetLastError() == ERROR_IO_PENDING;
  if (begun && ::GetOverlappedResult(native(file), &place, &moved, TRUE)) return {moved, 0};
  return {0, ::GetLastError() == ERROR_HANDLE_EOF ? 0 : last_errno()};
}

template <class Info>
bool set_info(FileHandle file, FILE_INFO_BY_HANDLE_CLASS kind, Info info) {
  return ::SetFileInformationByHandle(native(file), kind, &info, sizeof info) != 0;
}

std::string module_path(HMODULE module) {
  std::wstring path(32768, L'\0');  // the longest that there is
  path.resize(::GetModuleFileNameW(module, path.data(), static_cast<DWORD>(path.size())));
  return narrow(path);
}

std::string variable(const wchar_t* name) {
  std::wstring value(::GetEnvironmentVariableW(name, nullptr, 0), L'\0');
  if (!value.empty()) value.resize(::GetEnvironmentVariableW(name, value.data(), static_cast<DWORD>(value.size())));
  return narrow(value);
}

std::string folder_by_rule(const wchar_t* name_of_variable, const std::string& name, const char* below) {
  const std::string given = variable(name_of_variable);
  if (!given.empty()) return given + "/" + name;
  const std::string local = variable(L"LOCALAPPDATA");
  return local.empty() ? std::string() : local + "/" + name + below;
}

int done(BOOL worked) { return worked ? 0 : last_errno(); }

}  // namespace

OpenedFile open_to_read(const std::string& path, bool direct) {
  // With the flag for backups a folder opens too, and can be told from a file that may not be read.
  return open_path(path, GENERIC_READ, OPEN_EXISTING, direct ? FILE_FLAG_NO_BUFFERING : FILE_FLAG_BACKUP_SEMANTICS);
}

OpenedFile open_to_write(const std::string& path, bool emptied) {
  return open_path(path, GENERIC_WRITE | FILE_READ_ATTRIBUTES, emptied ? CREATE_ALWAYS : OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL);
}

OpenedFile open_new_to_write(const std::string& path) {
  return open_path(path, GENERIC_WRITE | FILE_READ_ATTRIBUTES, CREATE_NEW, FILE_ATTRIBUTE_NORMAL);
}

OpenedFile duplicate(FileHandle file) {
  HANDLE twin = INVALID_HANDLE_VALUE;
  const HANDLE process = ::GetCurrentProcess();
  if (!::DuplicateHandle(process, native(file), process, &twin, 0, FALSE, DUPLICATE_SAME_ACCESS)) return {kNoFile, last_errno()};
  return {reinterpret_cast<FileHandle>(twin), 0};
}

void close(FileHandle file) { ::CloseHandle(native(file)); }

int look_at(FileHandle file, FileFacts& facts) {
  facts = {};
  BY_HANDLE_FILE_INFORMATION info = {};
  if (!::GetFileInformationByHandle(native(file), &info)) return last_errno();
  const bool folder = (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  const bool on_disk = ::GetFileType(native(file)) == FILE_TYPE_DISK;
  facts.kind = folder ? FileKind::kFolder : on_disk ? FileKind::kRegular : FileKind::kOther;
  facts.size_bytes = uint64_t{info.nFileSizeHigh} << 32 | info.nFileSizeLow;
  facts.volume = info.dwVolumeSerialNumber;
  facts.number = uint64_t{info.nFileIndexHigh} << 32 | info.nFileIndexLow;
  return 0;
}

int look_at(const std::string& path, FileFacts& facts) {
  const OpenedFile file = open_path(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS);
  if (file.error != 0) return file.error;
  const int refused = look_at(file.handle, facts);
  close(file.handle);
  return refused;
}

bool name_is_taken(const std::string& path) { return ::GetFileAttributesW(wide_path(path).c_str()) != INVALID_FILE_ATTRIBUTES; }

uint64_t direct_alignment_bytes(FileHandle file, uint64_t most_bytes) {
  FILE_STORAGE_INFO info = {};
  if (!::GetFileInformationByHandleEx(native(file), FileStorageInfo, &info, sizeof info)) return most_bytes;
  const uint64_t needed = std::max(info.LogicalBytesPerSector, info.FileSystemEffectivePhysicalBytesPerSectorForAtomicity);
  return needed <= most_bytes && std::has_single_bit(needed) ? needed : 0;
}

MovedBytes read_at(FileHandle file, uint64_t offset_bytes, std::span<std::byte> out) {
  const auto size = static_cast<DWORD>(std::min<uint64_t>(out.size(), kMostBytesAtOnce));
  return move_bytes(file, offset_bytes, [&](OVERLAPPED& place) { return ::ReadFile(native(file), out.data(), size, nullptr, &place); });
}

MovedBytes write_at(FileHandle file, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  const auto size = static_cast<DWORD>(std::min<uint64_t>(bytes.size(), kMostBytesAtOnce));
  return move_bytes(file, offset_bytes, [&](OVERLAPPED& place) { return ::WriteFile(native(file), bytes.data(), size, nullptr, &place); });
}

int set_aside(FileHandle file, uint64_t size_bytes) { return set_size(file, size_bytes); }  // room comes with the size

int set_size(FileHandle file, uint64_t size_bytes) {
  FILE_END_OF_FILE_INFO info = {};
  info.EndOfFile.QuadPart = static_cast<LONGLONG>(size_bytes);
  return done(set_info(file, FileEndOfFileInfo, info));
}

bool is_no_room(int error) { return error == ENOSPC || error == EFBIG; }

int bring_to_disk(FileHandle file) { return done(::FlushFileBuffers(native(file))); }

bool is_locked_by_another(FileHandle file) {
  OVERLAPPED place = {};
  place.Offset = low(kLockOffset);
  place.OffsetHigh = high(kLockOffset);
  if (::LockFileEx(native(file), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place)) return false;
  return ::GetLastError() == ERROR_LOCK_VIOLATION || ::GetLastError() == ERROR_IO_PENDING;  // else: a file system without locks
}

int replace_file(const std::string& from, const std::string& to) {
  return done(::MoveFileExW(wide_path(from).c_str(), wide_path(to).c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
}

int rename_to_new(const std::string& from, const std::string& to) {
  return done(::MoveFileExW(wide_path(from).c_str(), wide_path(to).c_str(), MOVEFILE_WRITE_THROUGH));
}

void remove_file(const std::string& path) { ::DeleteFileW(wide_path(path).c_str()); }

uint32_t process_id() { return ::GetCurrentProcessId(); }

std::string program_path() { return module_path(nullptr); }

std::string library_path() {
  static const int anchor = 0;
  HMODULE module = nullptr;
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  return ::GetModuleHandleExW(flags, reinterpret_cast<const wchar_t*>(&anchor), &module) ? module_path(module) : std::string();
}

std::string cache_folder(const std::string& name) { return folder_by_rule(L"XDG_CACHE_HOME", name, "/cache"); }

std::string state_folder(const std::string& name) { return folder_by_rule(L"XDG_STATE_HOME", name, ""); }

}  // namespace hotset::os
