// Read-only files, whole small files, and the places where the operating system wants things kept.
//
// A File is owned by one holder; any number of threads may read it at once (positional reads). It may hold a second handle for
// direct I/O, which goes past the system's page cache; File::read never uses that one, IoQueue (io_queue.h) does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "platform/os_file.h"
#include "platform/status.h"

namespace hotset {

// Asked before each read of a File: the errno that it fails with, or 0: it is made. For tests (platform/seams.h).
using ReadSeam = std::function<int(uint64_t offset_bytes, uint64_t size_bytes)>;

class File {
 public:
  // Opens a regular file for reading. Errors: missing, a directory, not readable.
  static Result<std::unique_ptr<File>> open(const std::string& path, ReadSeam seam = {});

  // The same file once more, with direct I/O where the system allows it; where not, one line in the log says why and direct() is
  // false. Error: another file has taken its place meanwhile.
  Result<std::unique_ptr<File>> reopen_direct() const;
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }

  // Fills `out` from `offset_bytes`, in as many system reads as that takes. Error: short file, I/O error.
  Status read(uint64_t offset_bytes, std::span<std::byte> out) const;

  // Direct I/O takes offsets, lengths and addresses that are multiples of direct_alignment_bytes(): a power of two up to
  // kMostDirectAlignment; 1 without direct I/O.
  static constexpr uint64_t kMostDirectAlignment = 4096;
  bool direct() const { return direct_handle_ != os::kNoFile; }
  uint64_t direct_alignment_bytes() const { return direct_alignment_bytes_; }

  // The system's name for it, open as long as the File lives. `through_cache` or direct() must be true.
  os::FileHandle handle(bool through_cache) const { return through_cache ? handle_ : direct_handle_; }

 private:
  File(std::string path, os::FileHandle handle, uint64_t size_bytes, ReadSeam seam);
  Status add_direct();

  const std::string path_;
  const os::FileHandle handle_;
  const uint64_t size_bytes_;
  const ReadSeam seam_;
  os::FileHandle direct_handle_ = os::kNoFile;  // set before anybody else has the File
  uint64_t direct_alignment_bytes_ = 1;
};

// The whole file as bytes. Error: larger than `limit_bytes`, or what File::open and File::read say.
Result<std::string> read_whole_file(const std::string& path, uint64_t limit_bytes);

// A new file that is there as a whole or not at all: it is written beside PATH, under a name that no other writer has, and takes PATH's in
// commit(). Without that the destructor removes it, and what was at PATH stays. Of several writers of one path, in this process or others,
// the last commit stands. Who is killed while writing leaves a PATH.partial.N.N behind. One owner.
class FileWriter {
 public:
  // Sets aside `size_bytes` at once where the file system can. Errors: no right to write, no room (and how much is needed), or `path` is
  // there and no regular file.
  static Result<std::unique_ptr<FileWriter>> create(const std::string& path, uint64_t size_bytes);
  // Whether create() would work now; nothing stays behind.
  static Status check(const std::string& path) { return create(path, 0).status(); }
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  Status write(uint64_t offset_bytes, std::span<const std::byte> bytes);
  // Brings everything to the disk and renames.
  Status commit();
  // Only renames: for what can be made again after a power cut.
  Status commit_unsynced();

 private:
  FileWriter(std::string path, std::string partial, os::FileHandle handle)
      : path_(std::move(path)), partial_(std::move(partial)), handle_(handle) {}

  const std::string path_;
  const std::string partial_;  // where it is written until then
  const os::FileHandle handle_;
  bool committed_ = false;
};

// Whether both name one file, by whatever way; false when one is missing.
bool same_file(const std::string& a, const std::string& b);

// Replaces `path` with `content` so that a reader sees the old or the new file, never half of one. Errors: as FileWriter.
Status write_whole_file(const std::string& path, std::string_view content);

// Hotset's folder for what can be made again, and for what it remembers between runs (os_file.h says where), made on first use. Error:
// nowhere to write.
Result<std::string> cache_directory();
Result<std::string> state_directory();

// The folder the running program lies in; empty when the system does not say.
std::string program_directory();

// The folder of the file that this code was loaded from: the shared library's, or the program's.
std::string library_directory();

bool file_exists(const std::string& path);

}  // namespace hotset
