// Sized: a struct of the C functions as programs of any age have it: with as many bytes as it says, no more, and something behind.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>

namespace hotset::test {

template <class Struct>
class Sized {
 public:
  // `size`: what it says of itself; one that cannot be has a little room behind what is known. What is behind that is `tail`.
  Sized(const Struct& values, size_t size, std::byte tail) : size_(size), room_(room_for(size)), tail_(tail), bytes_(new std::byte[room_]) {
    std::fill_n(bytes_.get(), room_, tail);
    std::memcpy(bytes_.get(), &values, std::min(room_, sizeof(Struct)));
    std::memcpy(bytes_.get(), &size, sizeof size);
  }

  Struct* get() { return reinterpret_cast<Struct*>(bytes_.get()); }
  bool can_be() const { return size_ >= sizeof(size_t); }
  bool has_all() const { return size_ >= sizeof(Struct); }
  // What it holds of its fields; the others are 0.
  Struct values() const {
    Struct values = {};
    std::memcpy(static_cast<void*>(&values), bytes_.get(), std::min(room_, sizeof(Struct)));
    return values;
  }
  // Neither the size nor what the library cannot know was written.
  bool is_kept() const {
    size_t size = 0;
    std::memcpy(&size, bytes_.get(), sizeof size);
    return size == size_ && std::all_of(bytes_.get() + std::min(room_, sizeof(Struct)), bytes_.get() + room_, [&](std::byte b) { return b == tail_; });
  }

 private:
  static size_t room_for(size_t size) { return std::max(sizeof(size_t), std::min(size, sizeof(Struct) + 64)); }

  size_t size_;
  size_t room_;
  std::byte tail_;
  std::unique_ptr<std::byte[]> bytes_;  // [room_], on its own so that a sanitizer sees what is read or written beyond
};

}  // namespace hotset::test
