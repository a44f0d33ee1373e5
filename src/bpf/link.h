// SPDX-License-Identifier: GPL-2.0-only
// Links: attachments that end with their last descriptor.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::bpf {

class Bpf;
class Program;
class StructOpsMap;

/// Linux: struct bpf_link.
class Link {
 public:
  virtual ~Link() = default;
  /// Undoes the attachment; idempotent. May sleep for struct_ops.
  virtual void release() = 0;
  /// LINK_DETACH: 0 or a positive errno.
  virtual int detach() = 0;

  u32 id = 0;
  u32 type = 0;         // BPF_LINK_TYPE_*
  u32 attach_type = 0;  // BPF_*
  u64 cookie = 0;
  std::shared_ptr<Program> program;   // tracing
  std::shared_ptr<StructOpsMap> map;  // struct_ops
};

/// Which programs run where: by the name of the kernel function or tracepoint, in order of
/// attachment.
class TraceHooks {
 public:
  enum class Where : u8 { kEntry, kExit };
  /// `names`: kept such that it has the bits of all names with programs.
  explicit TraceHooks(u64& names) : names_(names) {}
  void add(Where where, const std::string& name, std::shared_ptr<Program> program);
  void remove(Where where, const std::string& name, const Program& program);
  bool any(std::string_view name) const { return find(Where::kEntry, name) != nullptr; }
  const std::vector<std::shared_ptr<Program>>* find(Where where, std::string_view name) const;

 private:
  using Table = std::map<std::string, std::vector<std::shared_ptr<Program>>, std::less<>>;
  Table entry_;
  Table exit_;
  u64& names_;
};

std::shared_ptr<Link> make_tracing_link(Bpf& bpf, std::shared_ptr<Program> program);
/// Registers the table of `map`, which must be ready. May sleep. The errno of the type's reg.
Result<std::shared_ptr<Link>> make_struct_ops_link(Bpf& bpf, std::shared_ptr<StructOpsMap> map);

}  // namespace uscx::bpf
