#include "offload/slot_book.h"

namespace hotset {

SlotBook::SlotBook(const PolicyShape& shape)
    : floor_(shape.floor),
      experts_(shape.experts),
      class_of_layer_(shape.class_of_layer),
      layers_of_class_(shape.classes),
      entries_(shape.slots),
      residents_(shape.class_of_layer.size(), 0) {
  for (uint32_t layer = 0; layer < class_of_layer_.size(); ++layer) {
    layers_of_class_[index_of(class_of_layer_[layer])].push_back(layer);
  }
}

Status SlotBook::check() const {
  std::vector<uint32_t> counted(residents_.size(), 0);
  for (const Entry& entry : entries_) counted[entry.tenant.layer] += entry.known ? 1 : 0;
  for (uint32_t layer = 0; layer < layers(); ++layer) {
    if (counted[layer] != residents_[layer]) {
      return error(Code::kCorrupt, "layer %u has %u residents and counts %u", layer, counted[layer], residents_[layer]);
    }
  }
  return ok_status();
}

}  // namespace hotset
