#include "platform/word_wait.h"

namespace hotset {

void sleep_while(const std::atomic<uint32_t>& word, uint32_t value) { word.wait(value); }

void wake_one(std::atomic<uint32_t>& word) { word.notify_one(); }

void wake_all(std::atomic<uint32_t>& word) { word.notify_all(); }

}  // namespace hotset
