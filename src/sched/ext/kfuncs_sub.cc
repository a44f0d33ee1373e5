// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs about sub-schedulers, as schedulers of the cpu form meet them: they cannot have any.
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

/// No cgroup has a sub-scheduler: none is found to dispatch.
u64 sub_dispatch(Ext::Impl&, bpf::KfuncCall&) {
  return 0;
}

/// What the capabilities of sub-schedulers are about is known by cids.
u64 needs_cid_form(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  USCX_ASSERT(!sch->is_cid_type);  // those cannot be attached yet
  error(*sch, "sub-cap kfuncs require a cid-form scheduler");
  return s32_result(-EOPNOTSUPP);
}

constexpr KfuncEntry kEntries[] = {
    {"scx_bpf_sub_dispatch", sub_dispatch},    {"scx_bpf_sub_grant", needs_cid_form},
    {"scx_bpf_sub_revoke", needs_cid_form},    {"scx_bpf_sub_caps", needs_cid_form},
    {"scx_bpf_sub_kill_bstr", needs_cid_form},
};

}  // namespace

std::span<const KfuncEntry> sub_kfuncs() {
  return kEntries;
}

}  // namespace uscx::sched::ext
