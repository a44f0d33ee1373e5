// SPDX-License-Identifier: GPL-2.0-only
// real_kernel_verdicts [--logs FILE] [--program NAME]... OBJECT...: what the kernel this runs on
// says of every program, or of those named before the object. To be run in a virtual machine: its
// output is data to compare with. The lines are those of conformance_verifier, with "load=ERRNO"
// before the note and the log's last line as the note of programs without annotations; FILE gets
// every log.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "conformance/verifier/subject.h"

using namespace uscx;
using namespace uscx::conformance;

namespace {

std::string_view word(Agreement a) {
  constexpr std::string_view kWords[] = {"-", "agrees", "differs"};
  return kWords[static_cast<u32>(a)];
}

void check(const ObjectFile& object, std::size_t index, std::FILE* logs) {
  const Expectations& spec = object.programs()[index];
  const Outcome o = object.check(index);
  fmt::print("{}\t{}\t{}\t{} {} {} {}\tload={} {}\n", object.name(), spec.program,
             spec.fails ? "failure" : "success", word(o.verdict), word(o.messages), word(o.retval),
             word(o.streams), o.errnum, o.last_line);
  std::fflush(stdout);
  if (!logs) return;
  fmt::print(logs, "=== {} {} load={}\n{}", object.name(), spec.program, o.errnum, o.log);
  std::fflush(logs);
}

}  // namespace

int main(int argc, char** argv) {
  std::FILE* logs = nullptr;
  std::vector<std::string> named;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--logs") == 0 && i + 1 < argc) {
      logs = std::fopen(argv[++i], "w");
      continue;
    }
    if (std::strcmp(argv[i], "--program") == 0 && i + 1 < argc) {
      named.emplace_back(argv[++i]);
      continue;
    }
    ObjectFile object;
    const std::string problem = object.open(argv[i]);
    if (!problem.empty()) fmt::print(stderr, "{}: {}\n", argv[i], problem);
    for (std::size_t p = 0; p < object.programs().size(); ++p) {
      const Expectations& spec = object.programs()[p];
      const bool asked = named.empty() || std::ranges::find(named, spec.program) != named.end();
      if (asked && spec.left_out().empty()) check(object, p, logs);
    }
  }
  if (logs) std::fclose(logs);
  return 0;
}
