// SPDX-License-Identifier: GPL-2.0-only
// verifier_speed [--btf FILE] [--repeat N] OBJECT...: how long verification takes, here and in the
// kernel this machine runs. Loads every program of the objects by itself into both (the second
// needs root), N times, and adds up the shortest "verification time" of those that both accept;
// where the machine's kernel loads none, the time alone. The objects: BPF programs that any kernel
// knows, as the selftests compiled by tools/kernel-bpf-tests.sh, of comparable size to schedulers.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/loader_host.h"
#include "cli/struct_ops_mask.h"

namespace {

using namespace uscx;

int quiet(enum libbpf_print_level, const char*, va_list) {
  return 0;
}

struct Cost {
  u64 us = 0;
  u64 insns = 0;
};

std::optional<Cost> cost_in(const char* log) {
  const char* time = std::strstr(log, "verification time ");
  const char* processed = std::strstr(log, "processed ");
  unsigned long long us = 0, insns = 0;
  if (!time || std::sscanf(time, "verification time %llu usec", &us) != 1) return std::nullopt;
  if (processed) std::sscanf(processed, "processed %llu insns", &insns);
  return Cost{us, insns};
}

/// Into `costs`: "FILE/PROGRAM" -> its cost, of programs that the kernel behind this process's
/// bpf(2) accepts.
void load_all(const std::vector<std::string>& objects, std::map<std::string, Cost>& costs) {
  constexpr u32 kStats = 4;
  std::vector<char> log(1u << 20);
  for (const std::string& path : objects) {
    std::vector<std::string> names;
    bpf_object* listed = bpf_object__open_file(path.c_str(), nullptr);
    if (!listed) continue;
    bpf_program* program;
    bpf_object__for_each_program(program, listed) names.emplace_back(bpf_program__name(program));
    bpf_object__close(listed);
    for (const std::string& name : names) {
      bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
      bpf_program* wanted = bpf_object__find_program_by_name(object, name.c_str());
      bpf_object__for_each_program(program, object) {
        bpf_program__set_autoload(program, program == wanted);
      }
      cli::mask_other_struct_ops(object, wanted);
      log[0] = '\0';
      bpf_program__set_log_buf(wanted, log.data(), log.size());
      bpf_program__set_log_level(wanted, kStats);
      const bool loaded = bpf_object__load(object) == 0;
      if (const auto cost = cost_in(log.data()); loaded && cost) {
        const auto [it, fresh] = costs.emplace(path + "/" + name, *cost);
        if (!fresh) it->second.us = std::min(it->second.us, cost->us);
      }
      bpf_object__close(object);
    }
  }
}

/// The most memory this process had, in MiB.
long peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

int run(const std::vector<std::string>& objects, const std::string& btf, u32 repeat) {
  libbpf_set_print(quiet);
  std::map<std::string, Cost> ours, theirs;
  for (u32 i = 0; i < repeat; ++i) load_all(objects, theirs);
  const long before = peak_mib();
  std::ifstream file(btf, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  const auto types = std::as_bytes(std::span(bytes));
  cli::LoaderHost host(btf::kDefaultVersion, types);
  for (u32 i = 0; i < repeat; ++i) host.run([&] { load_all(objects, ours); });
  fmt::print("memory at most: {} MiB with the machine's kernel alone, {} MiB with ours\n", before,
             peak_mib());

  Cost here, there;
  u64 both = 0, slowest = 0;
  std::string slowest_name;
  for (const auto& [name, cost] : ours) {
    if (cost.us > slowest) slowest = cost.us, slowest_name = name;
    const auto other = theirs.find(name);
    if (other == theirs.end()) continue;
    ++both;
    here.us += cost.us, here.insns += cost.insns;
    there.us += other->second.us, there.insns += other->second.insns;
  }
  fmt::print("accepted: {} here, {} by this machine's kernel, {} by both\n", ours.size(),
             theirs.size(), both);
  fmt::print("slowest here: {} us, {}\n", slowest, slowest_name);
  if (!both || !there.us) {
    u64 us = 0, insns = 0;
    for (const auto& [name, cost] : ours) us += cost.us, insns += cost.insns;
    fmt::print("this machine's kernel loads none of them; here: {} us for {} insns\n", us, insns);
    return ours.empty() ? 1 : 0;
  }
  fmt::print("verification: here {} us ({} insns), kernel {} us ({} insns), ratio {:.2f}\n",
             here.us, here.insns, there.us, there.insns,
             static_cast<double>(here.us) / static_cast<double>(there.us));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> objects;
  std::string btf;
  u32 repeat = 3;
  CLI::App app{"Verification time here and in this machine's kernel, as a ratio"};
  app.add_option("objects", objects, "Compiled BPF objects")->required();
  app.add_option("--btf", btf, "Kernel types to verify against here; the built-in ones without");
  app.add_option("--repeat", repeat, "Loads of each program; the shortest counts");
  CLI11_PARSE(app, argc, argv);
  return run(objects, btf, repeat);
}
