// Two stories at once on one engine, each streamed by a thread of its own: two_stories [MODEL].
#include <cstdio>
#include <hotset/hotset.hpp>
#include <mutex>
#include <string>
#include <thread>

int main(int argc, char** argv) try {
  hotset::api::options options;
  options.set("ctx", "256").set("seed", "7");
  const hotset::api::engine engine(argc > 1 ? argv[1] : "", options);
  const char* const starts[] = {"Once upon a time", "The little dog"};
  std::string stories[2];
  std::mutex printing;
  std::exception_ptr failed;
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] {
      try {
        hotset::api::session session(engine);
        session.generate(engine.tokenize(starts[i]), 60, [&](std::string_view text) {
          const std::lock_guard guard(printing);
          stories[i] += text;
          std::printf("%d|%.*s\n", i, static_cast<int>(text.size()), text.data());
          return true;
        });
      } catch (...) {
        const std::lock_guard guard(printing);
        failed = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
  for (int i = 0; i < 2; ++i) std::printf("\n%s%s\n", starts[i], stories[i].c_str());
  return stories[0].empty() || stories[1].empty();
} catch (const std::exception& error) {
  std::fprintf(stderr, "two_stories: %s\n", error.what());
  return 1;
}
