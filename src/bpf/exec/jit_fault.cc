// SPDX-License-Identifier: GPL-2.0-only
// Faults of machine code: an access to a page of an arena that is not there loads 0, or stores
// nothing. Linux: ex_handler_bpf, found by its exception table.
#if defined(__x86_64__)
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/assert.h"
#include "bpf/exec/jit_translator.h"
#include "bpf/maps/arena.h"

namespace uscx::bpf::jit {

namespace {

/// The code of this process that may fault. The handler reads it without a lock; entries come and
/// go, chunks only come.
struct Chunk {
  std::array<std::atomic<const FaultingCode*>, 64> slots = {};
  std::atomic<Chunk*> next = nullptr;
};
Chunk first_chunk;
std::mutex registering;
struct sigaction previous;

constexpr int kMachineRegisters[11] = {REG_RAX, REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8,
                                       REG_RBX, REG_R13, REG_R14, REG_R15, REG_RBP};

const FaultingCode* code_at(u64 address) {
  for (const Chunk* chunk = &first_chunk; chunk; chunk = chunk->next.load()) {
    for (const auto& slot : chunk->slots) {
      const FaultingCode* code = slot.load();
      if (code && address >= code->begin && address < code->end) return code;
    }
  }
  return nullptr;
}

/// False where the fault is nobody's here.
bool handle(u64 address, gregset_t& registers) {
  const u64 at = static_cast<u64>(registers[REG_RIP]);
  const FaultingCode* code = code_at(at);
  if (!code) return false;
  const u32 offset = static_cast<u32>(at - code->begin);
  auto fault = std::ranges::upper_bound(code->faults, offset, {}, &Fault::begin);
  if (fault == code->faults.begin()) return false;
  --fault;
  if (offset >= fault->end) return false;
  if (code->arena->page_came(address)) return true;
  const u64* const frame = reinterpret_cast<const u64*>(registers[REG_RSP]);
  auto* run = static_cast<ExecRun*>(reinterpret_cast<RunState*>(frame[1 + kSlotRun]));
  const int base = fault->base == Fault::kNoRegister ? REG_R11 : kMachineRegisters[fault->base];
  u64 linear = static_cast<u64>(registers[base]) + static_cast<u64>(s64{fault->off});
  if (!ArenaMap::near(linear)) linear -= code->arena->kern_vm_start();
  run->arena_fault(linear, fault->store);
  if (fault->zeroed != Fault::kNoRegister) registers[kMachineRegisters[fault->zeroed]] = 0;
  registers[REG_RIP] = static_cast<greg_t>(code->begin + fault->resume);
  return true;
}

void on_fault(int signal, siginfo_t* info, void* context) {
  auto* machine = static_cast<ucontext_t*>(context);
  if (handle(reinterpret_cast<u64>(info->si_addr), machine->uc_mcontext.gregs)) return;
  // Somebody else's: as if we were not there. Without a handler the access, tried again, ends the
  // process.
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    sigaction(signal, &previous, nullptr);
  }
}

/// Once: in front of whatever handler the process has by then.
void install() {
  static bool installed = false;
  if (installed) return;
  installed = true;
  struct sigaction action = {};
  action.sa_sigaction = &on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  USCX_ASSERT(sigaction(SIGSEGV, &action, &previous) == 0);
}

}  // namespace

FaultingCode::FaultingCode(const void* code, u64 size, std::vector<Fault> faults_, ArenaMap* arena_)
    : begin(reinterpret_cast<u64>(code)),
      end(begin + size),
      faults(std::move(faults_)),
      arena(arena_) {
  const std::lock_guard lock(registering);
  install();
  for (Chunk* chunk = &first_chunk;; chunk = chunk->next.load()) {
    for (auto& slot : chunk->slots) {
      if (slot.load()) continue;
      slot.store(this);
      return;
    }
    if (!chunk->next.load()) chunk->next.store(new Chunk);
  }
}

FaultingCode::~FaultingCode() {
  const std::lock_guard lock(registering);
  for (Chunk* chunk = &first_chunk; chunk; chunk = chunk->next.load()) {
    for (auto& slot : chunk->slots) {
      if (slot.load() == this) slot.store(nullptr);
    }
  }
}

}  // namespace uscx::bpf::jit
#endif
