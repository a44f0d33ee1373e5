// SPDX-License-Identifier: GPL-2.0-only
// random_verdicts FIRST COUNT [LOG-OF-SEED]: what the kernel this runs on says of generated
// programs, a line each: ERRNO <tab> CATEGORY <tab> REASON. To be run in a virtual machine; pack.py
// makes data of its output.
#include <bpf/btf.h>
#include <fmt/format.h>

#include <cstdlib>

#include "conformance/verifier/random/batch.h"

int main(int argc, char** argv) {
  using namespace uscx;
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
    const auto verdict = batch.load(batch.program(seed));
    fmt::print("{}\t{}\t{}\n", verdict.errnum, verdict.category, verdict.reason);
    if (argc > 3) fmt::print("{}", batch.log());
  }
  return 0;
}
