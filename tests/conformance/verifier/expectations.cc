// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/expectations.h"

#include <bpf/btf.h>
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace uscx::conformance {

namespace {

struct Tag {
  unsigned long order = 0;
  std::string_view text;
};

/// "comment:ORDER:TEXT" of every tag on the function, in order of ORDER: compilers keep none.
std::vector<Tag> tags_of(const ::btf* types, s32 function) {
  std::vector<Tag> tags;
  for (u32 id = 1; id < btf__type_cnt(types); ++id) {
    const btf_type* t = btf__type_by_id(types, id);
    if (!btf_is_decl_tag(t) || t->type != static_cast<u32>(function)) continue;
    if (btf_decl_tag(t)->component_idx != -1) continue;
    std::string_view text = btf__str_by_offset(types, t->name_off);
    constexpr std::string_view kPrefix = "comment:";
    if (!text.starts_with(kPrefix)) continue;
    text.remove_prefix(kPrefix.size());
    char* end = nullptr;
    const unsigned long order = std::strtoul(text.data(), &end, 10);
    if (*end != ':') continue;
    tags.push_back({order, end + 1});
  }
  std::stable_sort(tags.begin(), tags.end(),
                   [](const Tag& a, const Tag& b) { return a.order < b.order; });
  return tags;
}

struct Flag {
  std::string_view name;
  u32 value;
};
constexpr Flag kFlags[] = {
    {"BPF_F_STRICT_ALIGNMENT", 1u << 0},    {"BPF_F_ANY_ALIGNMENT", 1u << 1},
    {"BPF_F_TEST_RND_HI32", 1u << 2},       {"BPF_F_TEST_STATE_FREQ", 1u << 3},
    {"BPF_F_SLEEPABLE", 1u << 4},           {"BPF_F_XDP_HAS_FRAGS", 1u << 5},
    {"BPF_F_TEST_REG_INVARIANTS", 1u << 7},
};

/// Lines of a disassembly follow each other; "..." lets some lie between.
class Listing {
 public:
  explicit Listing(std::vector<Pattern>& to) : to_(to) {}
  void add(std::string_view text) {
    if (text == "...") {
      next_line_ = false;
      return;
    }
    to_.push_back({std::string(text), false, next_line_});
    next_line_ = true;
  }

 private:
  std::vector<Pattern>& to_;
  bool next_line_ = true;
};

class Reader {
 public:
  explicit Reader(Expectations& out) : out_(out) {}

  std::string read(std::string_view tag) {
    const auto equals = tag.find('=');
    const std::string_view key = tag.substr(0, equals);
    const std::string_view value = equals == tag.npos ? "" : tag.substr(equals + 1);
    if (key.ends_with("_unpriv")) {
      out_.unprivileged = true;
      if (key == "test_auxiliary_unpriv") out_.auxiliary = true;
      return {};
    }
    if (verdict(key) || text(key, value) || number(key, value)) return {};
    if (key == "test_description" || key == "test_jited") {
      out_.has_jited |= key == "test_jited";
      return {};
    }
    if (key == "test_arch") {
      arch_given_ = true;
      ours_ |= value == "X86_64";
      return {};
    }
    if (key == "load_mode") {
      out_.only_without_jit = value == "no_jited";
      return {};
    }
    return fmt::format("annotation {} is not known", tag);
  }

  void finish() {
    out_.other_architecture = arch_given_ && !ours_;
    if (!out_.privileged && !out_.unprivileged) out_.privileged = true;
  }

 private:
  bool verdict(std::string_view key) {
    if (key == "test_expect_failure" || key == "test_expect_success") {
      out_.fails = key == "test_expect_failure";
    } else if (key == "test_auxiliary") {
      out_.auxiliary = true;
    } else {
      return false;
    }
    out_.privileged = true;
    return true;
  }

  bool text(std::string_view key, std::string_view value) {
    if (key == "test_expect_msg" || key == "test_expect_not_msg") {
      out_.messages.push_back({std::string(value), key == "test_expect_not_msg", false});
      out_.privileged = true;
    } else if (key == "test_expect_xlated") {
      xlated_.add(value);
      out_.privileged = true;
    } else if (key == "test_expect_stderr") {
      stderr_.add(value);
    } else if (key == "test_expect_stdout") {
      stdout_.add(value);
    } else if (key == "test_btf_path") {
      out_.btf_path = value;
    } else if (key == "test_btf_func_path") {
      out_.btf_func_path = value;
    } else {
      return false;
    }
    return true;
  }

  bool number(std::string_view key, std::string_view value) {
    const std::string digits(value);
    // Decimal, or hexadecimal with 0x: a leading 0 is no octal.
    const bool hex = value.starts_with("0x") || value.starts_with("-0x");
    const long n = std::strtol(digits.c_str(), nullptr, hex ? 16 : 10);
    if (key == "test_retval") {
      out_.retval = value == "_INT_MIN" ? INT_MIN : static_cast<s32>(n);
      out_.privileged = true;
    } else if (key == "test_log_level") {
      out_.log_level = static_cast<u32>(n);
    } else if (key == "test_linear_size") {
      out_.linear_size = static_cast<u32>(n);
    } else if (key == "test_prog_flags") {
      flag(value);
    } else {
      return false;
    }
    return true;
  }

  void flag(std::string_view value) {
    const bool clear = value.starts_with('!');
    if (clear) value.remove_prefix(1);
    u32 bits = static_cast<u32>(std::strtoul(std::string(value).c_str(), nullptr, 0));
    for (const Flag& f : kFlags) {
      if (f.name == value) bits = f.value;
    }
    out_.prog_flags = clear ? out_.prog_flags & ~bits : out_.prog_flags | bits;
  }

  Expectations& out_;
  Listing xlated_{out_.xlated}, stderr_{out_.stderr_stream}, stdout_{out_.stdout_stream};
  bool arch_given_ = false, ours_ = false;
};

}  // namespace

std::string Expectations::left_out() const {
  if (auxiliary) return "auxiliary: no test of its own";
  if (!privileged) return "unprivileged half only: there are no unprivileged callers";
  if (other_architecture) return "for another architecture";
  if (only_without_jit) return "for kernels without a JIT";
  return {};
}

std::string read_expectations(const ::btf* types, const std::string& program, Expectations& out) {
  out = {};
  out.program = program;
  const s32 function = btf__find_by_name_kind(types, program.c_str(), BTF_KIND_FUNC);
  if (function < 0) return "the program has no BTF";
  // What test_progs adds to every program's flags on a kernel that knows both.
  out.prog_flags = (1u << 2) | (1u << 7);
  Reader reader(out);
  for (const Tag& tag : tags_of(types, function)) {
    out.annotated = true;
    if (std::string problem = reader.read(tag.text); !problem.empty()) return problem;
  }
  reader.finish();
  return {};
}

}  // namespace uscx::conformance
