// SPDX-License-Identifier: GPL-2.0-only
// What the parts of the verifier share: the program as it is known before the walk, the walk's own
// bookkeeping, and the primitives that all rules are made of. Functions that check return 0 or a
// negative errno, as Linux's do, after they said why in the log.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/isa.h"
#include "bpf/maps/map.h"
#include "bpf/verifier/backtrack.h"
#include "bpf/verifier/btf_facts.h"
#include "bpf/verifier/call_meta.h"
#include "bpf/verifier/helper_proto.h"
#include "bpf/verifier/insn_kinds.h"
#include "bpf/verifier/kfunc_proto.h"
#include "bpf/verifier/log.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/program_info.h"
#include "bpf/verifier/record.h"
#include "bpf/verifier/special_kfuncs.h"
#include "bpf/verifier/stack_liveness.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/verifier.h"
#include "btf/btf.h"

namespace uscx::bpf::verifier {

inline constexpr u32 kInsnLimit = 1'000'000;     // BPF_COMPLEXITY_LIMIT_INSNS
inline constexpr u32 kJumpSequenceLimit = 8192;  // BPF_COMPLEXITY_LIMIT_JMP_SEQ
inline constexpr u32 kMaxSubprogs = 256;
inline constexpr u32 kMaxUsedMaps = 64;
inline constexpr s64 kMaxVarOff = 1 << 29;
inline constexpr u64 kMaxVarSize = 1 << 29;
inline constexpr s64 kMaxErrno = 4095;
inline constexpr int kErrNotSupp = 524;
inline constexpr std::array<u8, 6> kCallerSaved = {0, 1, 2, 3, 4, 5};

/// A context argument that BTF says more about. Linux: struct bpf_ctx_arg_aux.
struct CtxArg {
  u32 offset = 0;
  RegType type = kNotInit;
  const btf::Btf* btf = nullptr;
  u32 btf_id = 0;
  bool refcounted = false;
  u32 ref_id = 0;
};

/// What the program is attached to, as far as BTF says. Linux: parts of bpf_prog_aux.
struct AttachTarget {
  std::string name = {};                 // attach_func_name
  const btf::Btf* btf = nullptr;         // the kernel's or a module's
  std::optional<btf::Proto> proto = {};  // attach_func_proto
  bool raw_tracepoint = false;           // attach_btf_trace
  std::vector<CtxArg> ctx_args = {};
};

/// A path to be walked later. Linux: struct bpf_verifier_stack_elem.
struct Pending {
  VerifierState state = {};
  u32 insn_idx = 0;
  s32 prev_insn_idx = 0;
  u64 log_pos = 0;
};

enum class SetCallee : u8 {
  kCall,
  kMapElem,
  kLoop,
  kTimer,
  kFindVma,
  kUserRingbuf,
  kRbtreeAdd,
  kTaskWork,
};

struct SccBackedge {
  VerifierState state = {};
};
struct SccVisit {
  std::array<u32, kMaxFrames - 1> callsites = {};
  const VerifierState* entry_state = nullptr;
  std::vector<std::unique_ptr<SccBackedge>> backedges = {};
  u32 num_backedges = 0;
};

/// What a checked instruction says about how to go on. Other results are negative errnos.
enum StepResult : int { kStepNext = 0, kStepExit = 1, kStepJumped = 2 };

struct Verifier {
  explicit Verifier(const VerifyInput& input);

  const VerifyInput& in;
  const btf::Btf& vmlinux;
  const btf::Btf* prog_btf = nullptr;
  ProgContext prog;
  AttachTarget attach = {};
  Log log;
  Records records;

  // Capabilities. Linux: the same names in bpf_verifier_env.
  bool allow_ptr_leaks;
  bool allow_uninit_stack;
  bool bpf_capable;
  bool strict_alignment;
  bool test_state_freq;
  bool test_reg_invariants;

