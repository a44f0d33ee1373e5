// SPDX-License-Identifier: GPL-2.0-only
#include "cli/loader.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/types.h"

namespace uscx::cli {

namespace {

constexpr u32 kUeiDumpLenDefault = 32768;  // UEI_DUMP_DFL_LEN of the loaders' headers

/// libbpf prints through one function for the process.
std::string g_libbpf_log;

int collect_libbpf_output(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 16384> line;
  const int n = std::vsnprintf(line.data(), line.size(), format, args);
  if (n > 0)
    g_libbpf_log.append(line.data(),
                        std::min<std::size_t>(static_cast<std::size_t>(n), line.size() - 1));
  return n;
}

std::expected<void, LoadError> input_error(std::string message) {
  return std::unexpected(LoadError{LoadError::Kind::kInput, std::move(message)});
}

std::expected<void, LoadError> refused(std::string message) {
  return std::unexpected(LoadError{LoadError::Kind::kRefused, std::move(message)});
}

/// What an errno of libbpf's, its own ones included, means.
std::string error_text(int err) {
  std::array<char, 128> text{};
  libbpf_strerror(err, text.data(), text.size());
  return text.data();
}

/// `text` for a terminal: a broken object's names may have anything in them.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

/// The line of the log that says why: the last of the verifier's before its statistics, else the
/// first of libbpf's warnings.
std::string telling_line(std::string_view log) {
  std::string_view first_warning, verdict;
  bool in_verifier_log = false, in_diagnosis = false;
  while (!log.empty()) {
    const auto eol = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, eol);
    log.remove_prefix(std::min(eol + 1, log.size()));
    if (line.find("-- BEGIN PROG LOAD LOG --") != line.npos)
      in_verifier_log = true, in_diagnosis = false;
    else if (line.find("-- END PROG LOAD LOG --") != line.npos)
      in_verifier_log = false;
    else if (in_verifier_log && line.starts_with("Verification failed: "))
      in_diagnosis = true;  // what comes after the line that tells why
    else if (in_verifier_log && (line.starts_with("cur state:") || line.starts_with("old state:")))
      continue;  // what "infinite loop detected" found the same
    else if (in_verifier_log && !in_diagnosis && !line.empty() && !line.starts_with("processed "))
      verdict = line;
    else if (!in_verifier_log && first_warning.empty() && line.starts_with("libbpf: ") &&
             !line.ends_with("Retrying without BTF.") &&
             !line.starts_with("libbpf: elf: skipping "))
      first_warning = line;
  }
  return printable(verdict.empty() ? first_warning : verdict);
}

/// The value of enumerator `name` in the kernel's BTF, searched in all enums as the kernel's header
/// of loaders does by type.
bool find_enumerator(const ::btf* types, const std::string& name, u64* value) {
  const u32 count = btf__type_cnt(types);
  for (u32 id = 1; id < count; ++id) {
    const btf_type* t = btf__type_by_id(types, id);
    if (!btf_is_any_enum(t)) continue;
    for (u32 i = 0; i < btf_vlen(t); ++i) {
      const u32 off = btf_is_enum(t) ? btf_enum(t)[i].name_off : btf_enum64(t)[i].name_off;
      if (name != btf__name_by_offset(types, off)) continue;
      *value = btf_is_enum(t) ? static_cast<u64>(static_cast<s64>(btf_enum(t)[i].val))
                              : btf_enum64_value(&btf_enum64(t)[i]);
      return true;
    }
  }
  return false;
}

/// A member of the object's own ops struct, in the bytes that libbpf lets loaders edit.
struct OpsMember {
  u32 offset = 0;
  u32 size = 0;
};

std::optional<OpsMember> find_ops_member(const bpf_object* object, const bpf_map* map,
                                         const char* member) {
  const ::btf* types = bpf_object__btf(object);
  const btf_type* t = btf__type_by_id(types, bpf_map__btf_value_type_id(map));
  if (!t || !btf_is_struct(t)) return std::nullopt;
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    const btf_member& m = btf_members(t)[i];
    if (std::strcmp(btf__name_by_offset(types, m.name_off), member) != 0) continue;
    return OpsMember{btf_member_bit_offset(t, i) / 8,
                     static_cast<u32>(btf__resolve_size(types, m.type))};
  }
  return std::nullopt;
}

