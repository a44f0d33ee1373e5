// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/run_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpf/impl.h"
#include "bpf/isa.h"
#include "bpf/net/packet.h"
#include "bpf/verifier/proof.h"

namespace uscx::conformance {

namespace {

using namespace bpf;
using verifier::Memory;

constexpr u32 kMapLookup = 1, kRingbufReserve = 131, kRingbufSubmit = 132, kRingbufDiscard = 133;
constexpr u8 kPseudoCall = 1, kPseudoKfunc = 2;
constexpr u64 kTop = kStackBlock;

u32 bytes_of(const Insn& insn) {
  constexpr u32 kBytes[] = {4, 2, 1, 8};
  return kBytes[(insn.code & 0x18) >> 3];
}
bool is_access(const Insn& insn) {
  const u8 cls = isa::class_of(insn);
  return cls == isa::kLdx || cls == isa::kStx || cls == isa::kSt;
}

}  // namespace

void RunCheck::wrong(u32 insn, std::string what) {
  if (problem_.empty()) problem_ = fmt::format("insn {}: {}", insn, what);
}

void RunCheck::step(const ExecRun& run, u32 insn, const u64* r) {
  if (in_call_) returned(run, r[0]);
  if (in_load_) check_last_load(run);
  if (claims_) check_claims(run, insn, r);
  const Insn& next = run.program->insns[insn];
  if (is_access(next)) return check_memory(run, insn, r);
  if (next.code == isa::kExitOpcode && run.depth == 1) result_ = r[0];
  if (next.code != (isa::kJmp | isa::kCall)) return;
  if (next.src == kPseudoKfunc) return called_kfunc(run, insn, r);
  if (next.src != kPseudoCall) called_helper(run, insn, r);
}

RunCheck::Turns RunCheck::most_iterators() const {
  Turns most;
  for (const auto& [insn, count] : iterators_made_) {
    if (count > most.count) most = {insn, count};
  }
  return most;
}

/// Linux lets a struct_ops program end with a reference in r0, to be returned, and looks at r0's
/// type only where the operation returns something: of one that returns nothing the reference is
/// lost (check_reference_leak, check_return_code).
bool RunCheck::may_be_returned(u64 object) const {
  return context_ == Context::kStructOps && object && result_ == object;
}

std::string RunCheck::finish() {
  for (const auto& [what, count] : held_) {
    if (count == 1 && may_be_returned(what.second)) {
      left_in_r0_ = true;
      continue;
    }
    wrong(0, fmt::format("{} held at the end, {} times", what.first, count));
  }
  return std::move(problem_);
}

// -- memory

void RunCheck::check_last_load(const ExecRun& run) {
  in_load_ = false;
  if (run.loads_to_zero != loads_to_zero_) wrong(load_insn_, "a load that cannot fault faulted");
}

void RunCheck::check_memory(const ExecRun& run, u32 insn, const u64* r) {
  const Insn& access = run.program->insns[insn];
  const bool load = isa::class_of(access) == isa::kLdx;
  const u32 bytes = bytes_of(access);
  const u64 addr = r[load ? access.src : access.dst] + static_cast<u64>(s64{access.off});
  const Memory memory = run.program->proof->insns[insn].memory;
  if (memory == Memory::kMayFault || memory == Memory::kArena) return;
  if (load) {
    in_load_ = true;
    load_insn_ = insn;
    loads_to_zero_ = run.loads_to_zero;
  }
  bool owned = true;
  switch (memory) {
    case Memory::kUnproven:
      owned = false;
      break;
    case Memory::kStack:
      owned = addr >= r[10] - kStackSize && addr + bytes <= run.stack + kTop;
      break;
    case Memory::kContext:
      owned = addr - run.context <= context_bytes_ - bytes;
      break;
    case Memory::kMapValue:
      owned = false;
      for (const auto& [map, value] : values_) {
        const Map* object = run.env.bpf->impl().map_at(map);
        owned |= object && addr - value <= object->spec().value_size - bytes;
      }
      break;
    default:
      owned = in_bounds(run, addr, bytes);
  }
  if (!owned) {
    wrong(insn, fmt::format("{} bytes at {:#x} are not what was proven (kind {})", bytes, addr,
                            static_cast<u32>(memory)));
  }
}

const net::PacketBounds* RunCheck::packet(const ExecRun& run) const {
  switch (context_) {
    case Context::kSkb:
      return &net::skb_context(run.env.window, run.context)->bounds;
    case Context::kXdp:
      return &net::xdp_context(run.env.window, run.context)->bounds;
    case Context::kPlain:
    case Context::kStructOps:
      break;
  }
  return nullptr;
}

/// Inside an object; where that is the packet's memory, in the packet and not in the room around
/// it.
bool RunCheck::in_bounds(const ExecRun& run, u64 addr, u32 bytes) const {
  const Extent* extent = run.env.window.find(addr);
  if (!extent || !extent->contains(addr, bytes)) return false;
  const net::PacketBounds* bounds = packet(run);
  if (!bounds || !extent->contains(bounds->data, 0)) return true;
  return addr >= bounds->data_meta && addr + bytes <= bounds->data_end;
}

// -- what was claimed of the registers

bool RunCheck::holds(const ExecRun& run, const verifier::RegisterClaim& claim, u64 value) const {
  using namespace verifier;
  if (claim.type == kNotInit) return true;
  if ((claim.type & kMaybeNull) && !value) return true;
  switch (base_type(claim.type)) {
    case kScalar:
      return claim.value.contains(value);
    case kPtrToStack:
      return claim.value.contains(value - (run.stack + kTop - u64{claim.frame} * kStackSize));
    case kPtrToCtx:
      return claim.value.contains(value - run.context);
    case kPtrToMapValue:
      for (const auto& [map, start] : values_) {
        if (map == claim.map->address() && claim.value.contains(value - start)) return true;
      }
      return false;
    case kPtrToPacket:
    case kPtrToPacketMeta:
    case kPtrToPacketEnd:
      return packet_claim_holds(run, claim, value);
    case kPtrToMem:
      return value != 0;
    default:
      return true;
  }
}

bool RunCheck::packet_claim_holds(const ExecRun& run, const verifier::RegisterClaim& claim,
                                  u64 value) const {
  const net::PacketBounds* bounds = packet(run);
  if (!bounds) return true;
  if (claim.type == verifier::kPtrToPacketEnd) return value == bounds->data_end;
  const bool meta = claim.type == verifier::kPtrToPacketMeta;
  if (!claim.value.contains(value - (meta ? bounds->data_meta : bounds->data))) return false;
  // The range counts from the greatest offset that the pointer may have.
  const s64 there = claim.range - static_cast<s64>(claim.value.umax());
  return claim.range <= 0 || there <= 0 || value + static_cast<u64>(there) <= bounds->data_end;
}

void RunCheck::check_claims(const ExecRun& run, u32 insn, const u64* r) {
  if (insn >= claims_->by_insn.size()) return wrong(insn, "executed, and never explored");
  const auto& point = claims_->by_insn[insn];
  if (point.too_many) {
    ++unclaimed_;
    return;
  }
  ++compared_;
  u32 best = 0;  // how many registers the nearest state allows
  for (const verifier::StateClaim& state : point.states) {
    if (state.frames != run.depth) continue;
    u32 n = 0;
    while (n < verifier::kNrRegs && holds(run, state.regs[n], r[n])) ++n;
    if (n == verifier::kNrRegs) return;
    best = std::max(best, n);
  }
  wrong(insn, fmt::format("r{} is {:#x}: in none of the {} states explored here", best, r[best],
                          point.states.size()));
}

// -- references and sections

void RunCheck::acquire(std::string what, u64 object) {
  given_back_.erase(object);
  ++held_[{std::move(what), object}];
}

void RunCheck::release(u32 insn, const std::string& what, u64 object) {
  const auto it = held_.find({what, object});
  if (it == held_.end()) return wrong(insn, fmt::format("{} is given back and not held", what));
  if (--it->second) return;
  held_.erase(it);
  if (object) given_back_.insert(object);
}

void RunCheck::returned(const ExecRun&, u64 result) {
  in_call_ = false;
  if (!result) return;
  if (call_.helper && call_.map) values_.insert({call_.map, result});
  if (!call_.acquires.empty()) acquire(call_.acquires, result);
}

void RunCheck::called_helper(const ExecRun& run, u32 insn, const u64* r) {
  const auto id = static_cast<u32>(run.program->insns[insn].imm);
  in_call_ = true;
  call_ = {.insn = insn, .helper = true};
  if (id == kMapLookup) call_.map = r[1];
  if (id == kRingbufReserve) call_.acquires = "ring buffer record";
  if (id == kRingbufSubmit || id == kRingbufDiscard) release(insn, "ring buffer record", r[1]);
}

void RunCheck::called_kfunc(const ExecRun& run, u32 insn, const u64* r) {
  const auto index = static_cast<u32>(run.program->insns[insn].imm);
  const std::string_view name = run.program->kfuncs[index]->name;
  in_call_ = true;
  call_ = {.insn = insn};
  if (name == "bpf_rcu_read_lock") return acquire("RCU section", 0);
  if (name == "bpf_rcu_read_unlock") return release(insn, "RCU section", 0);
  if (name == "bpf_preempt_disable") return acquire("preempt section", 0);
  if (name == "bpf_preempt_enable") return release(insn, "preempt section", 0);
  const verifier::KfuncProto* proto = verifier::kfunc_proto(name);
  if (!proto) return;
  called_iterator(insn, *proto, r);
  if (name == "bpf_cpumask_test_cpu" || name == "bpf_cpumask_set_cpu") {
    if (given_back_.contains(r[2])) wrong(insn, "uses an object that was given back");
  }
  if (proto->has(verifier::kKf_Acquire)) call_.acquires = "reference";
  if (proto->has(verifier::kKf_Release)) release(insn, "reference", r[1]);
}

void RunCheck::called_iterator(u32 insn, const verifier::KfuncProto& proto, const u64* r) {
  if (proto.has(verifier::kKf_IterNew)) {
    acquire("iterator", r[1]);
    ++iterators_made_[insn];
    // bpf_iter_num: the only kind that is generated.
    const s64 first = static_cast<s32>(r[2]), end = static_cast<s32>(r[3]);
    elements_left_[r[1]] = static_cast<u64>(std::max<s64>(end - first, 0)) + 1;  // and the end
  }
  if (proto.has(verifier::kKf_IterNext) && elements_left_[r[1]]-- == 0) {
    wrong(insn, "an iterator has more elements than its range");
  }
  if (proto.has(verifier::kKf_IterDestroy)) release(insn, "iterator", r[1]);
}

}  // namespace uscx::conformance