  // The program.
  std::vector<Insn> insns;
  std::vector<InsnAux> aux;
  std::vector<Subprogram> subprogs =
      {};  // one more at the end, whose start is the program's length
  u32 subprog_cnt = 0;
  u32 exception_callback = 0;
  std::vector<u32> topo_order = {};
  std::vector<u32> postorder = {};
  std::vector<std::vector<u32>> jump_tables = {};
  std::vector<MapRef> used_maps = {};
  std::vector<const Map*> insn_array_maps = {};
  std::vector<std::shared_ptr<void>> insn_array_claims = {};  // InsnArrayMap::claim
  const Map* arena = nullptr;
  std::map<std::pair<u32, s16>, KfuncDesc> kfuncs = {};
  StackLiveness liveness = {};
  u32 scc_cnt = 0;

  // The walk.
  StatePool pool = {};
  std::unique_ptr<VerifierState> state = {};  // Linux: cur_state
  std::vector<std::unique_ptr<Pending>> pending = {};
  std::vector<std::unique_ptr<Pending>> free_pending = {};
  std::vector<Explored*> explored = {};  // heads of lists, by insn ^ callsite
  Explored* free_list = nullptr;         // evicted, but still someone's parent
  std::vector<std::vector<SccVisit>> scc_visits = {};
  u32 insn_idx = 0;
  s32 prev_insn_idx = -1;
  HistoryEntry* cur_hist = nullptr;
  BacktrackState bt = {};
  u32 id_gen = 0;
  bool seen_exception = false;
  bool seen_direct_write = false;

  u32 insn_processed = 0, prev_insn_processed = 0;
  u32 jmps_processed = 0, prev_jmps_processed = 0;
  u32 max_stack_depth = 0;
  u32 max_states_per_insn = 0, total_states = 0, peak_states = 0;
  u32 explored_states = 0, free_list_size = 0, num_backedges = 0;

  // The log's own state.
  u32 scratched_regs = 0;
  u64 scratched_slots = 0;
  u64 prev_log_pos = 0, prev_insn_print_pos = 0;
  const LineInfo* prev_line = nullptr;

  // -- primitives

  template <class... Args>
  int refuse(int errnum, fmt::format_string<Args...> text, Args&&... args) {
    log(text, static_cast<Args&&>(args)...);
    return -errnum;
  }
  /// Something that cannot be. Linux: verifier_bug.
  template <class... Args>
  int bug(fmt::format_string<Args...> text, Args&&... args) {
    if (log.enabled()) {
      log("verifier bug: ");
      log(text, static_cast<Args&&>(args)...);
      log("\n");
    }
    return -EFAULT;
  }

  u32 len() const { return static_cast<u32>(insns.size()); }
  const Insn& insn() const { return insns[insn_idx]; }
  InsnAux& cur_aux() { return aux[insn_idx]; }
  FuncState& cur() { return state->cur(); }
  std::array<RegState, kNrRegs>& regs() { return state->cur().regs; }
  RegState& reg(u32 regno) { return state->cur().regs[regno]; }
  FuncState& frame_of(const RegState& stack_pointer) {
    return *state->frame[stack_pointer.frameno()];
  }
  Subprogram& cur_subprog() { return subprogs[cur().subprogno]; }
  u32 new_id() { return ++id_gen; }

  // Marks. Linux: mark_reg_unknown etc.
  void mark_unknown(RegState& reg) { reg.set_unknown(!bpf_capable); }
  void mark_not_init(RegState& reg) {
    reg.set_unknown(!bpf_capable);
    reg.type = kNotInit;
  }
  void mark_const_zero(RegState& reg) {
    reg.set_scalar(0);
    reg.precise = !bpf_capable;
  }
  /// What a pointer that died leaves. Linux: mark_reg_invalid.
  void mark_invalid(RegState& reg) {
    if (allow_ptr_leaks)
      mark_unknown(reg);
    else
      mark_not_init(reg);
  }
  void scratch_reg(u32 regno) { scratched_regs |= 1u << regno; }
  void scratch_slot(u32 spi) { scratched_slots |= 1ull << spi; }
  void scratch_all() {
    scratched_regs = ~0u;
    scratched_slots = ~0ull;
  }

