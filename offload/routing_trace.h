// RoutingTrace: which experts a run's router chose, as trace_writer.h writes it (text, MOETRACE 1), read and checked as a whole.
//
// Lines that start with '#' are a header, of which "model:", "moe_layers:", "experts:" and "top_k:" are used; other '#' lines are passed over
// wherever they stand, so that files may say more than this reader knows; those that begin with "# link " are transfers, as
// trace_writer.h writes them. Every other line is a token: sequence,
// position, phase ('p' prompt, 'd' decode) and the experts chosen, with commas within a layer and '|' between layers, all four
// divided by tabs. A value; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offload/link_events.h"
#include "platform/status.h"

namespace hotset {

class RoutingTrace {
 public:
  // Errors: no such file (kNotFound), more than a gigabyte (kInvalidArgument), a line that is no token (kCorrupt, with its
  // number), sizes that contradict each other or the header (kCorrupt).
  static Result<RoutingTrace> load(const std::string& path);
  static Result<RoutingTrace> parse(std::string_view text);

  const std::string& model() const { return model_; }
  uint32_t layers() const { return layers_; }
  uint32_t experts() const { return experts_; }  // as the header says, else one more than the largest id
  uint32_t top_k() const { return top_k_; }      // the most of any layer of any token
  uint64_t tokens() const { return layers_ == 0 ? 0 : (starts_.size() - 1) / layers_; }
  // Transfers, where the file has them; start_ns counts from the file's beginning.
  std::span<const LinkEvent> links() const { return links_; }
  // One after another, as in the file.
  std::span<const uint16_t> ids(uint64_t token, uint32_t layer) const {
    const size_t at = token * layers_ + layer;
    return std::span(ids_).subspan(starts_[at], starts_[at + 1] - starts_[at]);
  }

 private:
  void read_header(std::string_view line);
  Status read_link(std::string_view line);
  Status read_token(std::string_view line);
  Status read_layer(std::string_view text);
  Status finish();

  std::string model_;
  uint32_t layers_ = 0;
  uint32_t header_layers_ = 0;
  uint32_t experts_ = 0;
  uint32_t top_k_ = 0;
  uint32_t largest_id_ = 0;
  std::vector<LinkEvent> links_;
  std::vector<uint16_t> ids_;
  std::vector<size_t> starts_ = {0};  // [tokens * layers + 1] of each layer's ids
};

}  // namespace hotset
