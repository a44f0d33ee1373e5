// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/subject.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/struct_ops_mask.h"

namespace uscx::conformance {

namespace {

constexpr std::size_t kLogSize = 2u << 20;  // TEST_LOADER_LOG_BUF_SZ
constexpr int kStreamRead = 37;             // BPF_PROG_STREAM_READ_BY_FD
constexpr u32 kStdout = 1, kStderr = 2;     // BPF_STDOUT, BPF_STDERR
constexpr u32 kTestDataLen = 64;            // TEST_DATA_LEN

std::string g_libbpf;

int collect(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 4096> line;
  const int n = std::vsnprintf(line.data(), line.size(), format, args);
  if (n > 0) g_libbpf += line.data();
  return n;
}

std::vector<char>& log_buffer() {
  static std::vector<char> buffer(kLogSize);
  return buffer;
}

/// The line that tells why: the last of the verifier's before its statistics.
std::string last_line(std::string_view log) {
  std::string_view told;
  while (!log.empty()) {
    const auto eol = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, eol);
    if (line.starts_with("Verification failed: ")) break;  // the diagnosis comes after it
    if (!line.empty() && !line.starts_with("processed ") &&
        !line.starts_with("verification time") && !line.starts_with("stack depth") &&
        line.find(" insns_self ") == line.npos) {
      told = line;
    }
    log.remove_prefix(std::min(eol + 1, log.size()));
  }
  return std::string(told);
}

std::string first_libbpf_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

bpf_program* select(bpf_object* object, const std::vector<Expectations>& specs, std::size_t index) {
  bpf_program* wanted = nullptr;
  bpf_program* program;
  std::size_t i = 0;
  bpf_object__for_each_program(program, object) {
    const Expectations& spec = specs[i];
    if (i++ == index) wanted = program;
    bpf_program__set_autoload(program, program == wanted || (spec.auxiliary && spec.privileged));
  }
  return wanted;
}

/// Runs the program as the kernel's test_loader does; the problem, or empty.
std::string run(const bpf_program* program, const Expectations& spec, s32& value) {
  const std::vector<u8> in = spec.packet.empty() ? std::vector<u8>(kTestDataLen) : spec.packet;
  std::array<u8, kTestDataLen << 2> out{};
  __sk_buff skb{};
  bpf_attr attr{};
  attr.test.prog_fd = static_cast<u32>(bpf_program__fd(program));
  if (bpf_program__type(program) != BPF_PROG_TYPE_SYSCALL) {
    attr.test.data_in = reinterpret_cast<u64>(in.data());
    attr.test.data_size_in = static_cast<u32>(in.size());
    attr.test.data_out = reinterpret_cast<u64>(out.data());
    attr.test.data_size_out = out.size();
    attr.test.repeat = 1;
    if (spec.linear_size) {
      skb.data_end = spec.linear_size;
      attr.test.ctx_in = reinterpret_cast<u64>(&skb);
      attr.test.ctx_size_in = sizeof(skb);
    }
  }
  if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) < 0) {
    return fmt::format("test_run: {}", std::strerror(errno));
  }
  value = static_cast<s32>(attr.test.retval);
  return {};
}

/// What the program has written to a stream.
std::string read_stream(const bpf_program* program, u32 stream) {
  std::string text(kLogSize, '\0');
  struct {
    u64 buf;
    u32 len, id, prog_fd;
  } attr = {.buf = reinterpret_cast<u64>(text.data()),
            .len = static_cast<u32>(text.size()),
            .id = stream,
            .prog_fd = static_cast<u32>(bpf_program__fd(program))};
  const long bytes = syscall(SYS_bpf, kStreamRead, &attr, offsetof(decltype(attr), prog_fd) + 4);
  text.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  return text;
}

/// The difference from what is expected in the streams after a run; empty where there is none.
std::string check_streams(const bpf_program* program, const Expectations& spec) {
  std::string problem;
  auto check = [&](u32 stream, const std::vector<Pattern>& patterns) {
    if (patterns.empty() || !problem.empty()) return;
    const std::string text = read_stream(program, stream);
    problem = first_mismatch(text, patterns);
    if (!problem.empty()) problem += fmt::format("; stream {}: {:?}", stream, text);
  };
  check(kStdout, spec.stdout_stream);
  check(kStderr, spec.stderr_stream);
  return problem;
}

/// Registers every struct_ops map of the object, as a test that runs a program expects.
class Attachments {
 public:
  ~Attachments() {
    for (bpf_link* link : links_) bpf_link__destroy(link);
  }
  std::string attach(bpf_object* object) {
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
      if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS || !bpf_map__autocreate(map)) continue;
      bpf_link* link = bpf_map__attach_struct_ops(map);
      if (!link) return fmt::format("attach of {}: {}", bpf_map__name(map), std::strerror(errno));
      links_.push_back(link);
    }
    return {};
  }

 private:
  std::vector<bpf_link*> links_;
};

/// What prog_tests/exceptions.c does first.
std::string fill_jump_table(const bpf_object* object) {
  const bpf_program* target =
      bpf_object__find_program_by_name(object, "exception_tail_call_target");
  const bpf_map* map = bpf_object__find_map_by_name(object, "jmp_table");
  const u32 key = 0;
  const int fd = target ? bpf_program__fd(target) : -1;
  if (map && bpf_map__update_elem(map, &key, sizeof(key), &fd, sizeof(fd), 0) == 0) return {};
  return fmt::format("jmp_table cannot be filled: {}", std::strerror(errno));
}

