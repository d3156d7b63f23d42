#include "offload/trace_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "platform/check.h"
#include "platform/clock.h"
#include "platform/log.h"

namespace hotset {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

// Of whole lines, those that are no comments.
uint64_t token_lines(std::string_view lines) {
  uint64_t count = 0;
  for (size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) count += lines[at] != '#';
  return count;
}

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::create(const std::string& path, const Shape& shape) {
  const os::OpenedFile opened = os::open_to_write(path, true);
  if (opened.error != 0) return error(Code::kIo, "cannot write '%s': %s", path.c_str(), std::strerror(opened.error));
  std::unique_ptr<TraceWriter> writer(new TraceWriter(path, opened.handle, shape));
  std::string model = shape.model.empty() ? std::string("unknown") : shape.model;
  std::replace_if(model.begin(), model.end(), [](unsigned char c) { return c < ' '; }, ' ');
  writer->lines_ = "# MOETRACE 1\n# model: " + model + "   moe_layers: " + std::to_string(shape.layers) + "   experts: " +
                   std::to_string(shape.experts) + "   top_k: " + std::to_string(shape.top_k) + "\n";
  writer->lines_.reserve(2 * kBufferBytes);
  const Status begun = writer->flush();
  if (begun.ok()) return writer;
  writer->close();
  return begun;
}

TraceWriter::TraceWriter(std::string path, os::FileHandle file, const Shape& shape)
    : path_(std::move(path)), shape_(shape), start_ns_(now_ns()), file_(file) {}

TraceWriter::~TraceWriter() { finish(); }

void TraceWriter::finish() {
  if (file_ == os::kNoFile) return;
  const Status flushed = flush();
  if (!flushed.ok()) return end(flushed);
  close();
}

void TraceWriter::close() { os::close(std::exchange(file_, os::kNoFile)); }

void TraceWriter::append(uint64_t number, char after) {
  std::array<char, 24> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  lines_.append(text.data(), end);
  lines_ += after;
}

void TraceWriter::token(uint32_t position, bool prompt, std::span<const uint16_t> ids) {
  HOTSET_CHECK(ids.size() == size_t{shape_.layers} * shape_.top_k);
  if (file_ == os::kNoFile) {
    ++lost_tokens_;
    return;
  }
  append(sequence_, '\t');
  append(position, '\t');
  lines_ += prompt ? "p\t" : "d\t";
  for (size_t i = 0; i < ids.size(); ++i) append(ids[i], (i + 1) % shape_.top_k != 0 ? ',' : i + 1 < ids.size() ? '|' : '\n');
  ++tokens_;
  flush_when_full();
}

void TraceWriter::link(const LinkEvent& event) {
  if (file_ == os::kNoFile || event.start_ns < start_ns_) return;  // begun before the file
  lines_ += event.link == EventLink::kHostToDevice ? "# link h2d " : "# link disk ";
  append(event.expert.layer, ' ');
  append(event.expert.expert, ' ');
  append(event.bytes, ' ');
  append(event.start_ns - start_ns_, ' ');
  append(event.duration_ns, '\n');
  flush_when_full();
}

void TraceWriter::flush_when_full() {
  if (lines_.size() < kBufferBytes) return;
  const Status flushed = flush();
  if (!flushed.ok()) end(flushed);
}

Status TraceWriter::flush() {
  const os::MovedBytes moved = os::write_all_at(file_, file_bytes_, std::as_bytes(std::span(lines_.data(), lines_.size())));
  const size_t put = moved.size_bytes;
  const size_t whole = put == lines_.size() ? put : lines_.rfind('\n', put == 0 ? 0 : put - 1) + 1;
  file_bytes_ += whole;
  file_tokens_ += token_lines(std::string_view(lines_).substr(0, whole));
  if (put != lines_.size()) return error(Code::kIo, "cannot write '%s': %s", path_.c_str(), std::strerror(moved.error));
  lines_.clear();
  return ok_status();
}

// A line that is cut would make all of the file unreadable.
void TraceWriter::end(const Status& why) {
  const bool cut = os::set_size(file_, file_bytes_) == 0;
  lost_tokens_ = tokens_ - file_tokens_;
  log_line(LogLevel::kWarn, "the trace ends after %llu of %llu tokens%s: %s", static_cast<unsigned long long>(file_tokens_),
           static_cast<unsigned long long>(tokens_), cut ? "" : ", within a line", why.message().c_str());
  tokens_ = file_tokens_;
  close();
}

}  // namespace hotset
