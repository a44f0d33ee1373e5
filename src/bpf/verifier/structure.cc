// SPDX-License-Identifier: GPL-2.0-only
// Subprograms: where they begin and end, what BTF says of them, the order in which they call.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

/// Index of the subprogram that begins at `off`, made if needed; -errno.
int add_subprogram(Verifier& v, s64 off) {
  if (off >= v.len() || off < 0) return v.refuse(EINVAL, "call to invalid destination\n");
  auto begin = v.subprogs.begin();
  auto end = begin + v.subprog_cnt;
  auto it =
      std::lower_bound(begin, end, off, [](const Subprogram& s, s64 at) { return s.start < at; });
  if (it != end && it->start == off) return static_cast<int>(it - begin);
  if (v.subprog_cnt >= kMaxSubprogs) return v.refuse(E2BIG, "too many subprograms\n");
  Subprogram sub;
  sub.start = static_cast<u32>(off);
  v.subprogs.insert(it, sub);
  ++v.subprog_cnt;
  return 0;
}

/// The instruction at which the exception callback begins; 0: none; -errno.
int find_exception_callback(Verifier& v) {
  constexpr std::string_view kKey = "exception_callback:";
  if (v.in.functions.empty() || !v.prog_btf) return 0;
  std::string_view name;
  for (std::string_view tag : v.prog_btf->decl_tags(v.in.functions[0].type_id)) {
    if (!tag.starts_with(kKey)) continue;
    if (!name.empty()) {
      return v.refuse(EEXIST, "multiple exception callback tags for main subprog\n");
    }
    name = tag.substr(kKey.size());
  }
  if (name.empty()) return 0;
  const auto id = v.prog_btf->find(name, btf::Kind::kFunc);
  if (!id) {
    return v.refuse(ENOENT, "exception callback '{}' could not be found in BTF\n", name);
  }
  if (v.prog_btf->type(*id).linkage != btf::kGlobal) {
    return v.refuse(EINVAL, "exception callback '{}' must have global linkage\n", name);
  }
  auto it = std::ranges::find(v.in.functions, *id, &FunctionInfo::type_id);
  if (it == v.in.functions.end()) {
    return v.refuse(EINVAL, "exception callback type id not found in func_info\n");
  }
  if (!it->insn) {
    return v.refuse(EINVAL, "invalid exception callback insn_off in func_info: 0\n");
  }
  return static_cast<int>(it->insn);
}

bool ends_subprogram(const Insn& insn) {
  return isa::is_exit(insn) || isa::is_goto(insn) || insn.code == isa::kGotox;
}

}  // namespace

int add_subprograms(Verifier& v) {
  if (int err = add_subprogram(v, 0); err < 0) return err;
  for (u32 i = 0; i < v.len(); ++i) {
    const Insn& insn = v.insns[i];
    if (!is_pseudo_func(insn) && !is_pseudo_call(insn)) continue;
    if (!v.bpf_capable) {
      return v.refuse(EPERM,
                      "loading/calling other bpf or kernel functions are allowed for CAP_BPF and "
                      "CAP_SYS_ADMIN\n");
    }
    if (int err = add_subprogram(v, s64{i} + insn.imm + 1); err < 0) return err;
  }
  const int callback = find_exception_callback(v);
  if (callback < 0) return callback;
  if (callback) {
    if (int err = add_subprogram(v, callback); err < 0) return err;
    v.exception_callback = static_cast<u32>(v.find_subprog(callback));
    Subprogram& sub = v.subprogs[v.exception_callback];
    sub.is_cb = sub.is_async_cb = sub.is_exception_cb = true;
  }
  Subprogram sentinel;
  sentinel.start = v.len();
  v.subprogs.push_back(sentinel);
  if (v.log.all_paths()) {
    for (u32 i = 0; i < v.subprog_cnt; ++i) v.log("func#{} @{}\n", i, v.subprogs[i].start);
  }
  return 0;
}

int check_subprograms(Verifier& v) {
  u32 cur = 0;
  for (u32 i = 0; i < v.len(); ++i) {
    const Insn& insn = v.insns[i];
    Subprogram& sub = v.subprogs[cur];
    const u32 end = v.subprogs[cur + 1].start;
    if (is_helper_call(insn) && insn.imm == kFnTailCall) {
      sub.has_tail_call = sub.tail_call_reachable = true;
    }
    if (isa::class_of(insn) == isa::kLd &&
        (isa::mode_of(insn) == isa::kAbs || isa::mode_of(insn) == isa::kInd)) {
      sub.has_ld_abs = true;
    }
    if (isa::is_jump_class(insn) && isa::op_of(insn) == isa::kExit) {
      sub.exit_idx = i;
    } else if (isa::is_jump_class(insn) && isa::op_of(insn) != isa::kCall &&
               insn.code != isa::kGotox) {
      const s64 off = s64{i} + jump_offset(insn) + 1;
      if (off < sub.start || off >= end) {
        return v.refuse(EINVAL, "jump out of range from insn {} to {}\n", i, off);
      }
    }
    if (i == end - 1) {
      if (!ends_subprogram(insn)) return v.refuse(EINVAL, "last insn is not an exit or jmp\n");
      ++cur;
    }
  }
  return 0;
}

