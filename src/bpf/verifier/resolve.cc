// SPDX-License-Identifier: GPL-2.0-only
// Instructions as such: are their fields as the instruction set has them, and what do ld_imm64's
// numbers refer to? Linux: check_and_resolve_insns.
#include <algorithm>

#include "bpf/impl.h"
#include "bpf/maps/insn_array.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

int check_alu_fields(Verifier& v, const Insn& insn) {
  const bool wide = class_of(insn) == kAlu64;
  const u8 op = op_of(insn);
  switch (op) {
    case kNeg:
      if (is_x(insn) || insn.src || insn.off || insn.imm) {
        return v.refuse(EINVAL, "BPF_NEG uses reserved fields\n");
      }
      return 0;
    case kEnd:
      if (insn.src || insn.off || (insn.imm != 16 && insn.imm != 32 && insn.imm != 64) ||
          (wide && is_x(insn))) {
        return v.refuse(EINVAL, "BPF_END uses reserved fields\n");
      }
      return 0;
    case kMov: {
      bool ok;
      if (!is_x(insn)) {
        ok = !insn.src && !insn.off;
      } else if (!wide) {
        ok = (insn.off == 0 || insn.off == 8 || insn.off == 16) && !insn.imm;
      } else if (insn.off == kAddrSpaceCast) {
        if (insn.imm == 1 || insn.imm == 1 << 16) return 0;
        return v.refuse(EINVAL,
                        "addr_space_cast insn can only convert between address space 1 and 0\n");
      } else {
        ok = (insn.off == 0 || insn.off == 8 || insn.off == 16 || insn.off == 32) && !insn.imm;
      }
      return ok ? 0 : v.refuse(EINVAL, "BPF_MOV uses reserved fields\n");
    }
    default: {
      if (op > kEnd) return v.refuse(EINVAL, "invalid BPF_ALU opcode {:x}\n", op);
      const bool division = op == kDiv || op == kMod;
      const bool bad_off = insn.off != 0 && !(insn.off == 1 && division);
      if ((is_x(insn) ? insn.imm != 0 : insn.src != 0) || bad_off) {
        return v.refuse(EINVAL, "BPF_ALU uses reserved fields\n");
      }
      return 0;
    }
  }
}

int check_jump_fields(Verifier& v, const Insn& insn) {
  const bool is32 = class_of(insn) == kJmp32;
  switch (op_of(insn)) {
    case kCall:
      if (is_x(insn) || (insn.src != kPseudoKfuncCall && insn.off) ||
          (insn.src && insn.src != kPseudoCall && insn.src != kPseudoKfuncCall) || insn.dst ||
          is32) {
        return v.refuse(EINVAL, "BPF_CALL uses reserved fields\n");
      }
      return 0;
    case kJa:
      if (is_x(insn)) {
        if (insn.src || insn.imm || insn.off) {
          return v.refuse(EINVAL, "BPF_JA|BPF_X uses reserved fields\n");
        }
      } else if (insn.src || insn.dst || (!is32 && insn.imm) || (is32 && insn.off)) {
        return v.refuse(EINVAL, "BPF_JA uses reserved fields\n");
      }
      return 0;
    case kExit:
      if (is_x(insn) || insn.imm || insn.src || insn.dst || is32) {
        return v.refuse(EINVAL, "BPF_EXIT uses reserved fields\n");
      }
      return 0;
    case kJcond:
      if (insn.code != kMayGoto || insn.src || insn.dst || insn.imm) {
        return v.refuse(EINVAL, "invalid may_goto imm {}\n", insn.imm);
      }
      return 0;
    default:
      if (is_x(insn) ? insn.imm != 0 : insn.src != 0) {
        return v.refuse(EINVAL, "BPF_JMP/JMP32 uses reserved fields\n");
      }
      return 0;
  }
}

