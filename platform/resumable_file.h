// ResumableFile: a large file that is written over several runs of a program, and is there under its name only when it is whole.
//
// It is written as PATH.part; PATH.part.state beside it says of what, and how far it is for certain on the disk. Both stay when a run ends
// early, whatever ended it, and the next run with the same key goes on from there. commit() gives the file its name and removes the state.
//
// One owner; write() may be called by several threads at once. Two runs cannot write the same file at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "platform/os_file.h"
#include "platform/status.h"

namespace hotset {

class ResumableFile {
 public:
  // `key` is one line that says what is being written: what an earlier run left goes on only when its key and size are the same, and is
  // dropped otherwise. Errors: PATH exists already; another run writes it; no right to write; no room for `size_bytes`.
  static Result<std::unique_ptr<ResumableFile>> open(const std::string& path, const std::string& key, uint64_t size_bytes);
  ~ResumableFile();
  ResumableFile(const ResumableFile&) = delete;
  ResumableFile& operator=(const ResumableFile&) = delete;

  // Where to go on: everything before is there. 0 for a new file.
  uint64_t done_bytes() const { return done_bytes_; }
  // The name it has until commit(). The file has its whole size from the start.
  std::string part_path() const { return path_ + ".part"; }

  Status write(uint64_t offset_bytes, std::span<const std::byte> bytes);
  // Brings all to the disk and notes that everything before `done_bytes` is there.
  Status keep(uint64_t done_bytes);
  Status commit();
  // Removes what was written, for when going on makes no sense.
  void drop();

 private:
  ResumableFile(std::string path, std::string key, os::FileHandle handle) : path_(std::move(path)), key_(std::move(key)), handle_(handle) {}
  std::string state_path() const { return path_ + ".part.state"; }
  Status take_size(uint64_t size_bytes);
  uint64_t read_state(uint64_t size_bytes) const;
  Status failed(int err) const;

  const std::string path_;
  const std::string key_;
  const os::FileHandle handle_;
  uint64_t size_bytes_ = 0;
  uint64_t done_bytes_ = 0;
};

}  // namespace hotset
