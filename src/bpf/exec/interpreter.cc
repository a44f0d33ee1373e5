// SPDX-License-Identifier: GPL-2.0-only
// The interpreter's loop: direct threading over decoded operations, every access checked.
#include <cstring>

#include "bpf/exec/arith.h"
#include "bpf/exec/observer.h"
#include "bpf/exec/run.h"
#include "bpf/maps/arena.h"

namespace uscx::bpf {

namespace {

bool on_stack(const ExecRun& run, u64 addr, u32 bytes) {
  return addr - run.stack <= kStackBlock - bytes;
}

/// Is `addr` the arena's, of a program that has one?
bool in_arena(const ExecRun& run, u64 addr) {
  return run.decoded->arena && ArenaMap::near(addr);
}

/// The bytes of the arena at `addr`. Null, and counted, where it has none there.
std::byte* arena_bytes(ExecRun& run, u64 addr, u32 bytes, bool write) {
  std::byte* at = run.decoded->arena->at(addr, bytes);
  if (!at) run.arena_fault(addr, write);
  return at;
}

/// Zero, and counted, where the program may not read: as a load through a BTF pointer that faults.
template <class T>
u64 load(ExecRun& run, const Op* op, u64 addr) {
  T value;
  if (!on_stack(run, addr, sizeof(T))) [[unlikely]] {
    const Extent* extent = run.env.window.find(addr);
    if (!extent || !extent->contains(addr, sizeof(T))) {
      if (!in_arena(run, addr)) {
        const u32 insn = static_cast<u32>(op - run.decoded->ops.data());
        run.loads_to_zero++;
        return run.proven(insn) ? run.abandon_load(insn, addr, sizeof(T)) : 0;
      }
      const std::byte* in_arena = arena_bytes(run, addr, sizeof(T), false);
      if (!in_arena) return 0;
      addr = reinterpret_cast<u64>(in_arena);
    }
  }
  std::memcpy(&value, reinterpret_cast<const void*>(addr), sizeof(T));
  return sign_extend<T>(value);
}

/// Where a store to `addr` goes: null where the run is to be abandoned; to `drain` where the store
/// is dropped.
void* store_target(ExecRun& run, u64 addr, u32 bytes, void* drain) {
  if (on_stack(run, addr, bytes)) return reinterpret_cast<void*>(addr);
  const Extent* extent = run.env.window.find(addr);
  if (extent && extent->may_write(addr, bytes)) return reinterpret_cast<void*>(addr);
  if (extent || !in_arena(run, addr)) return nullptr;
  void* in_arena = arena_bytes(run, addr, bytes, true);
  return in_arena ? in_arena : drain;
}

template <class T>
bool store(ExecRun& run, u64 addr, u64 value) {
  T drain;
  void* to = store_target(run, addr, sizeof(T), &drain);
  if (!to) [[unlikely]]
    return false;
  const T narrow = static_cast<T>(value);
  std::memcpy(to, &narrow, sizeof(T));
  return true;
}

/// An atomic read-modify-write. A Kernel runs on one thread, so it cannot be torn.
template <class T>
bool atomic(ExecRun& run, const Op& op, u64* r) {
  const u64 addr = r[op.dst] + static_cast<u64>(static_cast<s64>(op.off));
  T drain;
  void* const at = store_target(run, addr, sizeof(T), &drain);
  if (!at) return false;
  if (at == &drain) {
    // The register that what was there would go to becomes zero. Linux: ex_handler_bpf.
    if (op.imm & 1) r[op.imm == 0xf1 ? 0 : op.src] = 0;
    return true;
  }
  T old;
  std::memcpy(&old, at, sizeof(T));
  const T operand = static_cast<T>(r[op.src]);
  T fresh = old;
  switch (op.imm & 0xf0) {
    case 0x00:
      fresh = old + operand;
      break;
    case 0x40:
      fresh = old | operand;
      break;
    case 0x50:
      fresh = old & operand;
      break;
    case 0xa0:
      fresh = old ^ operand;
      break;
    case 0xe0:
      fresh = operand;
      break;
    case 0xf0:
      fresh = old == static_cast<T>(r[0]) ? operand : old;
      break;
    default:
      return false;
  }
  std::memcpy(at, &fresh, sizeof(T));
  if (op.imm == 0xf1) {
    r[0] = old;  // zero-extended, whether it was exchanged or not
  } else if (op.imm & 1) {
    r[op.src] = old;
  }
  return true;
}

/// What a local call returns to.
struct Frame {
  const Op* return_to;
  u64 saved[4];  // R6-R9 of the caller
  u64 may_goto;  // iterations that the caller's may_goto have left
};

}  // namespace

#define USCX_NEXT                                                                       \
  do {                                                                                  \
    n++;                                                                                \
    if constexpr (observed) env.observer->step(*this, static_cast<u32>(op - first), r); \
    goto* labels[static_cast<u32>(op->code)];                                           \
  } while (0)
#define USCX_ADDR(reg) (r[reg] + static_cast<u64>(static_cast<s64>(op->off)))

#define USCX_ALU(name)                                                                            \
  l_##name##64k : r[op->dst] = do_##name<u64>(r[op->dst], op->imm);                               \
  op++;                                                                                           \
  USCX_NEXT;                                                                                      \
  l_##name##64x : r[op->dst] = do_##name<u64>(r[op->dst], r[op->src]);                            \
  op++;                                                                                           \
  USCX_NEXT;                                                                                      \
  l_##name##32k : r[op->dst] =                                                                    \
                      do_##name<u32>(static_cast<u32>(r[op->dst]), static_cast<u32>(op->imm));    \
  op++;                                                                                           \
  USCX_NEXT;                                                                                      \
  l_##name##32x : r[op->dst] =                                                                    \
                      do_##name<u32>(static_cast<u32>(r[op->dst]), static_cast<u32>(r[op->src])); \
  op++;                                                                                           \
  USCX_NEXT;

// Loops go through backward jumps, so these are where a run that is too long is noticed, unless its
// loops are known to end.
#define USCX_BRANCH(taken)                           \
  if (taken) {                                       \
    if (op->off <= 0 && n > jump_limit) [[unlikely]] \
      goto l_long;                                   \
    op += op->off;                                   \
  } else {                                           \
    op++;                                            \
  }                                                  \
  USCX_NEXT

#define USCX_JMP(name)                                                                        \
  l_##name##64k : USCX_BRANCH(do_##name<u64>(r[op->dst], op->imm));                           \
  l_##name##64x : USCX_BRANCH(do_##name<u64>(r[op->dst], r[op->src]));                        \
  l_##name##32k                                                                               \
      : USCX_BRANCH(do_##name<u32>(static_cast<u32>(r[op->dst]), static_cast<u32>(op->imm))); \
  l_##name##32x                                                                               \
      : USCX_BRANCH(do_##name<u32>(static_cast<u32>(r[op->dst]), static_cast<u32>(r[op->src])));

#define USCX_UNARY(name, expr)  \
  l_##name : r[op->dst] = expr; \
  op++;                         \
  USCX_NEXT;

#define USCX_LOAD(name, type)                                        \
  l_##name : r[op->dst] = load<type>(*this, op, USCX_ADDR(op->src)); \
  if (stopped) [[unlikely]]                                          \
    goto l_out;                                                      \
  op++;                                                              \
  USCX_NEXT;

#define USCX_STORE(name, type, value)                                           \
  l_##name : if (!store<type>(*this, USCX_ADDR(op->dst), value)) [[unlikely]] { \
    bad_bytes = sizeof(type);                                                   \
    goto l_bad_store;                                                           \
  }                                                                             \
  op++;                                                                         \
  USCX_NEXT;

// What a call leaves in R1-R5 is nobody's to read; where a program was not verified,
// both engines have zero there.
#define USCX_CALL(call)                 \
  set_insns(n);                         \
  r[0] = call;                          \
  n = insns();                          \
  if (stopped) [[unlikely]]             \
    goto l_out;                         \
  if (n > limit) [[unlikely]]           \
    goto l_long;                        \
  r[1] = r[2] = r[3] = r[4] = r[5] = 0; \
  op++;                                 \
  USCX_NEXT

u64 ExecRun::interpret(u32 entry, const std::array<u64, 5>& registers) {
  if (env.observer) [[unlikely]]
    return loop<true>(entry, registers);
  return loop<false>(entry, registers);
}

template <bool observed>
u64 ExecRun::loop(u32 entry, const std::array<u64, 5>& registers) {
  static const void* const labels[] = {
#define USCX_FOUR(name) &&l_##name##64k, &&l_##name##64x, &&l_##name##32k, &&l_##name##32x,
#define USCX_ONE(name) &&l_##name,
      USCX_ALU_OPS(USCX_FOUR) USCX_JMP_OPS(USCX_FOUR) USCX_OTHER_OPS(USCX_ONE)
#undef USCX_FOUR
#undef USCX_ONE
  };
  const Op* const first = decoded->ops.data();
  const Op* op = first + entry;
  const u32 bottom = depth++;
  Frame frames[kMaxFrames];
  u64 may_goto_left = kMaxMayGoto;
  u64 n = insns();
  const u64 half_limit = limit / 2;
  // A run that is observed takes nobody's word for it.
  const u64 jump_limit = decoded->bounded && !observed ? ~u64{0} : limit;
  u32 bad_bytes = 0;
  u64 r[11] = {0, registers[0], registers[1], registers[2], registers[3], registers[4]};
  r[10] = stack + kStackBlock - u64{bottom} * kStackSize;
  USCX_NEXT;

  USCX_ALU_OPS(USCX_ALU)
  USCX_JMP_OPS(USCX_JMP)

  USCX_UNARY(neg64, -r[op->dst])
  USCX_UNARY(neg32, static_cast<u32>(-r[op->dst]))
  USCX_UNARY(movsx8_64, sign_extend<s8>(r[op->src]))
  USCX_UNARY(movsx16_64, sign_extend<s16>(r[op->src]))
  USCX_UNARY(movsx32_64, sign_extend<s32>(r[op->src]))
  USCX_UNARY(movsx8_32, static_cast<u32>(sign_extend<s8>(r[op->src])))
  USCX_UNARY(movsx16_32, static_cast<u32>(sign_extend<s16>(r[op->src])))
  USCX_UNARY(zext16, static_cast<u16>(r[op->dst]))
  USCX_UNARY(zext32, static_cast<u32>(r[op->dst]))
  USCX_UNARY(nop, r[op->dst])
  USCX_UNARY(swap16, __builtin_bswap16(static_cast<u16>(r[op->dst])))
  USCX_UNARY(swap32, __builtin_bswap32(static_cast<u32>(r[op->dst])))
  USCX_UNARY(cast_user, static_cast<u32>(r[op->src]) ? op->imm | static_cast<u32>(r[op->src]) : 0)
  USCX_UNARY(swap64, __builtin_bswap64(r[op->dst]))

  USCX_LOAD(ldx1, u8)
  USCX_LOAD(ldx2, u16)
  USCX_LOAD(ldx4, u32)
  USCX_LOAD(ldx8, u64)
  USCX_LOAD(ldsx1, s8)
  USCX_LOAD(ldsx2, s16)
  USCX_LOAD(ldsx4, s32)

  USCX_STORE(stx1, u8, r[op->src])
  USCX_STORE(stx2, u16, r[op->src])
  USCX_STORE(stx4, u32, r[op->src])
  USCX_STORE(stx8, u64, r[op->src])
  USCX_STORE(st1, u8, op->imm)
  USCX_STORE(st2, u16, op->imm)
  USCX_STORE(st4, u32, op->imm)
  USCX_STORE(st8, u64, op->imm)

l_atomic4:
  bad_bytes = 4;
  if (!atomic<u32>(*this, *op, r)) [[unlikely]]
    goto l_bad_store;
  op++;
  USCX_NEXT;
l_atomic8:
  bad_bytes = 8;
  if (!atomic<u64>(*this, *op, r)) [[unlikely]]
    goto l_bad_store;
  op++;
  USCX_NEXT;

l_ld_imm64:
  r[op->dst] = op->imm;
  op += 2;
  USCX_NEXT;

l_ja:
  USCX_BRANCH(true);
l_may_goto:
  // Falls out after so many iterations, or once half of what the run may execute is used up: where
  // Linux looks at the clock (250 ms), we count.
  if (may_goto_left == 0 || n > half_limit) {
    may_goto_timeouts++;
    if (n > limit) goto l_long;  // one that jumps backward
    op += op->off;
  } else {
    may_goto_left--;
    op++;
  }
  USCX_NEXT;

l_call_helper:
  USCX_CALL(call_helper(static_cast<u32>(op - first), *reinterpret_cast<const Helper*>(op->imm),
                        {r[1], r[2], r[3], r[4], r[5]}));
l_call_kfunc:
  USCX_CALL(call_kfunc(static_cast<u32>(op - first), *reinterpret_cast<const Kfunc*>(op->imm),
                       {r[1], r[2], r[3], r[4], r[5]}, false));

l_call_register:
  USCX_CALL(call_helper_by_number(static_cast<u32>(op - first), r[op->dst],
                                  {r[1], r[2], r[3], r[4], r[5]}));

l_call_local: {
  if (depth >= kMaxFrames) {
    abandon_deep(static_cast<u32>(op - first));
    goto l_out;
  }
  if (n > limit) goto l_long;
  frames[depth++] = {op + 1, {r[6], r[7], r[8], r[9]}, may_goto_left};
  may_goto_left = kMaxMayGoto;
  r[10] -= kStackSize;
  op += op->off;
  USCX_NEXT;
}
l_exit: {
  if (--depth == bottom) {
    set_insns(n);
    return r[0];
  }
  const Frame& frame = frames[depth];
  op = frame.return_to;
  for (u32 i = 0; i < 4; i++) r[6 + i] = frame.saved[i];
  may_goto_left = frame.may_goto;
  r[10] = stack + kStackBlock - u64{depth - 1} * kStackSize;
  USCX_NEXT;
}

// Where these leave, it is as an exit with what they give.
l_tail_call:
  set_insns(n);
  r[0] = tail_call(static_cast<u32>(op - first), r[1], r[2], r[3]);
  goto l_may_leave;
l_ld_packet:
  set_insns(n);
  r[0] = load_packet(static_cast<u32>(op - first), r[6], op->imm + (op->off ? r[op->src] : 0),
                     op->dst);
l_may_leave:
  n = insns();
  if (stopped) [[unlikely]]
    goto l_out;
  if (n > limit) [[unlikely]]
    goto l_long;
  r[1] = r[2] = r[3] = r[4] = r[5] = 0;
  if (leave) {
    leave = 0;
    goto l_exit;
  }
  op++;
  USCX_NEXT;

l_gotox: {
  const u32 target = jump_target(r[op->dst]);
  if (target == kNoInsn) {
    abandon_jump(static_cast<u32>(op - first));
    goto l_out;
  }
  if (n > jump_limit) [[unlikely]]
    goto l_long;
  op = first + target;
  USCX_NEXT;
}

l_trap:
  abandon_trap(static_cast<u32>(op - first));
  goto l_out;
l_bad_store:
  abandon_store(static_cast<u32>(op - first), USCX_ADDR(op->dst), bad_bytes);
  goto l_out;
l_long:
  abandon_long(static_cast<u32>(op - first));
l_out:
  set_insns(n);
  depth = bottom;
  return 0;
}

}  // namespace uscx::bpf
