// SPDX-License-Identifier: GPL-2.0-only
#include "cli/run_options.h"

#include <fmt/format.h>

#include <array>
#include <cctype>

namespace uscx::cli {

namespace {

struct Unit {
  std::string_view name;
  u64 ns;
};
constexpr std::array<Unit, 6> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};
constexpr u64 kDurationMaxNs = 24 * 3'600'000'000'000ULL;

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-./=+:@%,") == std::string::npos;
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  out += '\'';
  return out;
}

}  // namespace

OrError<Nanos> parse_duration(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return error(fmt::format("duration '{}': {}; write 2s, 500ms, 250us or 1m", text, why));
  };
  u64 whole = 0, fraction = 0, scale = 1;
  std::size_t i = 0;
  for (; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); ++i) {
    whole = whole * 10 + static_cast<u64>(text[i] - '0');
    if (whole > kDurationMaxNs) return bad("too long (24 hours at most)");
  }
  if (i == 0) return bad("not a number");
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); ++i) {
      if (scale >= 1'000'000'000) continue;
      fraction = fraction * 10 + static_cast<u64>(text[i] - '0');
      scale *= 10;
    }
  }
  for (const Unit& unit : kUnits) {
    if (text.substr(i) != unit.name) continue;
    const auto ns = static_cast<unsigned __int128>(whole) * unit.ns +
                    static_cast<unsigned __int128>(fraction) * unit.ns / scale;
    if (ns > kDurationMaxNs) return bad("too long (24 hours at most)");
    if (ns < 1000) return bad("too short (1 us at least)");
    return Nanos{static_cast<u64>(ns)};
  }
  return bad(i == text.size() ? "its unit is missing" : "unknown unit");
}

namespace {

OrError<bpf::EngineKind> parse_engine(std::string_view name) {
  if (name.empty()) return bpf::default_engine();
  using enum bpf::EngineKind;
  for (const bpf::EngineKind kind : {kInterpreter, kJit, kCheckingJit}) {
    if (name != name_of(kind)) continue;
    if (kind != kInterpreter && bpf::default_engine() == kInterpreter) {
      return error(
          fmt::format("engine '{}': this host is no x86-64; there is the interpreter only", name));
    }
    return kind;
  }
  return error(fmt::format(
      "engine '{}': no such engine; there are jit, checking-jit and interpreter", name));
}

}  // namespace

OrError<RunPlan> plan_run(RunOptions options) {
  const auto duration = parse_duration(options.duration);
  if (!duration) return std::unexpected(duration.error());
  const auto version = btf::parse_version(options.kernel);
  if (!version) return std::unexpected(version.error());
  if (btf::builtin_btf(*version).empty()) {
    std::string known;
    for (const btf::KernelVersion v : btf::known_versions())
      known += fmt::format(" {}", v.to_string());
    return error(fmt::format("kernel {}: no such profile; there are{}", options.kernel, known));
  }
  const auto engine = parse_engine(options.engine);
  if (!engine) return std::unexpected(engine.error());
  RunPlan plan{.options = std::move(options),
               .duration = *duration,
               .kernel = *version,
               .engine = *engine,
               .settings = {}};
  for (const std::string& text : plan.options.settings) {
    auto setting = parse_setting(text);
    if (!setting) return std::unexpected(setting.error());
    plan.settings.push_back(std::move(*setting));
  }
  return plan;
}

std::string replay_command(const RunOptions& o) {
  std::string out =
      fmt::format("uscx run {} --machine {} --workload {} --duration {} --seed {} --kernel {}",
                  quoted(o.scheduler), quoted(o.machine), quoted(o.workload), quoted(o.duration),
                  o.seed, quoted(o.kernel));
  if (o.check) out += " --check";
  if (o.explore_seed != 0) out += fmt::format(" --explore-seed {}", o.explore_seed);
  if (o.explore_depth >= 0) out += fmt::format(" --explore-depth {}", o.explore_depth);
  for (const std::string& s : o.settings) out += fmt::format(" --set {}", quoted(s));
  for (const std::string& s : o.filled) out += fmt::format(" --fill {}", quoted(s));
  if (!o.ops.empty()) out += fmt::format(" --ops {}", quoted(o.ops));
  for (const std::string& s : o.calls) out += fmt::format(" --call {}", quoted(s));
  for (const std::string& s : o.wanted) out += fmt::format(" --get {}", quoted(s));
  return out;
}

}  // namespace uscx::cli
