// SPDX-License-Identifier: GPL-2.0-only
// Registration of the kfuncs that this kernel version has.
#include "sched/ext/kfuncs.h"

#include "base/assert.h"
#include "sched/ext/kfunc_table.h"

namespace uscx::sched::ext {

void register_kfuncs(Ext::Impl& ext) {
  bpf::KfuncRegistry& registry = ext.kernel.bpf().kfuncs();
  const btf::KernelVersion version = ext.kernel.config().version;
  for (const auto entries : {queue_kfuncs(), iter_kfuncs(), idle_kfuncs(), cpu_kfuncs(),
                             cid_kfuncs(), sub_kfuncs(), task_kfuncs(), message_kfuncs()}) {
    for (const KfuncEntry& entry : entries) {
      const KfuncRow* row = find_kfunc_row(entry.name);
      USCX_ASSERT(row != nullptr);
      if (!row->exists_in(version) || !row->served_in(version)) continue;
      registry.add(
          {.name = entry.name,
           .flags = row->flags_in(version),
           .fn = [&ext, body = entry.body](bpf::KfuncCall& call) { return body(ext, call); },
           .set = set_name(row->sets, version)});
    }
  }
  // What only the cid form reaches is in the table but not served: see KfuncRow::served_in().
  registry.add_filter([version](const bpf::Program& prog, const bpf::Kfunc& kfunc) {
    return filter_kfunc(prog, kfunc.name, version);
  });
  register_core_kfuncs(ext);
}

}  // namespace uscx::sched::ext
