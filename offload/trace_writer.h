// TraceWriter: writes which experts a run's router chose, as a text file in the format MOETRACE 1:
//
//   # MOETRACE 1
//   # model: NAME   moe_layers: 5   experts: 32   top_k: 2
//   seq TAB pos TAB phase TAB ids of layer 0|ids of layer 1|...
//
// One line a token, `phase` p for prompt and d for decode, ids by falling score. On request the transfers of experts since the line before
// follow a token, in lines that readers of routing alone pass over:
//
//   # link h2d|disk LAYER EXPERT BYTES START_NS DURATION_NS
//
// START_NS counts from when the file was begun. Advice only: a write that fails (disk full) is logged once, the file ends with the last line
// that there was room for, the tokens that it lacks are counted, and the run goes on. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "offload/link_events.h"
#include "platform/os_file.h"
#include "platform/status.h"

namespace hotset {

class TraceWriter {
 public:
  struct Shape {
    std::string model;
    uint32_t layers = 0;
    uint32_t experts = 0;
    uint32_t top_k = 0;
  };

  // Replaces `path`. Error: it cannot be written.
  static Result<std::unique_ptr<TraceWriter>> create(const std::string& path, const Shape& shape);
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  // Later tokens belong to another text.
  void next_sequence() { ++sequence_; }
  // The choices of one token: `ids` [layers][top_k].
  void token(uint32_t position, bool prompt, std::span<const uint16_t> ids);
  // One transfer of an expert.
  void link(const LinkEvent& event);
  // Writes what waits; nothing can follow. Destruction does it too.
  void finish();
  // In the file, or waiting to be written; and those that a failure took.
  uint64_t tokens() const { return tokens_; }
  uint64_t lost_tokens() const { return lost_tokens_; }

 private:
  TraceWriter(std::string path, os::FileHandle file, const Shape& shape);
  void append(uint64_t number, char after);
  void flush_when_full();
  // Writes the lines that wait.
  Status flush();
  void end(const Status& why);
  void close();

  const std::string path_;
  const Shape shape_;
  const uint64_t start_ns_;
  os::FileHandle file_;      // kNoFile after a failure
  std::string lines_;        // whole ones, to be written
  uint64_t file_bytes_ = 0;  // of whole lines
  uint64_t file_tokens_ = 0;
  uint32_t sequence_ = 0;
  uint64_t tokens_ = 0;
  uint64_t lost_tokens_ = 0;
};

}  // namespace hotset
