// Runs every test and closes with one line: 'N passed, N failed, N skipped'.
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/test_support.h"

#include <doctest/doctest.h>
#ifdef HOTSET_SANITIZED
#include <dlfcn.h>
#endif

#include <cstdio>

namespace {

int passed = 0;
int failed = 0;
int skipped = 0;
bool current_skipped = false;

struct Tally : doctest::IReporter {
  explicit Tally(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  }
  void test_case_start(const doctest::TestCaseData&) override { current_skipped = false; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (stats.failure_flags != 0) ++failed;
    else if (current_skipped) ++skipped;
    else ++passed;
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("tally", 100, Tally);

}  // namespace

namespace hotset::test {

void note_skip(const char* why) {
  current_skipped = true;
  std::printf("skipped: %s\n", why);
}

}  // namespace hotset::test

// A leak in a library that was unloaded before the end has no name to be suppressed by: the libraries that Vulkan loads
// and unloads as it likes stay.
void keep_driver_libraries() {
#ifdef HOTSET_SANITIZED
  for (const char* name : {"libVkLayer_khronos_validation.so", "libvulkan_lvp.so"}) dlopen(name, RTLD_LAZY | RTLD_NODELETE);
#endif
}

int main(int argc, char** argv) {
  keep_driver_libraries();
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;
  // A run that executed nothing has proven nothing.
  return result == 0 && passed + skipped == 0 ? 1 : result;
}
