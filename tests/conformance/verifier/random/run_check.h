// SPDX-License-Identifier: GPL-2.0-only
// What a run of an accepted program must keep to, looked at instruction by instruction: memory it
// owns, references and sections given back, iterators within their range, and what the verifier
// claimed of the registers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "bpf/exec/observer.h"
#include "bpf/exec/run.h"
#include "bpf/net/contexts.h"
#include "bpf/verifier/claims.h"
#include "bpf/verifier/kfunc_proto.h"

namespace uscx::conformance {

class RunCheck final : public bpf::StepObserver {
 public:
  enum class Context : u8 { kPlain, kStructOps, kSkb, kXdp };
  /// `claims` of this very program, or null; `context_bytes`: the context's size.
  RunCheck(const bpf::verifier::Claims* claims, Context context, u32 context_bytes)
      : claims_(claims), context_(context), context_bytes_(context_bytes) {}

  void step(const bpf::ExecRun& run, u32 insn, const u64* registers) override;
  /// After the run: what was wrong first, or empty.
  std::string finish();
  /// Instructions executed whose registers were compared, and those without claims.
  u64 compared() const { return compared_; }
  u64 unclaimed() const { return unclaimed_; }
  /// Whether the run ended with a reference in r0 that nobody asked for: see finish().
  bool left_in_r0() const { return left_in_r0_; }
  /// Of a run that did not end: the call of an iterator's constructor that was made most often, and
  /// how often. Each of these iterators kept to its range.
  struct Turns {
    u32 insn = 0;
    u64 count = 0;
  };
  Turns most_iterators() const;

 private:
  using Insn = bpf::Insn;

  void wrong(u32 insn, std::string what);
  void check_last_load(const bpf::ExecRun& run);
  void check_memory(const bpf::ExecRun& run, u32 insn, const u64* r);
  void check_claims(const bpf::ExecRun& run, u32 insn, const u64* r);
  bool holds(const bpf::ExecRun& run, const bpf::verifier::RegisterClaim& claim, u64 value) const;
  bool packet_claim_holds(const bpf::ExecRun& run, const bpf::verifier::RegisterClaim& claim,
                          u64 value) const;
  /// The bounds of the packet that the program runs on; null where it gets none.
  const bpf::net::PacketBounds* packet(const bpf::ExecRun& run) const;
  bool in_bounds(const bpf::ExecRun& run, u64 addr, u32 bytes) const;
  void called_iterator(u32 insn, const bpf::verifier::KfuncProto& proto, const u64* r);
  void returned(const bpf::ExecRun& run, u64 result);
  void called_helper(const bpf::ExecRun& run, u32 insn, const u64* r);
  void called_kfunc(const bpf::ExecRun& run, u32 insn, const u64* r);
  void acquire(std::string what, u64 object);
  void release(u32 insn, const std::string& what, u64 object);
  bool may_be_returned(u64 object) const;

  const bpf::verifier::Claims* claims_;
  Context context_;
  u32 context_bytes_;
  std::string problem_;
  u64 compared_ = 0;
  u64 unclaimed_ = 0;
  std::optional<u64> result_;  // r0 where the program ended
  bool left_in_r0_ = false;

  /// The call executed last, whose result the next step sees.
  struct Call {
    u32 insn = 0;
    bool helper = false;
    std::string acquires = {};  // what kind of reference, where the result is one
    u64 map = 0;                // of a lookup
  };
  bool in_call_ = false;
  Call call_;
  /// The load executed last that must not have faulted.
  bool in_load_ = false;
  u32 load_insn_ = 0;
  u64 loads_to_zero_ = 0;

  /// What is held: references by address, sections under address 0. Counted.
  std::map<std::pair<std::string, u64>, u32> held_;
  std::set<u64> given_back_;           // references, until something is at their address again
  std::map<u64, u64> elements_left_;   // by iterator: how many its range still has
  std::map<u32, u64> iterators_made_;  // by instruction
  /// Values of maps that lookups gave: address and size, by map address.
  std::set<std::pair<u64, u64>> values_;  // map, value
};

}  // namespace uscx::conformance
