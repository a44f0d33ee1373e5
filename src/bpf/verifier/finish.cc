// SPDX-License-Identifier: GPL-2.0-only
// What the engines get of a program that is safe: its instructions with everything resolved, and
// what was proven of each.
#include <algorithm>
#include <set>

#include "bpf/exec/exec.h"
#include "bpf/net/contexts.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

/// `own_types`: objects are as long as the kernel's BTF says.
Memory memory_of(RegType type, bool own_types) {
  if (type == kNotInit) return Memory::kUnproven;
  if (may_fault_on_deref(type)) return Memory::kMayFault;
  switch (base_type(type)) {
    case kPtrToStack:
      return Memory::kStack;
    case kPtrToMapValue:
      return Memory::kMapValue;
    case kPtrToCtx:
      return Memory::kContext;
    case kPtrToArena:
      return Memory::kArena;
    case kPtrToBtfId:
      return own_types || is_alloc(type) ? Memory::kInBounds : Memory::kMayFault;
    case kConstPtrToMap:
      return Memory::kMayFault;  // struct bpf_map, of which ours has nothing to read: 0
    default:
      return Memory::kInBounds;
  }
}

std::shared_ptr<const Proof> proof_of(const Verifier& v) {
  auto proof = std::make_shared<Proof>();
  const bool own_types = v.in.env.has_own_types();
  proof->insns.resize(v.len());
  for (u32 i = 0; i < v.len(); ++i) {
    InsnProof& p = proof->insns[i];
    p.reached = v.aux[i].seen;
    const u8 cls = isa::class_of(v.insns[i]);
    if (p.reached && (cls == isa::kLdx || cls == isa::kStx || cls == isa::kSt)) {
      p.memory = memory_of(v.aux[i].ptr_type, own_types);
    }
    p.arena_alu = v.aux[i].needs_zext;
  }
  proof->stack_depth = v.max_stack_depth;
  proof->uses_arena = v.arena != nullptr;
  return proof;
}

/// A helper that we know by name alone.
bool helper_is_served(const Verifier& v, u32 id) {
  const Helper* helper = v.in.env.helpers().find(id);
  return helper && helper->fn;
}

/// Turns an access of the context as user space knows it into one of the context as it is laid out.
/// What is not there: empty, or its name. Linux: bpf_convert_ctx_accesses.
std::string_view convert_ctx_access(const Verifier& v, u32 index, Insn& insn) {
  const u8 cls = isa::class_of(insn);
  if (cls != isa::kLdx && cls != isa::kStx && cls != isa::kSt) return {};
  if (base_type(v.aux[index].ptr_type) != kPtrToCtx) return {};
  const u32 size = isa::bytes_of(insn);
  const net::ContextSlot slot = net::context_slot(v.prog.type, insn.off, size, cls != isa::kLdx);
  insn.off = static_cast<s16>(slot.off);
  if (slot.size != size) insn.code = static_cast<u8>((insn.code & ~0x18) | isa::kDw);
  return slot.unserved;
}

/// Stands where a program gets to what is known and not served: a call that ends the run with this
/// name. Lives as long as the process.
const Kfunc* unserved_call(const std::string& name) {
  static std::map<std::string, Kfunc> calls;
  Kfunc& call = calls[name];
  call.name = calls.find(name)->first;
  return &call;
}

}  // namespace

int finish_program(Verifier& v, VerifyResult& result) {
  CheckedProgram& out = result.program;
  std::set<std::string> unserved;
  std::map<const Kfunc*, u32> indexes;
  auto call = [&](Insn& insn, const Kfunc* kfunc) {
    const auto [it, fresh] = indexes.emplace(kfunc, static_cast<u32>(out.kfuncs.size()));
    if (fresh) out.kfuncs.push_back(kfunc);
    insn = {isa::kCallOpcode, 0, isa::kPseudoKfuncCall, 0, static_cast<s32>(it->second)};
  };
  auto stop_at = [&](Insn& insn, std::string name) {
    call(insn, unserved_call(name));
    unserved.insert(std::move(name));
  };
  for (u32 i = 0; i < v.len(); ++i) {
    Insn& insn = v.insns[i];
    if (!v.aux[i].seen) {
      insn = isa::kTrap;
      continue;
    }
    if (is_ld_imm64(insn)) {
      if (insn.src == isa::kPseudoFunc) {
        const u64 value = encode_callback(i + static_cast<u32>(insn.imm) + 1);
        insn.imm = static_cast<s32>(value);
        v.insns[i + 1].imm = static_cast<s32>(value >> 32);
      }
      insn.src = 0;
      ++i;
    } else if (is_helper_call(insn)) {
      const u32 id = static_cast<u32>(insn.imm);
      if (helper_is_served(v, id)) continue;
      stop_at(insn, std::string(helper_name(id)));
    } else if (is_kfunc_call(insn)) {
      if (!insn.imm) {
        return v.refuse(EINVAL, "invalid kernel function call not eliminated in verifier pass\n");
      }
      const KfuncDesc* desc = v.find_kfunc(insn);
      if (!desc->kfunc || !desc->kfunc->fn) {
        stop_at(insn, "kfunc " + desc->name);
        continue;
      }
      call(insn, desc->kfunc);
    } else if (const auto field = convert_ctx_access(v, i, insn); !field.empty()) {
      stop_at(insn, std::string(field));
    }
  }
  for (const std::string& name : unserved) v.in.env.count_unserved(name);
  result.proof = proof_of(v);
  for (u32 s = 0; s < v.subprog_cnt; ++s) out.subprogram_starts.push_back(v.subprogs[s].start);
  for (const MapRef& ref : v.used_maps) out.maps.push_back(ref.map);
  out.claims = v.insn_array_claims;
  if (v.exception_callback) out.exception_callback = v.subprogs[v.exception_callback].start;
  out.insns = v.insns;
  out.stack_depth = v.max_stack_depth;
  return 0;
}

}  // namespace uscx::bpf::verifier