/// An array of maps, and what each of its elements is to be.
struct MapToFill {
  bpf_map* outer;
  bpf_attr inner;  // of BPF_MAP_CREATE
};

OrError<MapToFill> map_to_fill(const bpf_object* object, const std::string& name) {
  bpf_map* outer = bpf_object__find_map_by_name(object, name.c_str());
  const bpf_map* inner = outer ? bpf_map__inner_map(outer) : nullptr;
  if (inner == nullptr || bpf_map__type(outer) != BPF_MAP_TYPE_ARRAY_OF_MAPS) {
    return error(fmt::format("--fill {}: the scheduler has no such array of maps", name));
  }
  MapToFill out{.outer = outer, .inner = {}};
  out.inner.map_type = bpf_map__type(inner);
  out.inner.key_size = bpf_map__key_size(inner);
  out.inner.value_size = bpf_map__value_size(inner);
  out.inner.max_entries = bpf_map__max_entries(inner);
  out.inner.map_flags = bpf_map__map_flags(inner);
  return out;
}

OrError<void> fill(MapToFill map) {
  const char* name = bpf_map__name(map.outer);
  for (u32 i = 0; i < bpf_map__max_entries(map.outer); ++i) {
    const int fd =
        static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &map.inner, sizeof(map.inner)));
    if (fd < 0) return error(fmt::format("map {} of {}: {}", i, name, error_text(errno)));
    const int err = bpf_map__update_elem(map.outer, &i, sizeof(i), &fd, sizeof(fd), BPF_ANY);
    ::close(fd);
    if (err) return error(fmt::format("element {} of {}: {}", i, name, error_text(-err)));
  }
  return {};
}

}  // namespace

Loader::Loader() {
  g_libbpf_log.clear();
  libbpf_set_print(collect_libbpf_output);
}

Loader::~Loader() {
  close();
  libbpf_set_print(nullptr);
}

const std::string& Loader::log() const {
  return g_libbpf_log;
}

std::string Loader::refusal(const char* what, int err) const {
  const std::string line = telling_line(g_libbpf_log);
  return fmt::format("{}: {}{}", what, error_text(err), line.empty() ? "" : ": " + line);
}

std::string object_file_problem(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fmt::format("{}: {}", path, std::strerror(errno));
  struct stat st;
  std::array<char, 64> head{};
  const bool regular = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  const ssize_t n = regular ? ::read(fd, head.data(), head.size()) : -1;
  ::close(fd);
  if (!regular) return fmt::format("{}: not a regular file", path);
  if (n < 4 || std::memcmp(head.data(), "\177ELF", 4) != 0) {
    return fmt::format("{}: not an ELF file; a compiled scheduler (.bpf.o) is wanted", path);
  }
  if (n < 64) return fmt::format("{}: truncated ELF file ({} bytes)", path, n);
  u16 machine;
  std::memcpy(&machine, head.data() + 18, 2);
  if (head[4] != 2 || machine != 247) {
    return fmt::format("{}: not a BPF object (ELF machine {}); compile it with clang -target bpf",
                       path, machine);
  }
  return {};
}

OrError<void> set_scx_enumerators(bpf_object* object, const ::btf* kernel) {
  for (const std::string& name : variables_with_prefix(object, "__SCX_")) {
    u64 value = 0;
    find_enumerator(kernel, name.substr(2), &value);
    if (auto r = set_integer_if_present(object, name, value); !r) return std::unexpected(r.error());
  }
  return {};
}

