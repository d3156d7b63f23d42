// The operating system's files: the calls that File, FileWriter, ResumableFile, TraceWriter and IoThreads are made of. Its halves are
// posix/os_file.cc and windows/os_file.cc.
//
// Paths are UTF-8. Errors are values of errno on every system, 0 is none. Any thread may call, and several may read and write one handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace hotset::os {

using FileHandle = intptr_t;  // a descriptor; on Windows a HANDLE
inline constexpr FileHandle kNoFile = -1;

struct OpenedFile {
  FileHandle handle = kNoFile;
  int error = 0;
};

struct MovedBytes {
  uint64_t size_bytes = 0;
  int error = 0;
};

enum class FileKind { kRegular, kFolder, kOther };

struct FileFacts {
  FileKind kind = FileKind::kOther;
  uint64_t size_bytes = 0;
  uint64_t volume = 0;  // with `number` the file itself, by whatever name
  uint64_t number = 0;

  bool same_file(const FileFacts& other) const { return volume == other.volume && number == other.number; }
};

// With `direct` past the page cache, or an error where that is refused.
OpenedFile open_to_read(const std::string& path, bool direct = false);
// Makes the file where there is none; what is in it goes when it is `emptied`.
OpenedFile open_to_write(const std::string& path, bool emptied);
// EEXIST where the name is taken, also by a link.
OpenedFile open_new_to_write(const std::string& path);
OpenedFile duplicate(FileHandle file);
void close(FileHandle file);

int look_at(FileHandle file, FileFacts& facts);
int look_at(const std::string& path, FileFacts& facts);
// Also by a link that leads nowhere.
bool name_is_taken(const std::string& path);

// What offsets, lengths and addresses of direct reads must be multiples of: at most `most_bytes`, also where the file system does not say;
// 0 where it cannot be done.
uint64_t direct_alignment_bytes(FileHandle file, uint64_t most_bytes);

// One call of the system: it may move fewer bytes than asked for, and none at the end of the file. A pipe has no places: it is written to
// wherever it is.
MovedBytes read_at(FileHandle file, uint64_t offset_bytes, std::span<std::byte> out);
MovedBytes write_at(FileHandle file, uint64_t offset_bytes, std::span<const std::byte> bytes);
// All of it; size_bytes says how far it came.
MovedBytes write_all_at(FileHandle file, uint64_t offset_bytes, std::span<const std::byte> bytes);

// Gives the file that size with room on the disk behind it. Errors of which is_no_room() is true, or: it cannot be done here.
int set_aside(FileHandle file, uint64_t size_bytes);
int set_size(FileHandle file, uint64_t size_bytes);
bool is_no_room(int error);
// Content and size are on the disk when it returns.
int bring_to_disk(FileHandle file);

// Whether another open handle holds the file's lock; else it is held by this one until it is closed, also by a crash.
bool is_locked_by_another(FileHandle file);

int replace_file(const std::string& from, const std::string& to);
// EEXIST where `to` is there already.
int rename_to_new(const std::string& from, const std::string& to);
void remove_file(const std::string& path);

uint32_t process_id();
// Where the running program lies, and where what this code was loaded from (the shared library, or the program). Empty: unknown.
std::string program_path();
std::string library_path();
// The folder in which a program of that name keeps what it can make again, and what it remembers: "$XDG_CACHE_HOME/NAME" or "~/.cache/NAME",
// "$XDG_STATE_HOME/NAME" or "~/.local/state/NAME"; on Windows "%LOCALAPPDATA%\NAME\cache" and "%LOCALAPPDATA%\NAME" where the former are
// not set. Empty: the environment names no place.
std::string cache_folder(const std::string& name);
std::string state_folder(const std::string& name);

}  // namespace hotset::os
