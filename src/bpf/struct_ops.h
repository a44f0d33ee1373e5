// SPDX-License-Identifier: GPL-2.0-only
// struct_ops types: tables of callbacks that programs fill in. A type is registered from outside
// (sched_ext registers sched_ext_ops); maps of type STRUCT_OPS hold one table each.
#pragma once

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf {

class Program;

/// A table as user space filled it: the plain members' bytes in the profile's layout, and the
/// program in each function slot (null where there is none). Lives as long as its map.
struct StructOpsTable {
  u32 map_id = 0;
  std::vector<std::byte> data;                           // sizeof(struct <type>) bytes
  std::vector<std::shared_ptr<const Program>> programs;  // by member index
};

/// Linux: struct bpf_struct_ops.
class StructOpsType {
 public:
  virtual ~StructOpsType() = default;
  /// "sched_ext_ops"; the value type is bpf_struct_ops_<name>.
  virtual std::string_view name() const = 0;

  /// PROG_LOAD of a program for member `index` called `member`: 0 or a positive errno (EINVAL for
  /// a sleepable program where the member may not sleep). Linux: check_member.
  virtual int check_member(std::string_view member, u32 index, const Program& prog) = 0;
  /// May programs of this type write into kernel structs anywhere? Linux: btf_struct_access.
  virtual bool has_check_write() const { return false; }
  /// May `prog` store `size` bytes at `off` of struct `btf_id`? 0 or a positive errno, with a line
  /// in `log` where Linux has one.
  virtual int check_write(const btf::Btf&, u32 btf_id, u32 off, u32 size, const Program& prog,
                          std::string& log) const {
    (void)btf_id, (void)off, (void)size, (void)prog, (void)log;
    return EACCES;
  }
  /// MAP_UPDATE_ELEM gives a non-function member: returns 0 if copied as is is right, a positive
  /// errno to refuse. `table.data` has the value already. Linux: init_member.
  virtual int init_member(std::string_view member, u32 index, StructOpsTable& table) = 0;
  /// All members are in. 0 or a positive errno. Linux: validate.
  virtual int validate(const StructOpsTable& table) = 0;
  /// Registers the table (LINK_CREATE, or the update itself for maps without BPF_F_LINK). Called on
  /// a fiber; may sleep. 0 or a positive errno. Linux: reg.
  virtual int reg(std::shared_ptr<StructOpsTable> table) = 0;
  /// Undoes reg; returns after the last callback ran. May sleep. Linux: unreg.
  virtual void unreg(const std::shared_ptr<StructOpsTable>& table) = 0;
};

}  // namespace uscx::bpf
