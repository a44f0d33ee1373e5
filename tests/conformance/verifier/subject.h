// SPDX-License-Identifier: GPL-2.0-only
// One program of a selftest's object, loaded (and run) by itself as the kernel's test_loader does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/verifier/expectations.h"

struct bpf_object;
struct bpf_program;

namespace uscx::conformance {

enum class Agreement : unsigned char { kNotAsked, kAgrees, kDiffers };

/// How one program fared.
struct Outcome {
  bool loaded = false;
  int errnum = 0;      // of the load
  std::string log;     // of the verifier
  std::string libbpf;  // what libbpf complained about
  Agreement verdict = Agreement::kNotAsked;
  Agreement messages = Agreement::kNotAsked;
  Agreement retval = Agreement::kNotAsked;
  Agreement streams = Agreement::kNotAsked;  // BPF_STDOUT and BPF_STDERR
  std::string note;                          // of the first difference
  std::string last_line;  // of the log, before its statistics; libbpf's where there is no log
};

/// The machine that the kernel is on.
struct Machine {
  /// What was said (dmesg) since last time.
  std::function<std::vector<std::string>()> take_log = [] { return std::vector<std::string>(); };
  /// Lets a little pass, so that timers that are due run.
  std::function<void()> pass_time = [] {};
};

/// One object file, read once.
class ObjectFile {
 public:
  /// The problem, where libbpf cannot open it.
  std::string open(const std::string& path);
  const std::string& name() const { return name_; }
  /// Every program, in the object's order, annotated or not.
  const std::vector<Expectations>& programs() const { return programs_; }
  /// Loads program `index` with those marked auxiliary, and runs it where a value is expected.
  /// The kernel is whichever one this process's bpf(2) reaches.
  Outcome check(std::size_t index, const Machine& machine = {}) const;

 private:
  bpf_object* open_again(const Expectations& spec) const;
  std::string path_, name_;
  std::vector<char> bytes_;
  std::vector<Expectations> programs_;
};

}  // namespace uscx::conformance
