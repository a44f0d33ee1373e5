// SPDX-License-Identifier: GPL-2.0-only
#include "observe/report.h"

#include <fmt/format.h>

namespace uscx::observe {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return "completed";
    case Outcome::kUnregistered:
      return "unregistered";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kError:
      return "error";
    case Outcome::kStall:
      return "stall";
  }
  return "unknown";
}

int exit_status(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
    case Outcome::kUnregistered:
      return 0;
    case Outcome::kRefused:
      return 2;
    case Outcome::kError:
      return 3;
    case Outcome::kStall:
      return 4;
  }
  return 1;
}

std::string status_line(const RunReport& report) {
  switch (report.outcome) {
    case Outcome::kCompleted:
      return {};
    case Outcome::kUnregistered:
      if (report.exit && report.exit->msg.empty()) {  // nobody's words: SysRq-S
        return fmt::format("uscx: scheduler \"{}\" {}", report.scheduler, report.exit->reason);
      }
      return fmt::format("uscx: scheduler \"{}\" unregistered itself: {}", report.scheduler,
                         report.exit ? report.exit->msg : "");
    case Outcome::kRefused:
      return fmt::format("uscx: refused at load: {}", report.message);
    case Outcome::kError:
    case Outcome::kStall:
      return fmt::format("uscx: scheduler \"{}\" ejected ({}): {}", report.scheduler,
                         report.exit ? report.exit->reason : "",
                         report.exit ? report.exit->msg : "");
  }
  return {};
}

}  // namespace uscx::observe
