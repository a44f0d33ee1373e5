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
                             task_kfuncs(), message_kfuncs()}) {
    for (const KfuncEntry& entry : entries) {
      const KfuncRow* row = find_kfunc_row(entry.name);
      USCX_ASSERT(row && row->form == KfuncForm::kServed);
      if (!row->exists_in(version)) continue;
      registry.add(
          {.name = entry.name,
           .flags = row->flags_in(version),
           .fn = [&ext, body = entry.body](bpf::KfuncCall& call) { return body(ext, call); },
           .set = set_name(row->sets, version)});
    }
  }
  // Kfuncs of the cid form and of sub-schedulers are in the table but not served yet: a program
  // with a live call of one is refused at load, by name.
  registry.add_filter([version](const bpf::Program& prog, const bpf::Kfunc& kfunc) {
    return filter_kfunc(prog, kfunc.name, version);
  });
  register_core_kfuncs(ext);
}

}  // namespace uscx::sched::ext