int check_fields(Verifier& v, const Insn& insn) {
  switch (class_of(insn)) {
    case kAlu:
    case kAlu64:
      return check_alu_fields(v, insn);
    case kLdx:
      if ((mode_of(insn) != kMem && mode_of(insn) != kMemsx) || insn.imm) {
        return v.refuse(EINVAL, "BPF_LDX uses reserved fields\n");
      }
      return 0;
    case kStx:
      if (mode_of(insn) == kAtomic) return 0;
      if (mode_of(insn) != kMem || insn.imm) {
        return v.refuse(EINVAL, "BPF_STX uses reserved fields\n");
      }
      return 0;
    case kSt:
      if (mode_of(insn) != kMem || insn.src) {
        return v.refuse(EINVAL, "BPF_ST uses reserved fields\n");
      }
      return 0;
    case kJmp:
    case kJmp32:
      return check_jump_fields(v, insn);
    default: {
      const u8 mode = mode_of(insn);
      if (mode == kAbs || mode == kInd) {
        if (insn.dst || insn.off || size_of(insn) == kDw || (mode == kAbs && insn.src)) {
          return v.refuse(EINVAL, "BPF_LD_[ABS|IND] uses reserved fields\n");
        }
      } else if (mode != kImm) {
        return v.refuse(EINVAL, "invalid BPF_LD mode\n");
      }
      return 0;
    }
  }
}

/// Linux: bpf_opcode_in_insntable.
bool opcode_exists(u8 code) {
  const Insn insn{code, 0, 0, 0, 0};
  const u8 op = op_of(insn);
  switch (class_of(insn)) {
    case kAlu:
    case kAlu64:
      if (op == kNeg) return !(code & kX);
      if (op == kEnd) return class_of(insn) == kAlu || !(code & kX);
      return op <= kArsh;
    case kLd:
      if (mode_of(insn) == kImm) return size_of(insn) == kDw;
      return (mode_of(insn) == kAbs || mode_of(insn) == kInd) && size_of(insn) != kDw;
    case kLdx:
      if (mode_of(insn) == kMemsx) return size_of(insn) != kDw;
      return mode_of(insn) == kMem;
    case kSt:
      return mode_of(insn) == kMem;
    case kStx:
      return mode_of(insn) == kMem || mode_of(insn) == kAtomic;
    default:
      if (op == kCall) return code == kCallOpcode || code == (kCallOpcode | kX);
      if (op == kExit) return code == kExitOpcode;
      if (op == kJa) return code == kGoto || code == kGotol || code == kGotox;
      if (op == kJcond) return code == kMayGoto;
      return op <= kJsle;
  }
}

bool is_tracing_type(u32 type) {
  switch (type) {
    case kProgKprobe:
    case kProgTracepoint:
    case kProgPerfEvent:
    case kProgRawTracepoint:
    case kProgRawTracepointWritable:
      return true;
    default:
      return false;
  }
}

bool sleepable_may_use(u32 map_type) {
  switch (map_type) {
    case kMtPerfEventArray:
    case kMtStackTrace:
    case kMtCgroupArray:
    case kMtDevmap:
    case kMtSockmap:
    case kMtCpumap:
    case kMtXskmap:
    case kMtSockhash:
    case kMtCgroupStorage:
    case kMtReuseportSockarray:
    case kMtPercpuCgroupStorage:
    case kMtDevmapHash:
    case kMtStructOps:
    case kMtBloomFilter:
      return false;
    default:
      return true;
  }
}

/// May a program of this type use this map? Linux: check_map_prog_compatibility.
int check_map(Verifier& v, const Map& map) {
  const Record* record = v.records.of_map(map);
  if (record && record->has(kFieldGraphRoot) && is_tracing_type(v.prog.type)) {
    return v.refuse(EINVAL, "tracing progs cannot use bpf_{{list_head,rb_root}} yet\n");
  }
  if (record && record->has(kFieldSpinLock | kFieldResSpinLock) &&
      v.prog.type == kProgSocketFilter) {
    return v.refuse(EINVAL, "socket filter progs cannot use bpf_spin_lock yet\n");
  }
  if (record && record->has(kFieldSpinLock) && is_tracing_type(v.prog.type)) {
    return v.refuse(EINVAL, "tracing progs cannot use bpf_spin_lock yet\n");
  }
  const u32 type = map.spec().type;
  if (type == kMtStructOps) {
    return v.refuse(EINVAL, "bpf_struct_ops map cannot be used in prog\n");
  }
  if (v.prog.sleepable && !sleepable_may_use(type)) {
    return v.refuse(EINVAL,
                    "Sleepable programs can only use array, hash, ringbuf and local storage "
                    "maps\n");
  }
  if (type == kMtCgroupStorage || type == kMtPercpuCgroupStorage) {
    for (const MapRef& used : v.used_maps) {
      if (used.map->spec().type == type) {
        return v.refuse(EBUSY, "only one cgroup storage of each type is allowed\n");
      }
    }
  }
  if (type == kMtArena) {
    if (v.arena) return v.refuse(EBUSY, "Only one arena per program\n");
    if (!v.allow_ptr_leaks || !v.bpf_capable) {
      return v.refuse(EPERM, "CAP_BPF and CAP_PERFMON are required to use arena\n");
    }
    v.arena = &map;
  }
  return 0;
}

