// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verify.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "cli/loader.h"
#include "cli/loader_host.h"
#include "cli/struct_ops_mask.h"

namespace uscx::cli {

namespace {

constexpr std::size_t kLogSize = 16u << 20;
constexpr u32 kLogStats = 4;

std::string g_libbpf;  // libbpf prints through one function for the process

int collect(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 8192> line;
  const int n = std::vsnprintf(line.data(), line.size(), format, args);
  if (n > 0) g_libbpf += line.data();
  return n;
}

using Object = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

/// One object in one kernel.
class Verification {
 public:
  Verification(const std::string& path, const VerifyPlan& plan)
      : path_(path), plan_(plan), host_(plan.kernel, plan.vmlinux), log_(kLogSize) {}

  OrError<std::vector<ProgramVerdict>> run() {
    libbpf_set_print(collect);
    OrError<void> done;
    host_.run([&] { done = verify_all(); });
    libbpf_set_print(nullptr);
    if (!done) return std::unexpected(done.error());
    return std::move(verdicts_);
  }

 private:
  OrError<Object> open() {
    g_libbpf.clear();
    Object object(bpf_object__open_file(path_.c_str(), nullptr), bpf_object__close);
    if (!object) {
      return error(fmt::format("{}: libbpf cannot open it: {}", path_,
                               g_libbpf.substr(0, g_libbpf.find('\n'))));
    }
    const std::unique_ptr<::btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
    if (!kernel) return error("the kernel's BTF cannot be read");
    if (auto r = set_scx_enumerators(object.get(), kernel.get()); !r) {
      return std::unexpected(r.error());
    }
    if (auto r = apply_settings(object.get(), plan_.settings, kernel.get()); !r) {
      return std::unexpected(r.error());
    }
    return object;
  }

  OrError<void> verify_all() {
    std::vector<std::string> names;
    {
      auto object = open();
      if (!object) return std::unexpected(object.error());
      bpf_program* program;
      bpf_object__for_each_program(program, object->get()) {
        names.emplace_back(bpf_program__name(program));
      }
    }
    for (const std::string& name : names) {
      if (!plan_.program.empty() && name != plan_.program) continue;
      // Quietly first: the trace of a program that is accepted is long, and seldom wanted.
      auto verdict = verify_one(name, plan_.log_level | kLogStats);
      if (verdict && !verdict->accepted && plan_.log_level == 0) {
        verdict = verify_one(name, 1 | kLogStats);
      }
      if (!verdict) return std::unexpected(verdict.error());
      verdicts_.push_back(std::move(*verdict));
    }
    if (verdicts_.empty() && !plan_.program.empty()) {
      return error(fmt::format("{}: no program {} in it", path_, plan_.program));
    }
    return {};
  }

  OrError<ProgramVerdict> verify_one(const std::string& name, u32 log_level) {
    auto object = open();
    if (!object) return std::unexpected(object.error());
    bpf_program* wanted = bpf_object__find_program_by_name(object->get(), name.c_str());
    bpf_program* program;
    bpf_object__for_each_program(program, object->get()) {
      bpf_program__set_autoload(program, program == wanted);
    }
    mask_other_struct_ops(object->get(), wanted);
    log_[0] = '\0';
    bpf_program__set_log_buf(wanted, log_.data(), log_.size());
    bpf_program__set_log_level(wanted, log_level);

    ProgramVerdict v;
    v.file = std::filesystem::path(path_).filename().string();
    v.program = name;
    g_libbpf.clear();
    v.errnum = -bpf_object__load(object->get());
    v.accepted = v.errnum == 0;
    v.size = static_cast<u32>(bpf_program__insn_cnt(wanted));
    v.log = log_.data();
    read_statistics(v);
    if (v.log.empty()) v.log = g_libbpf;
    object->reset();
    host_.kernel().bpf().reap_closed_fds();
    return v;
  }

  static void read_statistics(ProgramVerdict& v) {
    unsigned long long insns = 0, limit = 0, per_insn = 0, states = 0, peak = 0, us = 0;
    const auto processed = v.log.rfind("processed ");
    if (processed == v.log.npos) return;
    v.has_statistics =
        std::sscanf(v.log.c_str() + processed,
                    "processed %llu insns (limit %llu) max_states_per_insn %llu total_states %llu "
                    "peak_states %llu",
                    &insns, &limit, &per_insn, &states, &peak) == 5;
    const auto time = v.log.rfind("verification time ");
    if (time != v.log.npos) std::sscanf(v.log.c_str() + time, "verification time %llu usec", &us);
    v.insns = insns;
    v.states = states;
    v.peak_states = peak;
    v.duration_us = us;
  }

  const std::string& path_;
  const VerifyPlan& plan_;
  LoaderHost host_;
  std::vector<char> log_;
  std::vector<ProgramVerdict> verdicts_;
};

}  // namespace

OrError<std::vector<ProgramVerdict>> verify_object(const std::string& path,
                                                   const VerifyPlan& plan) {
  if (std::string problem = object_file_problem(path); !problem.empty()) return error(problem);
  return Verification(path, plan).run();
}

std::string_view reason_in(std::string_view log) {
  std::string_view reason;
  while (!log.empty()) {
    const auto eol = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, eol);
    log.remove_prefix(std::min(eol + 1, log.size()));
    if (line.starts_with("Verification failed: ")) break;  // the diagnosis, which comes after it
    const bool statistics = line.starts_with("processed ") || line.starts_with("stack depth ") ||
                            line.starts_with("verification time ") ||
                            line.find(" insns_self ") != line.npos;
    if (!line.empty() && !statistics) reason = line;
  }
  return reason;
}

}  // namespace uscx::cli
