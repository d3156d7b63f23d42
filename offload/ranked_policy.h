// RankedPolicy: what policies share that give every tenant a rank and let the lowest go.
//
// A derived policy keeps, for each layer and heat, its tenants in some order; the search for a victim over layers, floors,
// heats and pins is done here. One owner thread.
#pragma once

#include "offload/slot_book.h"

namespace hotset {

class RankedPolicy : public Policy {
 public:
  void insert(SlotId slot, ExpertId tenant, Heat heat) final;
  void touch(SlotId slot) final;
  void erase(SlotId slot) final;
  void used_elsewhere(ExpertId id) final { note_use(id); }
  SlotId victim(uint32_t layer, Heat reach, const Pins& pins) final;

  void set_floor(uint32_t floor) final { book_.set_floor(floor); }
  uint32_t residents(uint32_t layer) const final { return book_.residents(layer); }
  bool knows(SlotId slot) const final { return book_.knows(slot); }
  ExpertId tenant_of(SlotId slot) const final { return book_.tenant_of(slot); }
  Heat heat_of(SlotId slot) const final { return book_.heat_of(slot); }
  Status check() const final;

 protected:
  explicit RankedPolicy(const PolicyShape& shape) : book_(shape) {}

  // A slot joins or leaves the order of its tenant's layer and heat (the book has both).
  virtual void join(SlotId slot) = 0;
  virtual void part(SlotId slot) = 0;
  // Some decode token used the expert.
  virtual void note_use(ExpertId id) = 0;
  // Whether a use changes the place of a hot tenant in its order.
  virtual bool use_moves() const { return true; }
  // Called before ranks are read.
  virtual void settle() {}
  // The unpinned tenant of this layer and heat that goes first, or kNoSlot.
  virtual SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const = 0;
  // Comparable between all layers; the lowest goes.
  virtual double rank(SlotId slot) const = 0;
  // The victim among the hot ones. By default the lowest of all layers that may be taken from.
  virtual SlotId hot_victim(uint32_t layer, const Pins& pins) { return lowest_of_peers(layer, Heat::kHot, pins); }
  // Compares the orders with the book; `hot` and `cold` tenants are what the book says of the layer.
  virtual Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const = 0;

  const SlotBook& book() const { return book_; }
  SlotId lowest_of_peers(uint32_t layer, Heat heat, const Pins& pins) const;

 private:
  SlotBook book_;
};

}  // namespace hotset
