// Sleeping until a word changes. Its halves are posix/word_wait.cc and windows/word_wait.cc: libstdc++ 12's own std::atomic::wait sleeps
// through a change now and then where it has no futex, as on Windows.
#pragma once

#include <atomic>
#include <cstdint>

namespace hotset {

// Returns when the word is found to be another than `value`. Who changes it wakes the sleepers afterwards.
void sleep_while(const std::atomic<uint32_t>& word, uint32_t value);
void wake_one(std::atomic<uint32_t>& word);
void wake_all(std::atomic<uint32_t>& word);

}  // namespace hotset
