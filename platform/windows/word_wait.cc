#include "platform/word_wait.h"

#include "platform/windows/wide.h"

namespace hotset {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);

void sleep_while(const std::atomic<uint32_t>& word, uint32_t value) {
  auto* address = const_cast<std::atomic<uint32_t>*>(&word);
  while (word.load() == value) ::WaitOnAddress(address, &value, sizeof value, INFINITE);
}

void wake_one(std::atomic<uint32_t>& word) { ::WakeByAddressSingle(&word); }

void wake_all(std::atomic<uint32_t>& word) { ::WakeByAddressAll(&word); }

}  // namespace hotset
