// SPDX-License-Identifier: GPL-2.0-only
// Tables of callbacks of other subsystems: programs for them are verified, and can be loaded; the
// tables cannot be attached.
#include "bpf/unserved_struct_ops.h"

#include <memory>

#include "bpf/bpf.h"
#include "bpf/program.h"
#include "bpf/struct_ops.h"
#include "btf/btf.h"

namespace uscx::bpf {

namespace {

class UnservedStructOps final : public StructOpsType {
 public:
  /// `sleepable`: the one member that may sleep; empty: none, "*": all. `written`: the struct that
  /// programs may write into.
  UnservedStructOps(Bpf& bpf, std::string_view name, std::string_view sleepable,
                    std::string_view written)
      : bpf_(bpf), name_(name), sleepable_(sleepable), written_(written) {}

  std::string_view name() const override { return name_; }
  int check_member(std::string_view member, u32, const Program& prog) override {
    return prog.sleepable && member != sleepable_ && sleepable_ != "*" ? EINVAL : 0;
  }
  bool has_check_write() const override { return true; }
  int check_write(const btf::Btf& btf, u32 btf_id, u32, u32, const Program&,
                  std::string& log) const override {
    if (!written_.empty() && btf.name(btf_id) == written_) return 0;
    log += written_ == "bpf_dummy_ops_state" ? "only access to bpf_dummy_ops_state is supported\n"
                                             : "only read is supported\n";
    return EACCES;
  }
  int init_member(std::string_view, u32, StructOpsTable&) override { return 0; }
  int validate(const StructOpsTable&) override { return 0; }
  int reg(std::shared_ptr<StructOpsTable>) override {
    bpf_.count_unserved("struct_ops " + std::string(name_));
    return EOPNOTSUPP;
  }
  void unreg(const std::shared_ptr<StructOpsTable>&) override {}

 private:
  Bpf& bpf_;
  std::string_view name_, sleepable_, written_;
};

}  // namespace

void register_unserved_struct_ops(Bpf& bpf) {
  auto add = [&](std::string_view name, std::string_view sleepable, std::string_view written) {
    bpf.register_struct_ops(std::make_unique<UnservedStructOps>(bpf, name, sleepable, written));
  };
  add("bpf_dummy_ops", "test_sleepable", "bpf_dummy_ops_state");
  add("tcp_congestion_ops", "*", "tcp_sock");
  add("Qdisc_ops", "*", {});
  add("hid_bpf_ops", "*", {});
}

}  // namespace uscx::bpf