std::expected<void, LoadError> Loader::open(const std::string& path,
                                            const std::vector<VariableSetting>& settings,
                                            const std::vector<std::string>& wanted,
                                            const std::string& ops_struct) {
  if (std::string problem = object_file_problem(path); !problem.empty()) {
    return input_error(std::move(problem));
  }
  object_ = bpf_object__open_file(path.c_str(), nullptr);
  if (!object_) {
    const int err = errno;
    return input_error(refusal(fmt::format("{}: libbpf cannot open it", path).c_str(), err));
  }
  if (auto r = find_struct_ops(path, ops_struct); !r) return r;
  const std::unique_ptr<::btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
  if (!kernel) return refused("the kernel's BTF cannot be read");
  if (auto r = prepare_variables(kernel.get()); !r) return r;
  if (auto r = apply_settings(object_, settings, kernel.get()); !r)
    return input_error(r.error().message);
  read_ops_name();
  for (const std::string& name : wanted) {
    if (auto r = check_readable(object_, name); !r) return input_error(r.error().message);
  }
  return {};
}

std::expected<void, LoadError> Loader::find_struct_ops(const std::string& path,
                                                       const std::string& ops_struct) {
  bpf_map* map;
  u32 found = 0;
  std::string names;
  bpf_object__for_each_map(map, object_) {
    if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS) continue;
    const ::btf* types = bpf_object__btf(object_);
    const btf_type* t = btf__type_by_id(types, bpf_map__btf_value_type_id(map));
    const std::string_view type = t ? btf__name_by_offset(types, t->name_off) : "";
    if (!type.starts_with("sched_ext_ops")) continue;
    names += fmt::format(" {}", bpf_map__name(map));
    if (!ops_struct.empty() && ops_struct != bpf_map__name(map)) continue;
    ++found;
    ops_map_ = map;
    ops_has_link_ = (bpf_map__map_flags(map) & BPF_F_LINK) != 0;
  }
  if (names.empty())
    return input_error(fmt::format("{}: no scheduler in it (no struct sched_ext_ops)", path));
  if (found == 0)
    return input_error(
        fmt::format("{}: no scheduler '{}' in it; there are{}", path, ops_struct, names));
  if (found > 1)
    return input_error(
        fmt::format("{}: {} schedulers in it; choose one with --ops:{}", path, found, names));
  return {};
}

void Loader::read_ops_name() {
  std::size_t size = 0;
  const auto* ops = static_cast<const char*>(bpf_map__initial_value(ops_map_, &size));
  const auto name = find_ops_member(object_, ops_map_, "name");
  if (ops && name && name->offset + u64{name->size} <= size) {
    ops_name_.assign(ops + name->offset, strnlen(ops + name->offset, name->size));
  }
}

std::expected<void, LoadError> Loader::prepare_variables(const ::btf* kernel) {
  if (auto r = set_scx_enumerators(object_, kernel); !r) return input_error(r.error().message);

  // Refuse to start on a machine whose CPUs changed meanwhile, as SCX_OPS_OPEN() does.
  if (const int fd = ::open("/sys/kernel/sched_ext/hotplug_seq", O_RDONLY); fd >= 0) {
    std::array<char, 32> text{};
    const ssize_t n = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    std::size_t ops_size = 0;
    auto* bytes = static_cast<char*>(bpf_map__initial_value(ops_map_, &ops_size));
    if (const auto m = find_ops_member(object_, ops_map_, "hotplug_seq");
        n > 0 && bytes && m && m->size == 8) {
      const u64 seq = std::strtoull(text.data(), nullptr, 10);
      std::memcpy(bytes + m->offset, &seq, 8);
    }
  }

  // The exit information's dump buffer is as long as ops.exit_dump_len says.
  std::size_t size = 0;
  auto* ops = static_cast<char*>(bpf_map__initial_value(ops_map_, &size));
  u32 dump_len = 0;
  if (const auto m = find_ops_member(object_, ops_map_, "exit_dump_len");
      ops && m && m->size == 4) {
    std::memcpy(&dump_len, ops + m->offset, 4);
  }
  if (dump_len == 0) dump_len = kUeiDumpLenDefault;
  if (auto r = set_integer_if_present(object_, "uei_dump_len", dump_len); !r)
    return input_error(r.error().message);
  else if (*r) {
    const VariableSetting s{
        .text = "uei_dump", .path = "uei_dump", .value = {}, .resize = true, .elements = dump_len};
    if (auto done = apply_settings(object_, {s}); !done) return input_error(done.error().message);
  }
  return {};
}

