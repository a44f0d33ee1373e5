// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/batch.h"

#include <bpf/btf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace uscx::conformance {

namespace {

constexpr u32 kLogSize = 1u << 18;
constexpr u32 kLogStats = 4;  // refusals and statistics, no trace

long bpf_call(int command, bpf_attr& attr) {
  return syscall(SYS_bpf, command, &attr, sizeof(attr));
}

/// The byte offset of a path like "scx.slice" from struct or union `id`.
std::optional<u32> offset_of(const ::btf* types, u32 id, std::string_view path) {
  const btf_type* t = btf__type_by_id(types, id);
  while (t && (btf_is_mod(t) || btf_is_typedef(t))) t = btf__type_by_id(types, t->type);
  if (!t || !btf_is_composite(t)) return std::nullopt;
  const auto dot = path.find('.');
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    const btf_member& m = btf_members(t)[i];
    const std::string_view name = btf__name_by_offset(types, m.name_off);
    const u32 at = btf_member_bit_offset(t, i) / 8;
    if (name == path.substr(0, dot)) {
      if (dot == path.npos) return at;
      const auto rest = offset_of(types, m.type, path.substr(dot + 1));
      return rest ? std::optional(at + *rest) : std::nullopt;
    }
    if (name.empty()) {
      if (const auto inside = offset_of(types, m.type, path)) return at + *inside;
    }
  }
  return std::nullopt;
}

u32 member_of(const ::btf* types, const char* type, std::string_view member) {
  const s32 id = btf__find_by_name_kind(types, type, BTF_KIND_STRUCT);
  if (id < 0) return 0;
  const btf_type* t = btf__type_by_id(types, static_cast<u32>(id));
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    if (member == btf__name_by_offset(types, btf_members(t)[i].name_off)) return i;
  }
  return 0;
}

s32 make_map(const GeneratedMap& map) {
  bpf_attr attr{};
  attr.map_type = map.type;
  attr.key_size = map.key_size;
  attr.value_size = map.value_size;
  attr.max_entries = map.max_entries;
  return static_cast<s32>(bpf_call(BPF_MAP_CREATE, attr));
}

std::string category_in(const std::string& log) {
  constexpr std::string_view kMark = "\nVerification failed: ";
  const auto at = log.find(kMark);
  if (at == log.npos) return {};
  const auto from = at + kMark.size();
  return log.substr(from, log.find('\n', from) - from);
}

}  // namespace

Batch::Batch(const ::btf* vmlinux) {
  for (std::size_t i = 0; i < kGeneratedMaps.size(); ++i) {
    links_.map_fds[i] = make_map(kGeneratedMaps[i]);
  }
  links_.btf_id = [vmlinux](std::string_view name, bool function) {
    const s32 id = btf__find_by_name_kind(vmlinux, std::string(name).c_str(),
                                          function ? BTF_KIND_FUNC : BTF_KIND_STRUCT);
    return id > 0 ? static_cast<u32>(id) : 0;
  };
  links_.ops_member = [vmlinux](std::string_view name) {
    return member_of(vmlinux, "sched_ext_ops", name);
  };
  links_.task_offset = [vmlinux](std::string_view path) {
    const s32 id = btf__find_by_name_kind(vmlinux, "task_struct", BTF_KIND_STRUCT);
    return id > 0 ? offset_of(vmlinux, static_cast<u32>(id), path).value_or(0) : 0;
  };
}

Batch::~Batch() {
  for (const s32 fd : links_.map_fds) {
    if (fd >= 0) ::close(fd);
  }
}

bool Batch::ready() const {
  for (const s32 fd : links_.map_fds) {
    if (fd < 0) return false;
  }
  return true;
}

Verdict Batch::load(const GeneratedProgram& program, bool keep) {
  static std::vector<char> buffer(kLogSize);
  buffer[0] = '\0';
  bpf_attr attr{};
  attr.prog_type = program.type;
  attr.insns = reinterpret_cast<u64>(program.insns.data());
  attr.insn_cnt = static_cast<u32>(program.insns.size());
  attr.license = reinterpret_cast<u64>("GPL");
  attr.log_buf = reinterpret_cast<u64>(buffer.data());
  attr.log_size = kLogSize;
  attr.log_level = kLogStats;
  attr.prog_flags = program.sleepable ? BPF_F_SLEEPABLE : 0;
  attr.expected_attach_type = program.expected_attach_type;
  attr.attach_btf_id = program.attach_btf_id;
  const long fd = bpf_call(BPF_PROG_LOAD, attr);
  Verdict verdict;
  verdict.errnum = fd < 0 ? errno : 0;
  log_ = buffer.data();
  if (fd < 0) {
    verdict.reason = refusal_template(log_);
    verdict.category = category_in(log_);
  } else if (keep) {
    verdict.fd = static_cast<int>(fd);
  } else {
    ::close(static_cast<int>(fd));
  }
  return verdict;
}

}  // namespace uscx::conformance
