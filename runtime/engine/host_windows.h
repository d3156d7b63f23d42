// The ways in which a device reads experts in host memory.
#pragma once

#include <vector>

#include "offload/expert_pieces.h"
#include "offload/residency.h"
#include "platform/vulkan/host_import.h"

namespace hotset {

// The CPU follows pointers: an expert's address is that of its ExpertPieces.
class CpuWindow final : public HostWindow {
 public:
  explicit CpuWindow(const ExpertTable& table) : table_(table), pieces_(table.entries()) {}
  uint64_t address(ExpertId id, std::span<const RecordPart> parts) override {
    ExpertPieces& pieces = pieces_[size_t{id.layer} * table_.experts() + id.expert];
    pieces = pieces_of(table_, id.layer, parts);
    return reinterpret_cast<uint64_t>(&pieces);
  }

 private:
  const ExpertTable& table_;
  std::vector<ExpertPieces> pieces_;  // [layers][experts]
};

// A GPU reads experts that lie in one piece in memory that was imported; before add() that is nothing.
class ImportWindow final : public HostWindow {
 public:
  // `import` outlives the window, or its clear().
  void add(const HostImport& import) { imports_.push_back(&import); }
  void clear() { imports_.clear(); }
  bool empty() const { return imports_.empty(); }
  uint64_t address(ExpertId, std::span<const RecordPart> parts) override {
    if (parts.size() != 1) return 0;
    for (const HostImport* import : imports_) {
      if (const auto address = import->device_address(parts[0].bytes.data(), parts[0].bytes.size())) return *address;
    }
    return 0;
  }

 private:
  std::vector<const HostImport*> imports_;
};

}  // namespace hotset
