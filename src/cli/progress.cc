// SPDX-License-Identifier: GPL-2.0-only
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace uscx::cli {

Progress::Progress(bool wanted, Nanos total)
    : enabled_(wanted && isatty(STDERR_FILENO)), total_(total) {}

void Progress::update(Nanos now, u64 events) {
  if (!enabled_) return;
  const auto t = Clock::now();
  if (t - started_ < std::chrono::seconds(1) || t - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = t;
  visible_ = true;
  constexpr u32 kWidth = 40;
  const double done =
      std::min(1.0, static_cast<double>(now.ns) / static_cast<double>(std::max<u64>(total_.ns, 1)));
  const auto filled = static_cast<u32>(done * kWidth);
  const double wall_s = std::chrono::duration<double>(t - started_).count();
  const std::string line = fmt::format(
      "\r[{}{}] {:5.1f}%  {:.2f}/{:.2f} s  {:.1f} M events/s ", std::string(filled, '#'),
      std::string(kWidth - filled, '.'), done * 100, static_cast<double>(now.ns) / 1e9,
      static_cast<double>(total_.ns) / 1e9, static_cast<double>(events) / wall_s / 1e6);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!visible_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  visible_ = false;
}

}  // namespace uscx::cli
