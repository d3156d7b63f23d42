// HandleTable: the objects that a C program holds, by names that can be checked: a handle is a number in a pointer's clothes, never followed.
//
// The number says the kind, the place in the table and how often that place was used, so that a handle which is closed, of another kind or
// never was finds nothing. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace hotset {

enum class HandleKind : uint64_t { kOptions = 1, kEngine = 2, kSession = 3, kParser = 4 };

template <class T, HandleKind kKind>
class HandleTable {
 public:
  // nullptr: the table is full.
  void* add(std::shared_ptr<T> object) {
    const std::lock_guard guard(lock_);
    size_t place = 0;
    while (place < places_.size() && places_[place].object) ++place;
    if (place >> kPlaceBits != 0) return nullptr;
    if (place == places_.size()) places_.emplace_back();
    places_[place].object = std::move(object);
    return encode(place, places_[place].uses);
  }

  // nullptr: no such handle. The object lives as long as the pointer does, also when it is closed meanwhile.
  std::shared_ptr<T> find(const void* handle) const {
    const std::lock_guard guard(lock_);
    const size_t place = place_of(handle);
    return place < places_.size() ? places_[place].object : nullptr;
  }

  std::shared_ptr<T> take(const void* handle) {
    const std::lock_guard guard(lock_);
    const size_t place = place_of(handle);
    if (place >= places_.size()) return nullptr;
    ++places_[place].uses;
    return std::move(places_[place].object);
  }

  // Takes those that `belongs` says yes to.
  template <class Belongs>
  std::vector<std::shared_ptr<T>> take_all(Belongs belongs) {
    const std::lock_guard guard(lock_);
    std::vector<std::shared_ptr<T>> taken;
    for (Place& place : places_) {
      if (!place.object || !belongs(*place.object)) continue;
      ++place.uses;
      taken.push_back(std::move(place.object));
    }
    return taken;
  }

 private:
  struct Place {
    std::shared_ptr<T> object;
    uint32_t uses = 1;
  };
  static constexpr unsigned kPlaceBits = 16, kUseBits = sizeof(uintptr_t) * 8 - kPlaceBits - 4;
  static constexpr uintptr_t kUseMask = (uintptr_t{1} << kUseBits) - 1;

  static void* encode(size_t place, uint32_t uses) {
    const uintptr_t number = (uintptr_t{static_cast<uintptr_t>(kKind)} << (kUseBits + kPlaceBits)) | ((uses & kUseMask) << kPlaceBits) | place;
    return reinterpret_cast<void*>(number);
  }
  size_t place_of(const void* handle) const {
    const size_t place = reinterpret_cast<uintptr_t>(handle) & ((uintptr_t{1} << kPlaceBits) - 1);
    const bool names_it = place < places_.size() && places_[place].object && encode(place, places_[place].uses) == handle;
    return names_it ? place : places_.size();
  }

  mutable std::mutex lock_;
  std::vector<Place> places_;  // guarded by lock_; at most 2^16 objects of a kind at a time
};

}  // namespace hotset
