// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/link.h"

#include <algorithm>

#include "bpf/bpf.h"
#include "bpf/hook_name.h"
#include "bpf/impl.h"
#include "bpf/struct_ops_map.h"
#include "bpf/uapi.h"

namespace uscx::bpf {

void TraceHooks::add(Where where, const std::string& name, std::shared_ptr<Program> program) {
  (where == Where::kEntry ? entry_ : exit_)[name].push_back(std::move(program));
  names_ |= hook_bit(name);
}

void TraceHooks::remove(Where where, const std::string& name, const Program& program) {
  Table& table = where == Where::kEntry ? entry_ : exit_;
  auto it = table.find(name);
  if (it == table.end()) return;
  std::erase_if(it->second, [&](const auto& p) { return p.get() == &program; });
  if (it->second.empty()) table.erase(it);
  names_ = 0;
  for (const Table* t : {&entry_, &exit_}) {
    for (const auto& [hooked, programs] : *t) names_ |= hook_bit(hooked);
  }
}

const std::vector<std::shared_ptr<Program>>* TraceHooks::find(Where where,
                                                              std::string_view name) const {
  const Table& table = where == Where::kEntry ? entry_ : exit_;
  auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

namespace {

class TracingLink final : public Link {
 public:
  TracingLink(Bpf& bpf, std::shared_ptr<Program> prog) : bpf_(bpf) {
    program = std::move(prog);
    attach_type = program->expected_attach_type;
    type = attach_type == uapi::kTraceRawTp ? uapi::kLinkRawTracepoint : uapi::kLinkTracing;
    where_ =
        attach_type == uapi::kTraceFexit ? TraceHooks::Where::kExit : TraceHooks::Where::kEntry;
    bpf_.impl().trace_hooks.add(where_, program->attach_name, program);
  }

  void release() override {
    if (released_) return;
    released_ = true;
    bpf_.impl().trace_hooks.remove(where_, program->attach_name, *program);
  }
  int detach() override { return EOPNOTSUPP; }

 private:
  Bpf& bpf_;
  TraceHooks::Where where_ = TraceHooks::Where::kEntry;
  bool released_ = false;
};

class StructOpsLink final : public Link {
 public:
  explicit StructOpsLink(std::shared_ptr<StructOpsMap> m) {
    map = std::move(m);
    type = uapi::kLinkStructOps;
    attach_type = uapi::kStructOps;
  }
  void release() override { (void)detach(); }
  int detach() override {
    if (!registered) return EINVAL;
    registered = false;
    map->type().unreg(map->table());
    return 0;
  }
  bool registered = false;
};

}  // namespace

std::shared_ptr<Link> make_tracing_link(Bpf& bpf, std::shared_ptr<Program> program) {
  return std::make_shared<TracingLink>(bpf, std::move(program));
}

Result<std::shared_ptr<Link>> make_struct_ops_link(Bpf& bpf, std::shared_ptr<StructOpsMap> map) {
  (void)bpf;
  if (!map->ready_to_register()) return fail(EINVAL);
  auto link = std::make_shared<StructOpsLink>(std::move(map));
  if (int err = link->map->type().reg(link->map->table())) return fail(err);
  link->registered = true;
  return link;
}

}  // namespace uscx::bpf