/// Index into used_maps; -errno.
int add_used_map(Verifier& v, const MapRef& ref) {
  for (u32 i = 0; i < v.used_maps.size(); ++i) {
    if (v.used_maps[i].map == ref.map) return static_cast<int>(i);
  }
  if (v.used_maps.size() >= kMaxUsedMaps) {
    return v.refuse(E2BIG, "The total number of maps per program has reached the limit of {}\n",
                    kMaxUsedMaps);
  }
  if (int err = check_map(v, *ref.map)) return err;
  v.used_maps.push_back(ref);
  if (ref.map->spec().type == kMtInsnArray) {
    auto claim = static_cast<InsnArrayMap&>(*ref.map).claim(v.insns);
    if (!claim) {
      return v.refuse(claim.error().value, "Failed to properly initialize insn array\n");
    }
    v.insn_array_maps.push_back(ref.map.get());
    v.insn_array_claims.push_back(std::move(*claim));
  }
  return static_cast<int>(v.used_maps.size()) - 1;
}

/// A kernel variable or function. Linux: check_pseudo_btf_id.
int resolve_ksym(Verifier& v, u32 i) {
  Insn* insn = &v.insns[i];
  InsnAux& aux = v.aux[i];
  const u32 id = static_cast<u32>(insn[0].imm);
  const s32 btf_fd = insn[1].imm;
  std::string why;
  const btf::Btf& btf = v.vmlinux;
  if (!btf_fd) {
    if (id >= btf.type_count()) {
      return v.refuse(ENOENT, "ldimm64 insn specifies invalid btf_id {}.\n", insn[0].imm);
    }
    if (btf.kind(id) != btf::Kind::kVar && btf.kind(id) != btf::Kind::kFunc) {
      return v.refuse(EINVAL, "pseudo btf_id {} in ldimm64 isn't KIND_VAR or KIND_FUNC\n", id);
    }
  }
  const auto ksym = v.in.env.ksym(id, btf_fd, why);
  v.log.add(why);
  if (!ksym) return -ksym.error().value;
  insn[0].imm = static_cast<s32>(ksym->value);
  insn[1].imm = static_cast<s32>(ksym->value >> 32);
  if (btf_fd || btf.kind(id) == btf::Kind::kFunc) {
    aux.var_type = kPtrToMem | kMemRdonly;
    aux.var_a = 0;
    return 0;
  }
  bool percpu = false;
  if (const auto section = btf.find(".data..percpu", btf::Kind::kDatasec)) {
    percpu = std::ranges::any_of(btf.section_vars(*section),
                                 [&](const btf::SecVar& var) { return var.type == id; });
  }
  const u32 type = btf.type(id).type;
  const u32 plain = btf.resolve(type);
  if (percpu || is_composite(btf.kind(plain))) {
    aux.var_type = percpu ? kPtrToBtfId | kMemPercpu : u32{kPtrToBtfId};
    aux.var_a = percpu ? type : plain;
    return 0;
  }
  const auto size = btf.size_of(type);
  if (!size) {
    return v.refuse(EINVAL, "ldimm64 unable to resolve the size of type '{}': {}\n",
                    btf.name(plain), -EINVAL);
  }
  aux.var_type = kPtrToMem | kMemRdonly;
  aux.var_a = *size;
  return 0;
}

