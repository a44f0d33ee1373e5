// SPDX-License-Identifier: GPL-2.0-only
#include "cli/advice.h"

namespace uscx::cli {

namespace {

// Of two patterns that fit a line, the first counts: the special before the general.
constexpr Advice kAdvice[] = {
    // Pointers and memory.
    {"invalid mem access 'scalar'",
     "A number is used as a pointer: the verifier does not know that the register holds one.",
     "Keep the pointer itself instead of rebuilding it from an integer. For an arena pointer that "
     "is an addr_space_cast which the compiler dropped: compile with clang 22 or newer."},
    {"invalid mem access '*_or_null",
     "The pointer may be NULL here, and it is used without a check.",
     "Compare it with NULL, and leave on that path, before using it."},
    {"Possibly NULL pointer passed",
     "An argument may be NULL, and the function does not take NULL.",
     "Compare it with NULL first and call only where it is not."},
    {"invalid access to map value",
     "A map value is accessed outside its size, or at an offset that is not known to lie in it.",
     "Check the index against the size of the value just before the access (idx < MAX), as an "
     "unsigned number."},
    {"invalid access to packet", "Packet data is read beyond what was compared with data_end.",
     "Compare data + offset + size with data_end before the access."},
    {"invalid access to memory", "A pointer to a sized piece of memory is accessed beyond its end.",
     "Check the offset against the size before the access."},
    {"value is outside of the allowed memory range",
     "An access may reach beyond the memory its pointer points into.",
     "Bound the index (and its sign: use an unsigned type) before the access."},
    {"unbounded memory access", "An offset has no upper bound that the verifier could see.",
     "Bound it: if (i >= MAX) return; or mask it, i &= MAX - 1."},
    {"min value is negative", "An index or a size may be negative.",
     "Make it unsigned, or check that it is >= 0 before using it."},
    {"!read_ok",
     "A register is used that was never set on this path; after a call R1 to R5 are gone.",
     "Initialise the variable on every path."},
    {"invalid read from stack", "Stack memory is read that was not written on this path.",
     "Initialise the variable (= {}) before it is read or its address passed on."},
    {"invalid indirect access to stack", "A function reads stack memory that was not written.",
     "Initialise the whole variable, padding included, before passing its address."},
    {"invalid write to stack", "A store lies outside of the function's stack frame.",
     "Check the index into the local array."},
    {"frame pointer is read only", "R10 is written to; only the kernel sets it.",
     "In assembly, copy R10 to another register first."},
    {"dereference of modified", "A pointer to a kernel object was moved before it was used.",
     "Access the member through the original pointer: p->member, not an offset of p."},
    {"only read is supported",
     "The program stores into a kernel object whose fields it may only read.",
     "Of a task, sched_ext programs may write scx.slice, scx.dsq_vtime and scx.disallow; the rest "
     "has kfuncs or belongs into the program's own task storage."},
    {"cannot write into", "The program stores to memory it may only read.",
     "Copy it into a variable of the program's own."},
    {"write into map forbidden", "The map is read-only to programs (.rodata, BPF_F_RDONLY_PROG).",
     "Take const off the variable, or write to another map."},
    {"misaligned", "An access is not aligned to its size.",
     "Align the field, or copy it with __builtin_memcpy()."},
    {"R* pointer arithmetic on", "Arithmetic is done on a pointer whose kind does not allow it.",
     "Check for NULL before adding to it, and index with a bounded number."},
    {"pointer arithmetic", "Arithmetic is done on a pointer whose kind does not allow it.",
     "Index with a bounded number instead of computing the address."},
    {"leaks addr", "A kernel address would become visible as a number.",
     "Do not store, return or compare pointers as integers."},
    // References and locks.
    {"Unreleased reference", "A reference that was acquired is not released on some path.",
     "Release it (bpf_task_release, bpf_cgroup_release, bpf_cpumask_release ...) before every "
     "return, or store it with bpf_kptr_xchg()."},
    {"must be referenced", "A function that needs a reference is given a borrowed pointer.",
     "Acquire it first (bpf_task_acquire ...) and check the result for NULL."},
    {"must be a rcu pointer", "The pointer is only valid inside an RCU read section.",
     "Put the use between bpf_rcu_read_lock() and bpf_rcu_read_unlock()."},
    {"must be referenced or trusted",
     "The pointer was reached in a way that does not keep the object alive.",
     "Acquire a reference, or use the pointer the callback was given."},
    {"rcu_read_unlock is missing", "An RCU read section is not left on some path.",
     "Call bpf_rcu_read_unlock() before every return."},
    {"bpf_spin_lock-ed region", "A path leaves, or calls a function, with the lock held.",
     "Unlock before every return, and call nothing between that the kernel does not allow."},
    {"function calls are not allowed while holding a lock",
     "Between lock and unlock only a few functions may be called.",
     "Move the call out of the locked part."},
    {"is sleepable within", "A function that may sleep is called where sleeping is not allowed.",
     "Move the call to a sleepable callback (SEC(\"struct_ops.s/...\"): init, init_task, exit "
     "...), "
     "out of locks and RCU sections."},
    {"program must be sleepable", "The function may sleep and the program may not.",
     "Use a sleepable section (SEC(\"struct_ops.s/...\")), where the callback allows it."},
    // What may be called.
    {"calling kernel function * is not allowed",
     "The kernel function exists, but not for this program type or this callback.",
     "Call it from a callback that may (scx_bpf_dsq_insert: enqueue, select_cpu, dispatch; "
     "scx_bpf_dsq_move_to_local: dispatch ...)."},
    {"not found in kernel or module BTFs", "The kernel has no function or variable of that name.",
     "It came with another kernel version: declare it __weak and ask bpf_ksym_exists(), or "
     "choose another --kernel."},
    {"is referenced but wasn't resolved",
     "A weak kernel function that this kernel lacks is called unconditionally.",
     "Call it behind if (bpf_ksym_exists(...))."},
    {"program of this type cannot use helper", "The helper is not for programs of this type.",
     "Use the kfunc that does the same, or another program type."},
    {"cannot call GPL-restricted", "The helper is for GPL programs only.",
     "char _license[] SEC(\"license\") = \"GPL\";"},
    {"invalid func unknown#", "A helper is called that this kernel does not have.",
     "Choose another --kernel, or ask bpf_core_enum_value_exists(enum bpf_func_id, ...)."},
    {"expected pointer to", "A pointer of the wrong type is passed.",
     "Pass the object the prototype asks for."},
    {"type=* expected=", "An argument has a type that the function does not take.",
     "Compare the call with the function's prototype; a pointer into a local variable, a map value "
     "and a kernel object are different things."},
    // Control flow and limits.
    {"infinite loop detected", "A loop comes back to a state it was in before: it may never end.",
     "Let the condition depend on something that changes each time, or use bpf_for() or can_loop."},
    {"BPF program is too large. Processed",
     "The walk through all paths took more than 1,000,000 instructions.",
     "Use bpf_for(), bpf_repeat() or can_loop for loops, and __noinline global functions for big "
     "parts: they are verified once."},
    {"The sequence of * jumps is too complex", "Too many branches wait to be looked at at once.",
     "Split the function, or make loops open-coded iterators (bpf_for())."},
    {"back-edge", "A jump leads backwards where that is not allowed.",
     "Let the compiler target -mcpu=v3 or newer and load with privileges."},
    {"combined stack size", "The stacks of a chain of calls are more than 512 bytes together.",
     "Move big variables into a map or task storage, or pass pointers instead of copies."},
    {"the call stack of * frames is too deep", "Functions are nested more than 16 deep.",
     "Inline some of them."},
    {"unreachable insn", "Code is never reached, which unprivileged programs may not have.",
     "Remove it."},
    {"last insn is not an exit or jmp", "The function runs off its end.",
     "Every path needs a return."},
    {"At program exit the register R0", "The return value may lie outside of what the hook takes.",
     "Return a constant, or bound it before the return."},
    {"R0 !read_ok", "A path returns without a value.", "Return a value on every path."},
    {"too many args", "The function has more arguments than registers carry.",
     "Pass a pointer to a struct."},
    // Types and maps.
    {"no matching targets found",
     "The program reads a struct member that this kernel does not have (CO-RE relocation).",
     "Ask bpf_core_field_exists() first, or choose another --kernel."},
    {"failed to find kernel BTF type ID of", "The kernel has nothing of that name to attach to.",
     "Check the section's name, or choose another --kernel."},
    {"is not a supported struct", "The kernel has no struct_ops type of that name.",
     "Choose a --kernel that has it."},
    {"attach to unsupported member", "The callback cannot be a BPF program in this kernel.",
     "Take the member out of the ops, or choose another --kernel."},
    {"failed to create", "A map could not be created.",
     "Look at the map's definition: sizes, flags, and a map type that this kernel serves."},
    {"kernel doesn't support", "The kernel lacks a feature the object needs.",
     "Choose a newer --kernel."},
};

/// Does `pattern`, in which '*' stands for anything, occur in `line`?
bool fits(std::string_view line, std::string_view pattern) {
  std::size_t at = 0;
  while (!pattern.empty()) {
    const auto star = pattern.find('*');
    const std::string_view part = pattern.substr(0, star);
    const auto found = line.find(part, at);
    if (found == line.npos) return false;
    at = found + part.size();
    if (star == pattern.npos) return true;
    pattern.remove_prefix(star + 1);
  }
  return true;
}

}  // namespace

std::optional<Advice> advice_for(std::string_view log) {
  // The kernel's own diagnosis says it in other words.
  log = log.substr(0, log.rfind("\nVerification failed: "));
  while (!log.empty()) {
    if (log.ends_with('\n')) log.remove_suffix(1);
    const auto eol = log.rfind('\n');
    const std::string_view line = eol == log.npos ? log : log.substr(eol + 1);
    for (const Advice& advice : kAdvice) {
      if (fits(line, advice.pattern)) return advice;
    }
    if (eol == log.npos) break;
    log = log.substr(0, eol + 1);
  }
  return std::nullopt;
}

}  // namespace uscx::cli