std::expected<void, LoadError> Loader::load(const std::vector<std::string>& to_fill) {
  // libbpf forgets how the inner maps were declared once the outer one is made.
  std::vector<MapToFill> maps;
  for (const std::string& name : to_fill) {
    const auto map = map_to_fill(object_, name);
    if (!map) return input_error(map.error().message);
    maps.push_back(*map);
  }
  if (const int err = bpf_object__load(object_); err) return refused(refusal("load", -err));
  for (const MapToFill& map : maps) {
    if (const auto done = fill(map); !done) return refused(done.error().message);
  }
  bpf_program* prog;
  bpf_object__for_each_program(prog, object_) {
    if (bpf_program__type(prog) == BPF_PROG_TYPE_STRUCT_OPS || !bpf_program__autoload(prog))
      continue;
    if (const int err = bpf_program__assoc_struct_ops(prog, ops_map_, nullptr); err) {
      return refused(fmt::format("program {} cannot be associated with the scheduler: {}",
                                 bpf_program__name(prog), error_text(-err)));
    }
  }
  return {};
}

std::expected<void, LoadError> Loader::attach() {
  bpf_program* prog;
  bpf_object__for_each_program(prog, object_) {
    if (!bpf_program__autoattach(prog) || !bpf_program__autoload(prog)) continue;
    const auto type = bpf_program__type(prog);
    if (type == BPF_PROG_TYPE_STRUCT_OPS || type == BPF_PROG_TYPE_SYSCALL) continue;
    bpf_link* link = bpf_program__attach(prog);
    if (!link)
      return refused(
          refusal(fmt::format("attach of program {}", bpf_program__name(prog)).c_str(), errno));
    links_.push_back(link);
  }
  bpf_link* link = bpf_map__attach_struct_ops(ops_map_);
  if (!link) return refused(refusal("attach", errno));
  links_.push_back(link);
  return {};
}

void Loader::detach() {
  // The scheduler first, as loaders do.
  for (auto it = links_.rbegin(); it != links_.rend(); ++it) bpf_link__destroy(*it);
  links_.clear();
}

OrError<u32> Loader::call(const std::string& call, Pid self) {
  const auto eq = call.find('=');
  const std::string name = call.substr(0, eq);
  const bpf_program* prog = bpf_object__find_program_by_name(object_, name.c_str());
  if (!prog || bpf_program__type(prog) != BPF_PROG_TYPE_SYSCALL) {
    return error(fmt::format("--call {}: no SYSCALL program '{}' in the object", call, name));
  }
  // libbpf's own header for this has the name of one of ours.
  union bpf_attr attr = {};
  attr.test.prog_fd = static_cast<u32>(bpf_program__fd(prog));
  u64 context = static_cast<u64>(self);
  if (eq != call.npos) {
    const std::string value = call.substr(eq + 1);
    char* end = nullptr;
    errno = 0;
    if (value != "self") context = std::strtoull(value.c_str(), &end, 0);
    if (value != "self" && (value.empty() || *end != 0 || errno != 0)) {
      return error(fmt::format("--call {}: '{}' is neither a number nor self", call, value));
    }
    attr.test.ctx_in = reinterpret_cast<u64>(&context);
    attr.test.ctx_size_in = sizeof context;
  }
  if (::syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr.test)) < 0) {
    return error(fmt::format("--call {}: {}", call, error_text(errno)));
  }
  return attr.test.retval;
}

OrError<std::string> Loader::read(const std::string& path) const {
  return read_variable(object_, path);
}

void Loader::close() {
  detach();
  if (object_) bpf_object__close(object_);
  object_ = nullptr;
}

}  // namespace uscx::cli