int resolve_map(Verifier& v, u32 i) {
  Insn* insn = &v.insns[i];
  const u8 src = insn->src;
  const bool value = src == kPseudoMapValue || src == kPseudoMapIdxValue;
  const bool by_index = src == kPseudoMapIdx || src == kPseudoMapIdxValue;
  if (!value && src != kPseudoMapFd && src != kPseudoMapIdx) {
    return v.refuse(EINVAL, "unrecognized bpf_ld_imm64 insn\n");
  }
  if (!value && insn[1].imm) return v.refuse(EINVAL, "unrecognized bpf_ld_imm64 insn\n");
  std::string why;
  const auto ref = by_index ? v.in.env.map_by_index(static_cast<u32>(insn[0].imm), why)
                            : v.in.env.map_by_fd(insn[0].imm, why);
  v.log.add(why);
  if (!ref) return -ref.error().value;
  const int index = add_used_map(v, *ref);
  if (index < 0) return index;
  v.aux[i].map_index = static_cast<u32>(index);
  const Map& map = *ref->map;
  u64 address = ref->object_address;
  if (value) {
    const u32 off = static_cast<u32>(insn[1].imm);
    const u32 type = map.spec().type;
    if (!map_direct_address(map) && type != kMtInsnArray) {
      return v.refuse(EINVAL, "no direct value access support for this map type\n");
    }
    const u64 size = type == kMtArena ? u64{map.spec().max_entries} * 4096 : map_mem_size(map);
    if (off >= size || (map.spec().max_entries != 1 && type != kMtArena && type != kMtInsnArray)) {
      v.log("invalid access to map value pointer, value_size={} off={}\n", map.spec().value_size,
            off);
      return map.spec().max_entries != 1 && type != kMtArena && type != kMtInsnArray ? -kErrNotSupp
                                                                                     : -EINVAL;
    }
    v.aux[i].map_off = off;
    address = map_direct_address(map) + off;
  }
  insn[0].imm = static_cast<s32>(address);
  insn[1].imm = static_cast<s32>(address >> 32);
  return 0;
}

/// A 16-byte instruction.
int resolve_wide(Verifier& v, u32 i) {
  const Insn* insn = &v.insns[i];
  if (i == v.len() - 1 || insn[1].code || insn[1].dst || insn[1].src || insn[1].off) {
    return v.refuse(EINVAL, "invalid bpf_ld_imm64 insn\n");
  }
  if (insn[0].off) return v.refuse(EINVAL, "BPF_LD_IMM64 uses reserved fields\n");
  switch (insn->src) {
    case 0:
      return 0;
    case kPseudoBtfId:
      return resolve_ksym(v, i);
    case kPseudoFunc:
      return 0;
    default:
      return resolve_map(v, i);
  }
}

}  // namespace

int resolve_instructions(Verifier& v) {
  for (u32 i = 0; i < v.len(); ++i) {
    const Insn& insn = v.insns[i];
    if (insn.dst >= kNrRegs && !is_stack_arg_store(insn) && !is_stack_arg_store_imm(insn)) {
      return v.refuse(EINVAL, "R{} is invalid\n", +insn.dst);
    }
    if (insn.src >= kNrRegs && !is_stack_arg_load(insn)) {
      return v.refuse(EINVAL, "R{} is invalid\n", +insn.src);
    }
    if (is_ld_imm64(insn)) {
      if (int err = resolve_wide(v, i)) return err;
      ++i;
      continue;
    }
    if (!opcode_exists(insn.code)) {
      return v.refuse(EINVAL, "unknown opcode {:02x}\n", insn.code);
    }
    if (int err = check_fields(v, insn)) return err;
  }
  return 0;
}

int collect_kfuncs(Verifier& v) {
  constexpr std::size_t kMaxKfuncs = 256;
  for (u32 i = 0; i < v.len(); ++i) {
    const Insn& insn = v.insns[i];
    if (!is_kfunc_call(insn)) continue;
    if (!v.bpf_capable) {
      return v.refuse(EPERM,
                      "loading/calling other bpf or kernel functions are allowed for CAP_BPF and "
                      "CAP_SYS_ADMIN\n");
    }
    if (v.kfuncs.empty() && !v.prog.gpl_compatible) {
      return v.refuse(EINVAL, "cannot call kernel function from non-GPL compatible program\n");
    }
    if (!insn.imm && !insn.off) continue;  // poisoned by libbpf: must turn out to be dead
    const std::pair key{static_cast<u32>(insn.imm), insn.off};
    if (v.kfuncs.contains(key)) continue;
    if (v.kfuncs.size() >= kMaxKfuncs) {
      return v.refuse(E2BIG, "too many different kernel function calls\n");
    }
    KfuncDesc desc;
    if (int err = describe_kfunc(v, key.first, key.second, desc)) return err;
    v.kfuncs.emplace(key, std::move(desc));
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
