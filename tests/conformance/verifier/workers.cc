// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>

#include "base/assert.h"

namespace uscx::conformance {

namespace {

using Clock = std::chrono::steady_clock;

constexpr u32 kBatch = 50;  // items a process takes: a new process costs a kernel

/// A process that checks the items of one batch and writes "item answer" lines.
struct Process {
  pid_t pid = -1;
  int fd = -1;
  std::deque<u32> items;  // not yet answered, in order
  std::string text;       // of the line that is coming in
  Clock::time_point since{};
};

[[noreturn]] void work(const WorkerPool& pool, const std::deque<u32>& items, int fd) {
  std::FILE* out = fdopen(fd, "w");
  {
    const auto worker = pool.make_worker();
    for (const u32 item : items) {
      std::string answer = worker->check(item);
      for (char& c : answer) {
        if (c == '\n') c = ' ';
      }
      fmt::print(out, "{} {}\n", item, answer);
      std::fflush(out);
    }
    // Nothing is taken down: what a program may have broken is not to spoil the answers.
    std::_Exit(0);
  }
}

Process start(const WorkerPool& pool, std::deque<u32> items) {
  int fds[2];
  USCX_ASSERT(::pipe(fds) == 0);
  std::fflush(nullptr);
  Process p;
  p.items = std::move(items);
  p.since = Clock::now();
  p.pid = ::fork();
  USCX_ASSERT(p.pid >= 0);
  if (p.pid == 0) {
    ::close(fds[0]);
    work(pool, p.items, fds[1]);
  }
  ::close(fds[1]);
  p.fd = fds[0];
  return p;
}

/// Takes in whole lines; false at the end of the stream.
bool read_answers(const WorkerPool& pool, Process& p) {
  char buffer[65536];
  const ssize_t n = ::read(p.fd, buffer, sizeof(buffer));
  if (n <= 0) return false;
  p.text.append(buffer, static_cast<std::size_t>(n));
  for (std::size_t eol; (eol = p.text.find('\n')) != p.text.npos; p.text.erase(0, eol + 1)) {
    const auto space = p.text.find(' ');
    const u32 item = static_cast<u32>(std::stoul(p.text.substr(0, space)));
    USCX_ASSERT(!p.items.empty() && p.items.front() == item);
    p.items.pop_front();
    p.since = Clock::now();
    pool.done(item, p.text.substr(space + 1, eol - space - 1), false);
  }
  return true;
}

/// The process is gone; its first unanswered item is what ended it.
void finish(const WorkerPool& pool, Process& p, bool timed_out) {
  ::close(p.fd);
  int status = 0;
  ::waitpid(p.pid, &status, 0);
  if (p.items.empty()) return;
  std::string why = "timeout";
  if (!timed_out && WIFSIGNALED(status)) {
    why = fmt::format("crash: {}", strsignal(WTERMSIG(status)));
  } else if (!timed_out) {
    why = fmt::format("crash: exit status {}", WEXITSTATUS(status));
  }
  pool.done(p.items.front(), why, true);
  p.items.pop_front();
}

}  // namespace

void WorkerPool::run(u32 count) {
  std::deque<u32> waiting;
  for (u32 i = 0; i < count; ++i) waiting.push_back(i);
  std::vector<Process> running;
  const auto limit = std::chrono::seconds(timeout_s);
  while (!waiting.empty() || !running.empty()) {
    while (running.size() < jobs && !waiting.empty()) {
      const auto end = waiting.begin() + std::min<std::ptrdiff_t>(kBatch, std::ssize(waiting));
      std::deque<u32> batch(waiting.begin(), end);
      waiting.erase(waiting.begin(), end);
      running.push_back(start(*this, std::move(batch)));
    }
    std::vector<pollfd> polls;
    for (const Process& p : running) polls.push_back({p.fd, POLLIN, 0});
    ::poll(polls.data(), polls.size(), 1000);
    std::vector<Process> still;
    for (std::size_t i = 0; i < running.size(); ++i) {
      Process& p = running[i];
      const bool late = Clock::now() - p.since > limit;
      if (late) ::kill(p.pid, SIGKILL);
      if (late || (polls[i].revents && !read_answers(*this, p))) {
        finish(*this, p, late);
        waiting.insert(waiting.begin(), p.items.begin(), p.items.end());
      } else {
        still.push_back(std::move(p));
      }
    }
    running = std::move(still);
  }
}

}  // namespace uscx::conformance