/// What prog_tests/verifier.c puts into a map before a program of these files runs.
std::string fill_maps(const std::string& file, const bpf_object* object) {
  if (file == "exceptions") return fill_jump_table(object);
  const char* name = file == "verifier_array_access"      ? "map_array_ro"
                     : file == "verifier_value_ptr_arith" ? "map_array_48b"
                                                          : nullptr;
  if (!name) return {};
  struct {
    u32 index;
    u32 foo[11];
  } value = {.index = (6 + 1) * sizeof(int), .foo = {}};
  value.foo[6] = 0xabcdef12;
  const bpf_map* map = bpf_object__find_map_by_name(object, name);
  const u32 key = 0;
  if (map && bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), 0) == 0) return {};
  return fmt::format("{} cannot be filled: {}", name, std::strerror(errno));
}

Agreement agreement(bool agrees) {
  return agrees ? Agreement::kAgrees : Agreement::kDiffers;
}

void check_retval(const Machine& machine, const std::string& file, bpf_object* object,
                  const bpf_program* program, const Expectations& spec, Outcome& outcome) {
  Attachments attachments;
  machine.take_log();
  s32 value = 0;
  std::string problem = attachments.attach(object);
  if (problem.empty()) problem = fill_maps(file, object);
  if (problem.empty()) problem = run(program, spec, value);
  if (problem.empty() && *spec.retval != kAnyRetval && value != *spec.retval) {
    problem = fmt::format("returned {}, expected {}", value, *spec.retval);
  }
  // A run that faulted is no agreement, whatever it returned.
  for (const std::string& line : machine.take_log()) {
    if (line.find("fault") == line.npos) continue;
    problem += problem.empty() ? line : "; " + line;
  }
  outcome.retval = agreement(problem.empty());
  if (outcome.note.empty()) outcome.note = problem;
  if (spec.stdout_stream.empty() && spec.stderr_stream.empty()) return;
  machine.pass_time();
  const std::string unlike = check_streams(program, spec);
  outcome.streams = agreement(unlike.empty());
  if (outcome.note.empty()) outcome.note = unlike;
}

}  // namespace

std::string ObjectFile::open(const std::string& path) {
  libbpf_set_print(collect);
  path_ = path;
  name_ = std::filesystem::path(path).filename().string();
  name_ = name_.substr(0, name_.find(".bpf"));
  std::ifstream file(path, std::ios::binary);
  bytes_.assign(std::istreambuf_iterator<char>(file), {});
  bpf_object* object = open_again({});
  if (!object) return fmt::format("libbpf cannot open it: {}", std::strerror(errno));
  std::string problem;
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    Expectations spec;
    const std::string bad =
        read_expectations(bpf_object__btf(object), bpf_program__name(program), spec);
    if (!bad.empty()) problem = fmt::format("{}: {}", bpf_program__name(program), bad);
    expect_from_elsewhere(name_, spec);
    programs_.push_back(std::move(spec));
  }
  bpf_object__close(object);
  return problem;
}

bpf_object* ObjectFile::open_again(const Expectations& spec) const {
  bpf_object_open_opts opts{};
  opts.sz = sizeof(opts);
  opts.object_name = name_.c_str();
  std::string types = spec.btf_path.empty() ? spec.btf_func_path : spec.btf_path;
  if (constexpr std::string_view kObject = ".bpf.o"; types.ends_with(kObject)) {
    // It lies beside the object, under a name that does not look like a test's.
    types.resize(types.size() - kObject.size());
    types = std::filesystem::path(path_).parent_path() / (types + ".o");
  }
  if (!types.empty()) opts.btf_custom_path = types.c_str();
  return bpf_object__open_mem(bytes_.data(), bytes_.size(), &opts);
}

Outcome ObjectFile::check(std::size_t index, const Machine& machine) const {
  const Expectations& spec = programs_[index];
  Outcome outcome;
  g_libbpf.clear();
  bpf_object* object = open_again(spec);
  if (!object) {
    outcome.verdict = Agreement::kDiffers;
    outcome.note = fmt::format("cannot be opened: {}", std::strerror(errno));
    return outcome;
  }
  bpf_program* program = select(object, programs_, index);
  // Objects that are no tests are loaded program by program even where a table names several.
  if (!spec.annotated) cli::mask_other_struct_ops(object, program);
  std::vector<char>& buffer = log_buffer();
  buffer[0] = '\0';
  bpf_program__set_log_buf(program, buffer.data(), buffer.size());
  bpf_program__set_log_level(program, std::getenv("USCX_LOG_LEVEL") ? 2 : spec.log_level);
  bpf_program__set_flags(program, bpf_program__flags(program) | spec.prog_flags);
  outcome.errnum = -bpf_object__load(object);
  outcome.loaded = outcome.errnum == 0;
  outcome.log = buffer.data();
  outcome.libbpf = g_libbpf;

  outcome.last_line = last_line(outcome.log);
  if (outcome.last_line.empty()) outcome.last_line = first_libbpf_line(outcome.libbpf);

  outcome.verdict = agreement(outcome.loaded != spec.fails);
  const std::string mismatch = first_mismatch(outcome.log, spec.messages);
  if (!spec.messages.empty()) {
    outcome.messages = agreement(outcome.verdict == Agreement::kAgrees && mismatch.empty());
  }
  if (outcome.verdict == Agreement::kDiffers) {
    outcome.note = outcome.loaded ? "accepted" : outcome.last_line;
  } else if (!mismatch.empty()) {
    outcome.note = fmt::format("{}; last line: {}", mismatch, outcome.last_line);
  }
  if (spec.retval && !spec.fails && outcome.loaded) {
    check_retval(machine, name_, object, program, spec, outcome);
  } else if (spec.retval && !spec.fails) {
    outcome.retval = Agreement::kDiffers;
  }
  bpf_object__close(object);
  return outcome;
}

}  // namespace uscx::conformance