/// Linux: check_abnormal_return, check_btf_func.
int check_function_info(Verifier& v) {
  if (v.in.functions.empty()) {
    for (u32 i = 1; i < v.subprog_cnt; ++i) {
      if (v.subprogs[i].has_ld_abs) {
        return v.refuse(EINVAL, "LD_ABS is not allowed in subprogs without BTF\n");
      }
      if (v.subprogs[i].has_tail_call) {
        return v.refuse(EINVAL, "tail_call is not allowed in subprogs without BTF\n");
      }
    }
    return 0;
  }
  if (v.in.functions.size() != v.subprog_cnt) {
    return v.refuse(EINVAL, "number of funcs in func_info doesn't match number of subprogs\n");
  }
  for (u32 i = 0; i < v.subprog_cnt; ++i) {
    Subprogram& sub = v.subprogs[i];
    const FunctionInfo& info = v.in.functions[i];
    if (sub.start != info.insn) {
      return v.refuse(EINVAL,
                      "func_info BTF section doesn't match subprog layout in BPF program\n");
    }
    sub.type_id = info.type_id;
    sub.linkage = info.global ? btf::kGlobal : btf::kStatic;
    sub.name = info.name;
    bool returns_number = true;
    if (v.prog_btf && info.type_id) {
      const auto proto = v.prog_btf->func_proto(info.type_id);
      const u32 result = proto ? v.prog_btf->resolve(proto->result) : 0;
      const btf::Type& type = v.prog_btf->type(result);
      returns_number = result && (is_small_int(type) || is_enum(type.kind));
    }
    if (i && !returns_number && sub.has_ld_abs) {
      return v.refuse(EINVAL, "LD_ABS is only allowed in functions that return 'int'.\n");
    }
    if (i && !returns_number && sub.has_tail_call) {
      return v.refuse(EINVAL, "tail_call is only allowed in functions that return 'int'.\n");
    }
  }
  return 0;
}

/// Linux: check_btf_line.
int check_line_info(Verifier& v) {
  if (v.in.lines.empty()) return 0;
  u32 s = 0;
  u32 prev = 0;
  for (u32 i = 0; i < v.in.lines.size(); ++i) {
    const LineInfo& line = v.in.lines[i];
    if ((i && line.insn <= prev) || line.insn >= v.len()) {
      return v.refuse(EINVAL, "Invalid line_info[{}].insn_off:{} (prev_offset:{} prog->len:{})\n",
                      i, line.insn, prev, v.len());
    }
    if (!v.insns[line.insn].code) {
      return v.refuse(EINVAL, "Invalid insn code at line_info[{}].insn_off\n", i);
    }
    if (!v.prog_btf || !v.prog_btf->string_at(line.line_off) ||
        !v.prog_btf->string_at(line.file_name_off)) {
      return v.refuse(EINVAL, "Invalid line_info[{}].line_off or .file_name_off\n", i);
    }
    if (s != v.subprog_cnt) {
      if (line.insn == v.subprogs[s].start) {
        ++s;
      } else if (v.subprogs[s].start < line.insn) {
        return v.refuse(EINVAL, "missing bpf_line_info for func#{}\n", s);
      }
    }
    prev = line.insn;
  }
  if (s != v.subprog_cnt) {
    return v.refuse(EINVAL, "missing bpf_line_info for {} funcs starting from func#{}\n",
                    v.subprog_cnt - s, s);
  }
  return 0;
}

/// Callees before callers; a call that comes back is refused. Linux: sort_subprogs_topo.
int sort_subprograms(Verifier& v) {
  enum : u8 { kWhite, kGrey, kBlack };
  std::vector<u8> color(v.subprog_cnt, kWhite);
  std::vector<u32> stack;
  for (u32 root = 0; root < v.subprog_cnt; ++root) {
    if (color[root]) continue;
    color[root] = kGrey;
    stack.push_back(root);
    while (!stack.empty()) {
      const u32 cur = stack.back();
      bool pushed = false;
      for (u32 p = v.subprogs[cur].postorder_start;
           p < v.subprogs[cur + 1].postorder_start && !pushed; ++p) {
        const u32 idx = v.postorder[p];
        const Insn& insn = v.insns[idx];
        if (!is_pseudo_call(insn) && !is_pseudo_func(insn)) continue;
        const s32 found = v.find_subprog(s64{idx} + insn.imm + 1);
        if (found < 0) return -EFAULT;
        const u32 callee = static_cast<u32>(found);
        if (color[callee] == kBlack) continue;
        if (color[callee] == kGrey) {
          if (is_pseudo_func(insn)) continue;
          return v.refuse(EINVAL, "recursive call from {}() to {}()\n", v.subprog_name(cur),
                          v.subprog_name(callee));
        }
        color[callee] = kGrey;
        stack.push_back(callee);
        pushed = true;
      }
      if (!pushed) {
        color[cur] = kBlack;
        v.topo_order.push_back(cur);
        stack.pop_back();
      }
    }
  }
  if (v.log.all_paths()) {
    for (u32 i = 0; i < v.topo_order.size(); ++i) {
      v.log("topo_order[{}] = {}\n", i, v.subprog_name(v.topo_order[i]));
    }
  }
  return 0;
}

s32 Verifier::find_subprog(s64 at) const {
  auto end = subprogs.begin() + subprog_cnt;
  auto it = std::lower_bound(subprogs.begin(), end, at,
                             [](const Subprogram& s, s64 x) { return s.start < x; });
  return it != end && it->start == at ? static_cast<s32>(it - subprogs.begin()) : -ENOENT;
}

u32 Verifier::containing_subprog(u32 at) const {
  auto end = subprogs.begin() + subprog_cnt;
  auto it = std::upper_bound(subprogs.begin(), end, at,
                             [](u32 x, const Subprogram& s) { return x < s.start; });
  return static_cast<u32>(it - subprogs.begin()) - 1;
}

}  // namespace uscx::bpf::verifier
