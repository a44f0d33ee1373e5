// SPDX-License-Identifier: GPL-2.0-only
// random_verdicts FIRST COUNT [log|run]: what the kernel this runs on says of generated programs, a
// line each: ERRNO <tab> CATEGORY <tab> REASON; with each log, or running what PROG_TEST_RUN runs
// without a packet. To be run in a virtual machine; pack.py makes data of its output.
#include <bpf/btf.h>
#include <fmt/format.h>

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "conformance/verifier/random/batch.h"

namespace {

using namespace uscx;

void run(const conformance::GeneratedProgram& program, int fd) {
  u64 context[8] = {};
  bpf_attr attr{};
  attr.test.prog_fd = static_cast<u32>(fd);
  attr.test.ctx_in = reinterpret_cast<u64>(context);
  attr.test.ctx_size_in = sizeof(context);
  fmt::print("type {} runs\n", program.type);
  std::fflush(stdout);
  const long result = syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
  fmt::print("test run: {}, returned {}\n", result, attr.test.retval);
}

}  // namespace

int main(int argc, char** argv) {
  const u64 first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const u64 count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
  const ::btf* vmlinux = btf__load_vmlinux_btf();
  if (!vmlinux) {
    fmt::print(stderr, "the kernel's BTF cannot be read\n");
    return 1;
  }
  conformance::Batch batch(vmlinux);
  if (!batch.ready()) {
    fmt::print(stderr, "the maps cannot be made\n");
    return 1;
  }
  for (u64 seed = first; seed < first + count; ++seed) {
    const auto program = batch.program(seed);
    const std::string_view more = argc > 3 ? argv[3] : "";
    const auto verdict = batch.load(program, more == "run");
    fmt::print("{}\t{}\t{}\n", verdict.errnum, verdict.category, verdict.reason);
    if (more == "log") fmt::print("{}", batch.log());
    if (verdict.fd < 0) continue;
    run(program, verdict.fd);
    ::close(verdict.fd);
  }
  return 0;
}
