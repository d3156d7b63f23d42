// Read-only files, whole small files, and the places where the operating system wants things kept.
//
// A File is owned by one holder; any number of threads may read it at once (positional reads).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "platform/status.h"

namespace hotset {

class File {
 public:
  // Opens a regular file for reading. Errors: missing, a directory, not readable.
  static Result<std::unique_ptr<File>> open(const std::string& path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }

  // Fills `out` from `offset_bytes`, in as many system reads as that takes. Error: short file, I/O error.
  Status read(uint64_t offset_bytes, std::span<std::byte> out) const;

 private:
  File(std::string path, int descriptor, uint64_t size_bytes);

  const std::string path_;
  const int descriptor_;
  const uint64_t size_bytes_;
};

// The whole file as bytes. Error: larger than `limit_bytes`, or what File::open and File::read say.
Result<std::string> read_whole_file(const std::string& path, uint64_t limit_bytes);

// Replaces `path` with `content` so that a reader sees the old or the new file, never half of one.
Status write_whole_file(const std::string& path, std::string_view content);

// "$XDG_CACHE_HOME/hotset" or "~/.cache/hotset", made on first use. Error: nowhere to write.
Result<std::string> cache_directory();

// The folder the running program lies in; empty when the system does not say.
std::string program_directory();

bool file_exists(const std::string& path);

}  // namespace hotset
