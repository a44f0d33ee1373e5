// SPDX-License-Identifier: GPL-2.0-only
// Runs the cases of the public BPF ISA conformance suite (*.data) in a directory through the
// verifier's checks of form and each engine.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "bpf/bpf.h"
#include "bpf/verifier/resolve_only.h"
#include "support/bpf_assembler.h"
#include "support/bpf_engine.h"

namespace uscx::bpf::test {
namespace {

struct Case {
  std::map<std::string, std::string> sections;  // "asm", "raw", "mem", "result", "error"
};

enum class Verdict { kPassed, kFailed, kSkipped };
struct Outcome {
  Verdict verdict;
  std::string why = {};
};

Case read_case(const std::filesystem::path& path) {
  Case result;
  std::ifstream file(path);
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("-- ")) {
      section = line.substr(3);
      while (section.ends_with(' ')) section.pop_back();
      result.sections[section];
    } else if (!section.empty()) {
      result.sections[section] += line + "\n";
    }
  }
  return result;
}

/// The words of a section, comments left out.
std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream parts(line.substr(0, line.find('#')));
    for (std::string word; parts >> word;) result.push_back(word);
  }
  return result;
}

OrError<std::vector<Insn>> program_of(const Case& test) {
  if (auto source = test.sections.find("asm"); source != test.sections.end()) {
    return Assembler::assemble(source->second);
  }
  std::vector<Insn> insns;
  for (const std::string& word : words(test.sections.at("raw"))) {
    const u64 raw = std::stoull(word, nullptr, 16);
    Insn insn;
    std::memcpy(&insn, &raw, sizeof(insn));
    insns.push_back(insn);
  }
  return insns;
}

bool calls_register(const std::vector<Insn>& insns) {
  return std::ranges::any_of(
      insns, [](const Insn& insn) { return insn.code == (isa::kCallOpcode | isa::kX); });
}

/// Linux refuses what the instruction set defines here, so only the engine can be tried.
bool refused_by_linux_alone(const std::vector<Insn>& insns, const std::string& log) {
  return log.find("invalid shift") != log.npos || calls_register(insns);
}

/// The suite's helper 5 gives back its argument.
u64 first_argument(HelperCall& call) {
  return call.args[0];
}

class Runner {
 public:
  Runner(AddressWindow& window, EngineKind kind)
      : window_(window),
        bpf_(host_, window, btf::kDefaultVersion),
        engine_({&bpf_, host_, window, env_.helper_table}, kind) {
    env_.helper_table.add(
        {.id = 5, .name = "unwind", .fn = &first_argument, .args = {ArgKind::kAnything}});
  }

  Outcome run(const Case& test) {
    auto insns = program_of(test);
    if (!insns) return {Verdict::kFailed, insns.error().message};
    const std::vector<u8> memory = memory_of(test);
    const bool wants_error = test.sections.contains("error");

    Program program;
    auto checked = verifier::resolve_only({.insns = *insns, .program = program, .env = env_});
    if (!checked.errnum) {
      program.insns = std::move(checked.program.insns);
      program.subprogram_starts = std::move(checked.program.subprogram_starts);
    } else if (refused_by_linux_alone(*insns, checked.log)) {
      program.insns = std::move(*insns);
      program.subprogram_starts = {0};
    } else {
      if (wants_error) return {Verdict::kPassed};
      return {Verdict::kFailed, "refused: " + checked.log};
    }

    void* block = memory.empty() ? nullptr : window_.allocate(memory.size(), kProgramMemory);
    if (block) std::memcpy(block, memory.data(), memory.size());
    host_.faults.clear();
    const u64 result = engine_.run_callback(program, encode_callback(0),
                                            {reinterpret_cast<u64>(block), memory.size()});
    window_.free(block);
    if (!host_.faults.empty()) {
      if (wants_error) return {Verdict::kPassed};
      return {Verdict::kFailed, host_.faults[0]};
    }
    const u64 expected = std::stoull(words(test.sections.at("result")).at(0), nullptr, 0);
    if (result == expected) return {Verdict::kPassed};
    return {Verdict::kFailed, fmt::format("r0 is {:#x}, not {:#x}", result, expected)};
  }

 private:
  static std::vector<u8> memory_of(const Case& test) {
    std::vector<u8> bytes;
    auto section = test.sections.find("mem");
    if (section == test.sections.end()) return bytes;
    for (const std::string& word : words(section->second)) {
      bytes.push_back(static_cast<u8>(std::stoul(word, nullptr, 16)));
    }
    return bytes;
  }

  AddressWindow& window_;
  RecordingHost host_;
  TestEnvironment env_;
  Bpf bpf_;
  Engine engine_;
};

int run_directory(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".data") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  auto window = AddressWindow::create();
  if (!window) {
    fmt::print(stderr, "{}\n", window.error().message);
    return 1;
  }
  std::vector<EngineKind> engines = {EngineKind::kInterpreter};
  if (default_engine() != EngineKind::kInterpreter) engines.push_back(default_engine());
  u32 counts[3] = {};
  for (EngineKind kind : engines) {
    Runner runner(**window, kind);
    for (const auto& path : paths) {
      const Outcome outcome = runner.run(read_case(path));
      counts[static_cast<u32>(outcome.verdict)]++;
      constexpr const char* kWords[] = {"PASS", "FAIL", "SKIP"};
      std::string why = outcome.why;
      std::ranges::replace(why, '\n', '|');
      fmt::print("{} {} ({}){}{}\n", kWords[static_cast<u32>(outcome.verdict)],
                 path.stem().string(), name_of(kind),
                 why.empty() ? "" : ": ", why);
    }
  }
  fmt::print("{} passed, {} failed, {} skipped\n", counts[0], counts[1], counts[2]);
  return counts[1] || !counts[0] ? 1 : 0;
}

}  // namespace
}  // namespace uscx::bpf::test

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: conformance_isa DIRECTORY\n");
    return 2;
  }
  if (!std::filesystem::is_directory(argv[1])) {
    fmt::print("{} is not there: the suite did not run\n0 passed, 0 failed, 1 skipped\n", argv[1]);
    return 0;
  }
  return uscx::bpf::test::run_directory(argv[1]);
}
