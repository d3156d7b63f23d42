#include "offload/trace_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "platform/check.h"
#include "platform/clock.h"
#include "platform/log.h"

namespace hotset {

Result<std::unique_ptr<TraceWriter>> TraceWriter::create(const std::string& path, const Shape& shape) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (!file) return error(Code::kIo, "cannot write '%s': %s", path.c_str(), std::strerror(errno));
  std::unique_ptr<TraceWriter> writer(new TraceWriter(path, file, shape));
  std::string model = shape.model.empty() ? std::string("unknown") : shape.model;
  std::replace_if(model.begin(), model.end(), [](unsigned char c) { return c < ' '; }, ' ');
  writer->line_ = "# MOETRACE 1\n# model: " + model + "   moe_layers: " + std::to_string(shape.layers) + "   experts: " +
                  std::to_string(shape.experts) + "   top_k: " + std::to_string(shape.top_k) + "\n";
  writer->put_line();
  return writer;
}

TraceWriter::TraceWriter(std::string path, std::FILE* file, const Shape& shape)
    : path_(std::move(path)), shape_(shape), start_ns_(now_ns()), file_(file) {}

TraceWriter::~TraceWriter() {
  if (file_ && std::fclose(file_) != 0) log_line(LogLevel::kWarn, "the trace '%s' is not whole: %s", path_.c_str(), std::strerror(errno));
}

void TraceWriter::append(uint64_t number, char after) {
  std::array<char, 24> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  line_.append(text.data(), end);
  line_ += after;
}

void TraceWriter::token(uint32_t position, bool prompt, std::span<const uint16_t> ids) {
  HOTSET_CHECK(ids.size() == size_t{shape_.layers} * shape_.top_k);
  if (!file_) {
    ++lost_tokens_;
    return;
  }
  line_.clear();
  append(sequence_, '\t');
  append(position, '\t');
  line_ += prompt ? "p\t" : "d\t";
  for (size_t i = 0; i < ids.size(); ++i) append(ids[i], (i + 1) % shape_.top_k != 0 ? ',' : i + 1 < ids.size() ? '|' : '\n');
  ++tokens_;
  put_line();
}

void TraceWriter::link(const LinkEvent& event) {
  if (!file_ || event.start_ns < start_ns_) return;  // begun before the file
  line_ = event.link == EventLink::kHostToDevice ? "# link h2d " : "# link disk ";
  append(event.expert.layer, ' ');
  append(event.expert.expert, ' ');
  append(event.bytes, ' ');
  append(event.start_ns - start_ns_, ' ');
  append(event.duration_ns, '\n');
  put_line();
}

void TraceWriter::put_line() {
  if (std::fwrite(line_.data(), 1, line_.size(), file_) == line_.size()) return;
  log_line(LogLevel::kWarn, "the trace '%s' ends after %llu tokens: %s", path_.c_str(), static_cast<unsigned long long>(tokens_), std::strerror(errno));
  std::fclose(file_);
  file_ = nullptr;
}

}  // namespace hotset
