// SPDX-License-Identifier: GPL-2.0-only
// What the verifier asks about the world, answered from one PROG_LOAD's attributes.
#pragma once

#include <vector>

#include "bpf/uapi.h"
#include "bpf/user_log.h"
#include "bpf/user_memory.h"
#include "bpf/verifier/environment.h"

namespace uscx::bpf {

class Bpf;
struct BtfObject;

class LoadEnvironment final : public CheckEnvironment {
 public:
  LoadEnvironment(Bpf& bpf, UserMemory& memory, const uapi::ProgLoadAttr& attr)
      : bpf_(bpf), memory_(memory), attr_(attr) {}

  /// Reads func_info and line_info. Linux: check_btf_info.
  Result<void> read_btf(Program& program, std::vector<FunctionInfo>& functions,
                        std::vector<LineInfo>& lines, UserLog& log);
  /// Binds the maps of fd_array where its length was given.
  Result<void> bind_fd_array(Program& program);

  const btf::Btf& vmlinux() override;
  u32 nr_cpu_ids() override;
  Result<MapRef> map_by_fd(s32 fd, std::string& log) override;
  Result<MapRef> map_by_index(u32 index, std::string& log) override;
  Result<KsymRef> ksym(u32 btf_id, s32 btf_fd, std::string& log) override;
  Result<KfuncRef> kfunc(u32 btf_id, s16 fd_index, std::string& log) override;
  const HelperTable& helpers() override;
  bool helper_allowed(const Program& program, const Helper& helper) override;
  const KfuncRegistry& kfuncs() override;
  bool has_own_types() override;
  bool has_module(std::string_view name) override;
  void count_unserved(std::string name) override;

 private:
  Result<s32> fd_at(u32 index);
  Result<std::shared_ptr<BtfObject>> kfunc_btf(s16 fd_index, std::string& log);
  Bpf& bpf_;
  UserMemory& memory_;
  const uapi::ProgLoadAttr& attr_;
};

}  // namespace uscx::bpf
