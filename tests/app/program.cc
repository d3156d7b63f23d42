#include "tests/app/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;

namespace hotset::test {
namespace {

std::string hotset_path() { return std::string(HOTSET_BINARY_DIR) + "/hotset"; }

ProgramResult run(const std::vector<std::string>& command, const std::string& input) {
  const TemporaryFile in(input), out(""), err("");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, in.path().c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.path().c_str(), O_WRONLY | O_TRUNC, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.path().c_str(), O_WRONLY | O_TRUNC, 0);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  REQUIRE(spawned == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out.content(), err.content()};
}

}  // namespace

ProgramResult run_hotset(const std::vector<std::string>& args, const std::string& input) {
  std::vector<std::string> command = {hotset_path()};
  command.insert(command.end(), args.begin(), args.end());
  return run(command, input);
}

ProgramResult run_shell(const std::string& command) {
  return run({"/bin/sh", "-c", "HOTSET=\"$0\"; " + command, hotset_path()}, "");
}

TemporaryFile::TemporaryFile(const std::string& content) {
  path_ = (std::filesystem::temp_directory_path() / "hotset-test-XXXXXX").string();
  const int descriptor = ::mkstemp(path_.data());
  REQUIRE(descriptor >= 0);
  ::close(descriptor);
  std::ofstream(path_, std::ios::binary) << content;
}

TemporaryFile::~TemporaryFile() { std::remove(path_.c_str()); }

std::string TemporaryFile::content() const {
  std::ostringstream text;
  text << std::ifstream(path_, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace hotset::test
