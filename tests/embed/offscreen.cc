// A program that draws 60 frames a second on its own Vulkan device while Hotset writes a story on the same device and queue:
// offscreen [--validate] [--slice MS] [MODEL]. Prints what frames took, alone and beside the story.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <hotset/hotset.hpp>
#include <thread>

#include "renderer.h"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;
constexpr auto kPace = std::chrono::microseconds(16'667);

// Draws at 60 frames a second, at least `least` of them, until `done`; what each took from its beginning until it was drawn.
std::vector<double> draw_frames(Renderer& renderer, uint32_t least, const std::atomic<bool>& done) {
  std::vector<double> took_ms;
  auto begin = Clock::now();
  while (took_ms.size() < least || !done) {
    renderer.draw(static_cast<uint32_t>(took_ms.size()));
    const auto now = Clock::now();
    took_ms.push_back(Milliseconds(now - begin).count());
    begin = std::max(begin + kPace, now);
    std::this_thread::sleep_until(begin);
  }
  return took_ms;
}

void print(const char* when, std::vector<double> took_ms) {
  std::sort(took_ms.begin(), took_ms.end());
  const auto late = static_cast<size_t>(std::count_if(took_ms.begin(), took_ms.end(), [](double ms) { return ms > Milliseconds(kPace).count(); }));
  std::printf("%s: %zu frames, median %.2f ms, 95%% within %.2f ms, longest %.2f ms, %zu late\n", when, took_ms.size(), took_ms[took_ms.size() / 2],
              took_ms[took_ms.size() * 95 / 100], took_ms.back(), late);
}

hotset::api::engine open(Renderer& renderer, const char* model, const char* slice) {
  hotset::api::options options;
  options.set("ctx", "256").set("temp", "0").set("slice", slice);
  hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
  params.model_path = model;
  params.options = options.handle();
  const hotset_vulkan_device device = renderer.shared();
  hotset_engine* engine = nullptr;
  hotset_error error = HOTSET_ERROR_INIT;
  const hotset_code code = hotset_engine_open_vulkan(&params, &device, &engine, &error);
  if (code != HOTSET_OK) throw hotset::api::error(code, error.message);
  return hotset::api::engine(engine);
}

}  // namespace

int main(int argc, char** argv) try {
  bool validate = false;
  const char* slice = "2";
  const char* model = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--validate") == 0) validate = true;
    else if (std::strcmp(argv[i], "--slice") == 0 && i + 1 < argc) slice = argv[++i];
    else model = argv[i];
  }
  Renderer renderer(validate);
  std::printf("%s, slices of %s ms\n", renderer.device_name(), slice);
  std::atomic<bool> done{true};
  print("frames alone", draw_frames(renderer, 120, done));
  std::string story;
  double tokens_per_s = 0;
  {
    const hotset::api::engine engine = open(renderer, model, slice);
    hotset::api::session session(engine);
    std::exception_ptr failed;
    done = false;
    std::thread writer([&] {
      try {
        session.generate(engine.tokenize("Once upon a time"), 120, [&](std::string_view text) {
          story += text;
          return true;
        });
      } catch (...) {
        failed = std::current_exception();
      }
      done = true;
    });
    print("frames beside a story", draw_frames(renderer, 60, done));
    writer.join();
    if (failed) std::rethrow_exception(failed);
    const hotset_stats stats = session.stats();
    tokens_per_s = static_cast<double>(stats.decode_tokens) * 1e9 / static_cast<double>(std::max<uint64_t>(stats.decode_ns, 1));
  }
  std::printf("%.1f tokens a second: Once upon a time%s\n", tokens_per_s, story.c_str());
  renderer.draw(0);  // the device is still the program's
  std::printf("the pixel in the middle is %08x, the validation layers %s\n", renderer.middle(),
              validate ? (renderer.complaints() ? "COMPLAINED" : "were silent") : "were not asked");
  return story.empty() || (renderer.middle() & 0xffffff) == 0 || renderer.complaints() > 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "offscreen: %s\n", error.what());
  return 1;
}
