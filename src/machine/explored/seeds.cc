// SPDX-License-Identifier: GPL-2.0-only
#include "machine/explored/seeds.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/assert.h"

namespace uscx::machine {

namespace {

/// What the child tells, in memory that both see: which seed it is at, and what became of it.
struct Shared {
  u64 seed;
  bool failed;  // the body said so; `text` has what
  char text[16 * 1024];
};

std::string contents(int fd) {
  std::string text(static_cast<std::size_t>(std::max<off_t>(lseek(fd, 0, SEEK_END), 0)), '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

/// Runs seeds until the last, or one fails; never returns.
[[noreturn]] void child(const SeedsOptions& options, u64 from, Shared& shared, int log,
                        const std::function<std::string(u64)>& body) {
  dup2(log, STDERR_FILENO);
  for (u64 seed = from; seed < options.first + options.count; ++seed) {
    shared.seed = seed;
    static_cast<void>(ftruncate(log, 0));
    lseek(log, 0, SEEK_SET);
    alarm(options.seconds_per_seed);
    const std::string what = body(seed);
    if (what.empty()) continue;
    std::snprintf(shared.text, sizeof(shared.text), "%s", what.c_str());
    shared.failed = true;
    std::_Exit(0);
  }
  ++shared.seed;
  std::_Exit(0);
}

std::string died_of(int status, const std::string& written) {
  if (!WIFSIGNALED(status)) return written.empty() ? "the process ended" : written;
  if (WTERMSIG(status) == SIGALRM) return "the seed does not come to an end\n" + written;
  if (WTERMSIG(status) == SIGABRT && !written.empty()) return written;
  return fmt::format("{}\n{}", strsignal(WTERMSIG(status)), written);
}

}  // namespace

SeedsRun run_seeds(const SeedsOptions& options, const std::function<std::string(u64 seed)>& body) {
  SeedsRun run;
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  USCX_ASSERT(memory != MAP_FAILED);
  auto& shared = *static_cast<Shared*>(memory);
  const int log = memfd_create("seed", MFD_CLOEXEC);
  USCX_ASSERT(log >= 0);
  const u64 end = options.first + options.count;
  for (u64 from = options.first; from < end;) {
    shared.seed = from;
    shared.failed = false;
    std::fflush(stdout);
    std::fflush(stderr);
    const pid_t pid = fork();
    USCX_ASSERT(pid >= 0);
    if (pid == 0) child(options, from, shared, log, body);
    int status = 0;
    while (waitpid(pid, &status, 0) != pid) {
    }
    const u64 at = shared.seed;
    const bool died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (died) {
      run.failures.push_back({at, died_of(status, contents(log))});
    } else if (shared.failed) {
      run.failures.push_back({at, shared.text});
    }
    from = died || shared.failed ? at + 1 : end;
    run.seeds = from - options.first;
    if (options.progress) options.progress(run.seeds, run.failures.size());
    if (options.stop_at_first && !run.failures.empty()) break;
  }
  close(log);
  munmap(memory, sizeof(Shared));
  return run;
}

std::string failure_kind(std::string_view what) {
  std::string kind;
  bool in_number = false;
  for (const char c : what.substr(0, what.find('\n'))) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && !in_number) kind += 'N';
    if (!digit) kind += c;
    in_number = digit;
  }
  return kind;
}

std::vector<std::string> SeedsRun::kinds() const {
  std::vector<std::string> kinds;
  for (const SeedFailure& f : failures) {
    std::string kind = failure_kind(f.what);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  return kinds;
}

}  // namespace uscx::machine