  bool is_pointer_value(const RegState& reg) const { return !allow_ptr_leaks && reg.is_pointer(); }
  /// Not the program's own. A module's BTF is the kernel's with more at the end.
  bool is_kernel(const btf::Btf* btf) const { return btf && btf != prog_btf; }
  /// Do two BTFs mean the same type? Linux: btf_types_are_same.
  bool same_type(const btf::Btf* a, u32 id_a, const btf::Btf* b, u32 id_b) const {
    if (id_a != id_b) return false;
    return a == b || (is_kernel(a) && is_kernel(b) && id_a < vmlinux.type_count());
  }
  const Record* record_of(const RegState& reg);

  // Sections that a path is in.
  bool in_rcu_cs() const {
    return state->active_rcu_locks || state->active_preempt_locks || state->active_locks ||
           state->active_irq_id || !state->in_sleepable;
  }
  bool in_sleepable_context() const { return !in_rcu_cs(); }
  std::string_view non_sleepable_text() const;

  std::string_view subprog_name(u32 subprog) const { return subprogs[subprog].name; }
  bool is_global(u32 subprog) const { return subprogs[subprog].linkage == btf::kGlobal; }
  /// The subprogram that begins at `insn`; -ENOENT.
  s32 find_subprog(s64 insn) const;
  u32 containing_subprog(u32 insn) const;
  const KfuncDesc* find_kfunc(const Insn& insn) const;
  std::string disassemble_at(u32 index) const;
  /// The source line of an instruction, after `prefix`, unless it was the last one printed.
  /// Linux: verbose_linfo.
  void log_line(u32 insn, std::string_view prefix);
  void print_state(const VerifierState& vstate, u32 frameno, bool all);
  void print_insn_state(const VerifierState& vstate, u32 frameno);

