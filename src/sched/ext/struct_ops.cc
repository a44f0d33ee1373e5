// SPDX-License-Identifier: GPL-2.0-only
// The struct_ops types of sched_ext: sched_ext_ops and, with CPUs as cids, sched_ext_ops_cid.
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/struct_ops.h"
#include "btf/btf.h"
#include "sched/ext/internal.h"

namespace uscx::sched::ext {
namespace {

const bpf::ObjectType kOpsObject{"sched_ext_ops"};

class ScxOpsType final : public bpf::StructOpsType {
 public:
  ScxOpsType(Ext::Impl& ext, bool cid_form) : ext_(ext), cid_form_(cid_form) {}

  std::string_view name() const override {
    return cid_form_ ? "sched_ext_ops_cid" : "sched_ext_ops";
  }

  int check_member(std::string_view member, u32, const bpf::Program& prog) override {
    const Op op = op_by_name(member);
    if (!prog.sleepable) return 0;
    if (op == Op::kCount || !op_may_sleep(op, ext_.kernel.config().version)) return EINVAL;
    return 0;
  }

  bool has_check_write() const override { return true; }

  /// Programs set a task's slice, vtime and disallow; of the cid form only the last, as kfuncs do
  /// the rest. Linux: bpf_scx_btf_struct_access.
  int check_write(const btf::Btf& btf, u32 btf_id, u32 off, u32 size, const bpf::Program&,
                  std::string&) const override {
    if (btf.name(btf_id) != "task_struct") return EACCES;
    static constexpr std::string_view kFields[] = {"scx.disallow", "scx.slice", "scx.dsq_vtime"};
    for (std::string_view path : kFields) {
      if (cid_form_ && path != kFields[0]) break;
      const auto field = btf.find_member_path(btf_id, path);
      if (!field) continue;
      if (off >= field->byte_offset() && off + size <= field->byte_offset() + field->size) {
        return 0;
      }
    }
    return EACCES;
  }

  /// Members that are data: refused where out of range. Linux: bpf_scx_init_member.
  int init_member(std::string_view member, u32, bpf::StructOpsTable& table) override {
    const auto value = number(table, member);
    if (member == "dispatch_max_batch") return value > 0x7fffffff ? E2BIG : 0;
    if (member == "flags") return (value & ~all_flags()) != 0 ? EINVAL : 0;
    if (member == "name") return check_name(table);
    if (member == "timeout_ms") {
      const u64 hz = ext_.kernel.config().hz;
      return (value * hz + 999) / 1000 > 30 * hz ? E2BIG : 0;
    }
    if (member == "rescue_bandwidth_ppt") {
      return value > abi::SCX_RESCUE_MAX_BW_PPT && value != abi::SCX_RESCUE_DISABLE ? E2BIG : 0;
    }
    if (member == "rescue_quantum_us") {
      if (value > abi::SCX_RESCUE_MAX_QUANTUM_US) return E2BIG;
      return value != 0 && value < abi::SCX_RESCUE_MIN_QUANTUM_US ? EINVAL : 0;
    }
    return 0;
  }

  int validate(const bpf::StructOpsTable&) override { return 0; }

  int reg(std::shared_ptr<bpf::StructOpsTable> table) override {
    Kernel& kernel = ext_.kernel;
    trace(cid_form_ ? "bpf_scx_reg_cid" : "bpf_scx_reg", *table);
    if (cid_form_) {
      // Arenas are not served, so no program can have one.
      kernel.kernel_log("sched_ext: cid-form scheduler must use a BPF arena map");
      return EINVAL;
    }
    return enable(ext_, std::move(table), cid_form_);
  }

  void unreg(const std::shared_ptr<bpf::StructOpsTable>& table) override {
    trace("bpf_scx_unreg", *table);
    unregister(ext_, *table);
  }

 private:
  u64 all_flags() const {
    u64 flags = abi::SCX_OPS_ALL_FLAGS;
    return flags;
  }

  /// Where a data member lies in this version's table; nullopt: it is none.
  const btf::Member* find(std::string_view member, u32& size) const {
    const btf::Btf& btf = ext_.kernel.bpf().vmlinux();
    const auto type = btf.find_composite(name());
    USCX_ASSERT(type.has_value());
    const auto index = btf.member_index(*type, member);
    if (!index) return nullptr;
    const btf::Member& m = btf.members(*type)[*index];
    size = btf.size_of(m.type).value_or(0);
    return &m;
  }

  u64 number(const bpf::StructOpsTable& table, std::string_view member) const {
    u32 size = 0;
    const btf::Member* m = find(member, size);
    u64 value = 0;
    if (m && size <= 8) std::memcpy(&value, table.data.data() + m->byte_offset(), size);
    return value;
  }

  /// Letters, digits, '_' and '.', and not empty. Linux: bpf_obj_name_cpy.
  int check_name(const bpf::StructOpsTable& table) const {
    u32 size = 0;
    const btf::Member* m = find("name", size);
    USCX_ASSERT(m != nullptr);
    const char* s = reinterpret_cast<const char*>(table.data.data()) + m->byte_offset();
    const std::size_t length = strnlen(s, size);
    if (length == 0 || length == size) return EINVAL;
    for (std::size_t i = 0; i < length; ++i) {
      const auto c = static_cast<unsigned char>(s[i]);
      const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!alnum && c != '_' && c != '.') return EINVAL;
    }
    return 0;
  }

  /// Runs what is attached to a kernel function whose arguments are the table and its link.
  void trace(const char* function, const bpf::StructOpsTable& table) {
    bpf::Bpf& bpf = ext_.kernel.bpf();
    if (!bpf.has_trace_hook(function)) return;
    auto& window = bpf.window();
    void* kdata = window.allocate(table.data.size(), kOpsObject);
    std::memcpy(kdata, table.data.data(), table.data.size());
    const u64 args[] = {reinterpret_cast<u64>(kdata), 0};
    bpf.trace_hook(function, args);
    window.free(kdata);
  }

  Ext::Impl& ext_;
  bool cid_form_;
};

}  // namespace

void register_struct_ops(Ext::Impl& ext) {
  bpf::Bpf& bpf = ext.kernel.bpf();
  bpf.register_struct_ops(std::make_unique<ScxOpsType>(ext, false));
  if (bpf.vmlinux().find_composite("sched_ext_ops_cid")) {
    bpf.register_struct_ops(std::make_unique<ScxOpsType>(ext, true));
  }
}

}  // namespace uscx::sched::ext