  /// Successors in the control flow; at most two, or a jump table. Linux: bpf_insn_successors.
  std::span<const u32> successors(u32 idx);
  std::array<u32, 2> succ_buf = {};
};

// -- before the walk; in this order. structure.cc, resolve.cc, cfg.cc, const_regs.cc, ...
int add_subprograms(Verifier& v);
int check_subprograms(Verifier& v);
int check_function_info(Verifier& v);
int check_line_info(Verifier& v);
int resolve_instructions(Verifier& v);
int collect_kfuncs(Verifier& v);
int check_cfg(Verifier& v);
int compute_postorder(Verifier& v);
int check_attach_target(Verifier& v);
int compute_const_regs(Verifier& v);
int prune_dead_branches(Verifier& v);
int sort_subprograms(Verifier& v);
int compute_scc(Verifier& v);
int compute_live_registers(Verifier& v);
int mark_fastcall_patterns(Verifier& v);
// -- the walk. explore.cc
int explore_program(Verifier& v);
// -- after it.
int remove_fastcall_spills(Verifier& v);
int check_max_stack_depth(Verifier& v);
int finish_program(Verifier& v, VerifyResult& result);

// -- explore.cc
/// A copy of the current state, to be walked from `insn` later; null after a message, when there
/// are too many. Pointers into the current state stay valid. Linux: push_stack.
VerifierState* push_state(Verifier& v, u32 insn, s32 prev_insn);
VerifierState* push_async_callback(Verifier& v, u32 insn, s32 prev_insn, u32 subprog,
                                   bool sleepable);
void init_frame(Verifier& v, FuncState& frame, s32 callsite, u32 frameno, u32 subprog);
void account_processed_insns(Verifier& v, FuncState& callee, FuncState* caller);

// -- backtrack.cc
int push_jmp_history(Verifier& v, VerifierState& state, u8 flags, u32 spi, u32 frame,
                     u64 linked_regs);
/// The value of a register decided something: all that it was made of must be precise.
int mark_chain_precision(Verifier& v, u32 regno);
/// The same for what `v.bt` has set.
int mark_chain_precision_batch(Verifier& v, VerifierState& starting_state);
int mark_chain_precision(Verifier& v, VerifierState& starting_state, s32 regno, bool* changed);
int mark_arg_precision(Verifier& v, ArgNo arg);
void mark_all_scalars_precise(Verifier& v, VerifierState& st);

// -- prune.cc
/// 1: as good as a state explored before. Linux: bpf_is_state_visited.
int state_visited(Verifier& v, u32 insn_idx);
int update_branch_counts(Verifier& v, VerifierState* st);
Explored*& explored_head(Verifier& v, u32 insn_idx);
VerifierState* find_prev_entry(Verifier& v, const VerifierState& cur, u32 insn_idx);
void widen_imprecise_scalars(Verifier& v, const VerifierState& old, VerifierState& cur);
void free_backedges(Verifier& v, SccVisit& visit);

// -- registers, references: regs.cc
enum class ArgUse : u8 { kSrc, kDst, kDstNoMark };
int check_reg_arg(Verifier& v, u32 regno, ArgUse use);
int check_reg_arg(Verifier& v, FuncState& frame, u32 regno, ArgUse use);
void assign_scalar_id_before_mov(Verifier& v, RegState& src);
int check_invariants(Verifier& v, RegState& reg, std::string_view context);
bool is_referenced(const Verifier& v, const RegState& reg);
bool is_trusted(const Verifier& v, const RegState& reg);
bool has_reference(const VerifierState& state, u32 id);
/// A register type that stands for a struct of the kernel's BTF (sock, map): its name; empty.
std::string_view reg_btf_struct(RegType base);
u32 acquire_reference(Verifier& v, u32 insn_idx, u32 parent_id);
int release_reference(Verifier& v, u32 id);
int release_reference_nomark(VerifierState& state, u32 id);
void invalidate_non_owning_refs(Verifier& v);
void invalidate_rcu_protected_refs(Verifier& v);
void clear_all_packet_pointers(Verifier& v);
void clear_caller_saved(Verifier& v, FuncState& frame);
void invalidate_outgoing_stack_args(Verifier& v, FuncState& frame);
int check_reference_leak(Verifier& v, bool exception_exit);
int check_resource_leak(Verifier& v, bool exception_exit, bool check_lock, std::string_view what);

// -- memory accesses: memory.cc, map_value.cc, load_store.cc, stack_access.cc, btf_access.cc,
// ctx_access.cc
enum Access : u32 { kRead = 1, kWrite = 2 };
enum class AccessSource : u8 { kDirect, kHelper };
int check_mem_access(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, u32 size,
                     Access type, s32 value_regno, bool strict_once, bool ldsx);
int check_mem_region(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size, u32 mem_size,
                     bool zero_size_allowed);
int check_map_access(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size,
                     bool zero_size_allowed, AccessSource src);
int check_map_access_type(Verifier& v, const RegState& reg, s32 off, s32 size, Access type);
int check_ptr_alignment(Verifier& v, const RegState& reg, s32 off, s32 size, bool strict_once);
int check_ptr_off_reg(Verifier& v, const RegState& reg, ArgNo arg, bool fixed_off_ok);
int check_helper_mem_access(Verifier& v, RegState& reg, ArgNo arg, s32 size, Access type,
                            bool zero_size_allowed, CallMeta* meta);
int check_mem_size_reg(Verifier& v, RegState& mem, RegState& size, ArgNo mem_arg, ArgNo size_arg,
                       u32 access, bool zero_size_allowed, CallMeta* meta);
int check_mem_reg(Verifier& v, RegState& reg, ArgNo arg, u32 mem_size, u32 access, CallMeta* meta);
int check_load(Verifier& v, const Insn& insn, bool strict_once, bool ldsx, bool allow_mismatch,
               std::string_view context);
int check_store_reg(Verifier& v, const Insn& insn, bool strict_once);
int check_store_imm(Verifier& v, const Insn& insn);
int check_atomic(Verifier& v, const Insn& insn);
int access_map_value(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, u32 size,
                     Access type, s32 value_regno, bool ldsx);
/// "R{} leaks addr into {}"; -EACCES.
int leak(Verifier& v, s32 regno, std::string_view where);
int save_ptr_type(Verifier& v, RegType type, bool allow_trust_mismatch);
int map_kptr_match_type(Verifier& v, const RecordField& field, const RegState& reg, u32 regno);
bool map_is_rdonly(const Map& map);
int map_direct_read(Verifier& v, const Map& map, s64 off, u32 size, u64& value, bool ldsx);
/// Window address of `off` in element 0; 0 where the map has none.
u64 map_direct_address(const Map& map);
u32 map_mem_size(const Map& map);
bool may_access_packet_data(Verifier& v, bool write, const HelperProto* helper);
bool var_ctx_off_allowed(const Verifier& v);

int grow_stack(Verifier& v, FuncState& frame, s64 size);
int check_stack_access_bounds(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size,
                              Access type);
int check_stack_read(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, s32 dst_regno);
int check_stack_write(Verifier& v, RegState& reg, s32 off, s32 size, s32 value_regno, u32 insn_idx);
int check_stack_range_initialized(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size,
                                  bool zero_size_allowed, Access type, CallMeta* meta);
int check_stack_arg_write(Verifier& v, FuncState& frame, s32 off, const RegState* value);
int check_stack_arg_read(Verifier& v, FuncState& frame, s32 off, u32 dst_regno);

int check_btf_access(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, Access type,
                     s32 value_regno);
int check_map_object_access(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, Access type,
                            s32 value_regno);
int check_ctx_access(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, s32 size,
                     Access type, s32 value_regno, bool ldsx);
/// Linux: mark_btf_ld_reg.
void mark_btf_load(Verifier& v, RegState& reg, RegType type, const btf::Btf* btf, u32 btf_id,
                   u32 flags);

// -- instructions: alu.cc, branch.cc, load_imm.cc
int check_alu(Verifier& v, const Insn& insn);
int check_cond_jump(Verifier& v, const Insn& insn);
int check_indirect_jump(Verifier& v, const Insn& insn);
int check_ld_imm64(Verifier& v, const Insn& insn);
int check_ld_abs(Verifier& v, const Insn& insn);

// -- stack objects: dynptr.cc, iter.cc, locks.cc
int process_dynptr(Verifier& v, RegState& reg, ArgNo arg, u32 insn_idx, ArgType type,
                   RefObj& ref_obj, DynptrDesc* dynptr);
int release_dynptr(Verifier& v, RegState& reg);
int destroy_if_dynptr(Verifier& v, FuncState& frame, u32 spi);
void mark_dynptr_reg(RegState& reg, DynptrType type, bool first, u32 id, u32 parent_id);
DynptrType dynptr_type_of_arg(ArgType type);
u32 dynptr_flag_of(DynptrType type);
bool dynptr_referenced(DynptrType type);
/// The slot a pointer to an object of `slots` slots names: -EINVAL after a message, -ERANGE where
/// the stack does not reach so far yet. Linux: stack_slot_obj_get_spi.
int stack_object_spi(Verifier& v, const RegState& reg, std::string_view kind, u32 slots);
int process_iter_arg(Verifier& v, RegState& reg, ArgNo arg, u32 insn_idx, CallMeta& meta);
int process_iter_next(Verifier& v, u32 insn_idx, CallMeta& meta);
int process_spin_lock(Verifier& v, RegState& reg, ArgNo arg, bool lock, bool resilient, bool irq);
int process_irq_flag(Verifier& v, RegState& reg, ArgNo arg, CallMeta& meta);
const Reference* find_lock(const VerifierState& state, u32 types, u32 id, const void* ptr);

// -- calls: subprog_call.cc, subprog_args.cc, callback.cc, helper_call.cc, helper_args.cc,
//    kfunc_call.cc, kfunc_args.cc
int check_function_call(Verifier& v, const Insn& insn);
int prepare_function_args(Verifier& v, u32 subprog);
int check_subprog_call(Verifier& v, u32 subprog, FuncState& caller);
bool subprog_returns_void(const Verifier& v, u32 subprog);
int setup_function_entry(Verifier& v, u32 subprog, s32 callsite, SetCallee set,
                         VerifierState& state);
int push_callback_call(Verifier& v, const Insn& insn, u32 insn_idx, u32 subprog, SetCallee set);
int prepare_function_exit(Verifier& v);
int process_exit(Verifier& v, bool* do_print_state, bool exception_exit);
int check_return_code(Verifier& v, u32 regno, std::string_view reg_name);
/// "... the register R0 has smin=... should have been in [...]"; -EINVAL.
/// Linux: verbose_invalid_scalar.
int refuse_value(Verifier& v, const RegState& reg, const RetvalRange& range, std::string_view where,
                 std::string_view reg_name);
int check_outgoing_stack_args(Verifier& v, FuncState& caller, u32 nargs);
RegState& func_arg_reg(FuncState& caller, u32 arg);
int check_helper_call(Verifier& v, const Insn& insn);
int check_helper_arg(Verifier& v, u32 arg, CallMeta& meta, u32 insn_idx);
int check_kfunc_call(Verifier& v, const Insn& insn);
int check_kfunc_args(Verifier& v, CallMeta& meta, u32 insn_idx);
/// Works out a kfunc's prototype; -errno after a message. Linux: bpf_add_kfunc_call.
int describe_kfunc(Verifier& v, u32 func_id, s16 off, KfuncDesc& out);
int check_reg_type(Verifier& v, RegState& reg, ArgNo arg, ArgType type, const btf::Btf* arg_btf,
                   u32 arg_btf_id, CallMeta& meta);
int check_func_arg_reg_off(Verifier& v, const RegState& reg, ArgNo arg, ArgType type,
                           bool btf_id_fixed_off_ok);
int check_map_field(Verifier& v, const RegState& reg, ArgNo arg, FieldType type, MapDesc& map);
int check_const_str(Verifier& v, RegState& reg, ArgNo arg);
int process_map_ptr(Verifier& v, const RegState& reg, ArgNo arg, CallMeta& meta);
int process_const_alloc_size(Verifier& v, const RegState& reg, ArgNo arg, CallMeta& meta);
/// Takes away what a call was given to release. Linux: release_reg.
int release_argument(Verifier& v, RegState& reg, bool convert_rcu, bool release_dynptr);
int set_non_owning(Verifier& v, RegState& reg);
bool in_rbtree_lock_required_cb(const Verifier& v);
void mark_graph_node(RegState& reg, const RecordField& root);
/// Is this struct type the context of the program's type? Linux: btf_is_prog_ctx_type.
bool is_prog_ctx_type(Verifier& v, const btf::Btf& btf, u32 pointer_id);
std::optional<u32> kernel_ctx_type(Verifier& v);

/// How a call looks without its arguments' values. Linux: struct bpf_call_summary.
struct CallSummary {
  u32 num_params = 0;
  bool is_void = false;
  bool fastcall = false;
};
std::optional<CallSummary> call_summary(const Verifier& v, const Insn& insn);
/// Bytes a call may read (> 0) or writes (< 0) through an argument; kStackAll: not known.
inline constexpr s64 kStackAll = std::numeric_limits<s64>::min();
s64 helper_stack_bytes(Verifier& v, const Insn& insn, u32 arg, u32 insn_idx);
s64 kfunc_stack_bytes(Verifier& v, const Insn& insn, u32 arg, u32 insn_idx);
bool is_sync_callback_call(const Verifier& v, const Insn& insn);
bool is_async_callback_call(const Verifier& v, const Insn& insn);
bool is_throw(const Verifier& v, const Insn& insn);
const HelperProto* program_helper(const Verifier& v, s32 id);
/// Targets of an indirect jump through entries [first, last] of an instruction array, ascending.
int insn_array_targets(Verifier& v, const Map& map, u32 first, u32 last, std::vector<u32>& out);

}  // namespace uscx::bpf::verifier
