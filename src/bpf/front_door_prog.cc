// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): programs.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "bpf/attach_target.h"
#include "bpf/bpf.h"
#include "bpf/check_environment.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"
#include "bpf/maps/prog_array.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/resolve_only.h"
#include "bpf/verifier/verifier.h"

namespace uscx::bpf {

namespace {

constexpr u32 kKnownFlags = uapi::kStrictAlignment | uapi::kAnyAlignment | uapi::kTestRndHi32 |
                            uapi::kTestStateFreq | uapi::kSleepable | uapi::kXdpHasFrags |
                            uapi::kXdpDevBoundOnly | uapi::kTestRegInvariants | uapi::kProgTokenFd;

constexpr u32 kLogLevels = 7;  // BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2 | BPF_LOG_STATS

/// Attach types that PROG_LOAD takes for a type of program. Linux: bpf_prog_load_check_attach.
bool attach_type_fits(u32 type, u32 attach) {
  using namespace verifier;
  switch (type) {
    case kProgCgroupSock:
      return attach == kCgroupInetSockCreate || attach == kCgroupInetSockRelease ||
             attach == kCgroupInet4PostBind || attach == kCgroupInet6PostBind;
    case kProgCgroupSockAddr:
      return (attach >= kCgroupInet4Bind && attach <= kCgroupInet6Connect) ||
             attach == kCgroupUdp4Sendmsg || attach == kCgroupUdp6Sendmsg ||
             attach == kCgroupUdp4Recvmsg || attach == kCgroupUdp6Recvmsg ||
             (attach >= kCgroupInet4Getpeername && attach <= kCgroupInet6Getsockname) ||
             (attach >= kCgroupUnixConnect && attach <= kCgroupUnixGetsockname);
    case kProgCgroupSkb:
      return attach == kCgroupInetIngress || attach == kCgroupInetEgress;
    case kProgCgroupSockopt:
      return attach == kCgroupSetsockopt || attach == kCgroupGetsockopt;
    case kProgSkLookup:
      return attach == verifier::kSkLookup;
    case kProgSkReuseport:
      return attach == kSkReuseportSelect || attach == kSkReuseportSelectOrMigrate;
    case kProgNetfilter:
      return attach == verifier::kNetfilter;
    case kProgSyscall:
    case kProgExt:
      return attach == 0;
    default:
      return true;
  }
}

/// What a program without an attach type has. Linux: bpf_prog_load_fixup_attach_type.
u32 default_attach_type(u32 type, u32 attach) {
  if (type == verifier::kProgCgroupSock && attach == 0) return verifier::kCgroupInetSockCreate;
  if (type == verifier::kProgSkReuseport && attach == 0) return verifier::kSkReuseportSelect;
  return attach;
}

bool takes_btf_target(u32 type) {
  return type == verifier::kProgTracing || type == verifier::kProgLsm ||
         type == verifier::kProgStructOps || type == verifier::kProgExt;
}

/// Linux: can_be_sleepable.
bool can_be_sleepable(const Program& program) {
  using namespace verifier;
  if (program.type == kProgLsm) return program.expected_attach_type != kLsmCgroup;
  if (program.type != kProgTracing) {
    return program.type == kProgKprobe || program.type == kProgStructOps ||
           program.type == kProgRawTracepoint || program.type == kProgTracepoint;
  }
  switch (program.expected_attach_type) {
    case kTraceRawTp:
    case kTraceFentry:
    case kTraceFexit:
    case kModifyReturn:
    case kTraceIter:
    case kTraceFsession:
    case kTraceFentryMulti:
    case kTraceFexitMulti:
    case kTraceFsessionMulti:
      return true;
    default:
      return false;
  }
}

bool gpl_compatible(std::string_view license) {
  static constexpr std::string_view kCompatible[] = {
      "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
  return std::find(std::begin(kCompatible), std::end(kCompatible), license) !=
         std::end(kCompatible);
}

/// Linux: bpf_check_tail_call.
Result<void> check_tail_calls(const Program& program) {
  for (const auto& map : program.maps) {
    auto* programs = dynamic_cast<ProgArrayMap*>(map.get());
    if (programs && !programs->fits(program)) return fail(EINVAL);
  }
  return {};
}

/// Program types that the kernel knows and whose programs can be checked here. What runs them is
/// another matter: only some can be attached.
bool type_is_known(u32 type) {
  return type > 0 && type < uapi::kProgTypeCount;
}

}  // namespace

Result<void> FrontDoor::prog_check_attr() {
  const uapi::ProgLoadAttr& a = attr_.prog_load;
  if (a.prog_flags & ~kKnownFlags) return fail(EINVAL);
  if (a.prog_flags & uapi::kProgTokenFd) return fail(EBADF);
  if (a.insn_cnt == 0 || a.insn_cnt > uapi::kMaxInsns) return fail(E2BIG);
  if (a.attach_btf_id > uapi::kMaxBtfType) return fail(EINVAL);
  if (a.attach_btf_id && !takes_btf_target(a.prog_type)) return fail(EINVAL);
  if (!attach_type_fits(a.prog_type, default_attach_type(a.prog_type, a.expected_attach_type))) {
    return fail(EINVAL);
  }
  return {};
}

/// The types that attach_btf_id is of: the kernel's without a descriptor, else those of a module.
Result<std::shared_ptr<BtfObject>> FrontDoor::prog_attach_btf() {
  const uapi::ProgLoadAttr& a = attr_.prog_load;
  Bpf::Impl& impl = bpf_.impl();
  if (!a.attach_prog_fd) return impl.vmlinux;
  auto btf = impl.fds.get<BtfObject>(static_cast<int>(a.attach_prog_fd));
  if (!btf) {
    if (impl.fds.get<Program>(static_cast<int>(a.attach_prog_fd))) {
      bpf_.count_unserved("PROG_LOAD with attach_prog_fd");
    }
    return fail(EINVAL);
  }
  if (!(*btf)->kernel) return fail(kEnotsupp);
  if (!a.attach_btf_id) return fail(EINVAL);
  return *btf;
}

Result<std::shared_ptr<Program>> FrontDoor::prog_from_attr() {
  const uapi::ProgLoadAttr& a = attr_.prog_load;
  auto program = std::make_shared<Program>();
  program->type = a.prog_type;
  program->expected_attach_type = default_attach_type(a.prog_type, a.expected_attach_type);
  program->prog_flags = a.prog_flags;
  auto attach_btf = prog_attach_btf();
  if (!attach_btf) return std::unexpected(attach_btf.error());
  program->attach_btf = std::move(*attach_btf);
  program->sleepable = a.prog_flags & uapi::kSleepable;
  program->attach_btf_id = a.attach_btf_id;
  auto license = memory_.get_string(a.license, 128);
  if (!license) return fail(EFAULT);
  program->gpl_compatible = gpl_compatible(*license);
  if (!type_is_known(a.prog_type)) return fail(EINVAL);
  auto name = object_name(a.prog_name);
  if (!name) return std::unexpected(name.error());
  program->name = std::move(*name);
  return program;
}

/// Linux: check_struct_ops_btf_id.
Result<void> FrontDoor::prog_check_struct_ops(Program& program, UserLog& log) {
  auto refuse = [&](int errnum, std::string text) {
    log.add(text);
    return fail(errnum);
  };
  if (!program.gpl_compatible) {
    return refuse(EINVAL, "struct ops programs must have a GPL compatible license\n");
  }
  if (!program.attach_btf_id)
    return refuse(kEnotsupp, "attach_btf_id 0 is not a supported struct\n");
  const auto desc = find_struct_ops(bpf_, program.attach_btf, program.attach_btf_id);
  if (!desc) {
    return refuse(kEnotsupp, fmt::format("attach_btf_id {} is not a supported struct\n",
                                         program.attach_btf_id));
  }
  const btf::Btf& btf = program.attach_btf->btf;
  const auto members = btf.members(desc->type_id);
  const u32 index = program.expected_attach_type;
  program.struct_ops = desc->type;
  program.attach_name = desc->type->name();
  if (index >= members.size()) {
    return refuse(EINVAL, fmt::format("attach to invalid member idx {} of struct {}\n", index,
                                      program.attach_name));
  }
  const btf::Member& member = members[index];
  const u32 pointer = btf.resolve(member.type);
  const auto proto = btf.kind(pointer) == btf::Kind::kPtr ? btf.func_proto(pointer) : std::nullopt;
  if (!proto) {
    return refuse(EINVAL, fmt::format("attach to invalid member {}(@idx {}) of struct {}\n",
                                      member.name, index, program.attach_name));
  }
  program.member_index = index;
  program.member_name = member.name;
  program.nr_args = static_cast<u32>(proto->params.size());
  program.attach_func_proto = btf.resolve(btf.type(pointer).type);
  if (int err = desc->type->check_member(member.name, index, program)) {
    return refuse(err, fmt::format("attach to unsupported member {} of struct {}\n", member.name,
                                   program.attach_name));
  }
  return {};
}

/// Linux: check_attach_btf_id, for targets given by BTF id.
Result<void> FrontDoor::prog_check_attach(Program& program, UserLog& log) {
  AttachTarget target = check_attach_target(program, program.attach_btf->btf);
  log.add(target.log);
  if (target.errnum) return fail(target.errnum);
  program.attach_name = std::move(target.name);
  program.attach_func_proto = target.func_proto;
  const auto proto = program.attach_btf->btf.func_proto(target.func_proto);
  program.nr_args = static_cast<u32>(proto->params.size()) - target.hidden_args;
  // The traced function's result comes after its arguments.
  const u32 type = program.expected_attach_type;
  if (type == uapi::kTraceFexit || type == uapi::kModifyReturn) ++program.nr_args;
  return {};
}

/// Linux: check_attach_btf_id.
Result<void> FrontDoor::prog_check_target(Program& program, UserLog& log) {
  using namespace verifier;
  if (program.type == kProgSyscall) {
    program.nr_args = 1;
    if (program.sleepable) return {};
    log.add("Syscall programs can only be sleepable\n");
    return fail(EINVAL);
  }
  if (program.sleepable && !can_be_sleepable(program)) {
    log.add("Program of this type cannot be sleepable\n");
    return fail(EINVAL);
  }
  if (program.type == kProgStructOps) return prog_check_struct_ops(program, log);
  if (program.type == kProgTracing || program.type == kProgLsm) {
    return prog_check_attach(program, log);
  }
  if (program.type == kProgExt) {
    log.add("Cannot replace kernel functions\n");
    return fail(EINVAL);
  }
  return {};
}

Result<void> FrontDoor::prog_check_and_resolve(Program& program, UserLog& log) {
  const uapi::ProgLoadAttr& a = attr_.prog_load;
  std::vector<Insn> insns(a.insn_cnt);
  if (auto r = memory_.read(insns.data(), a.insns, insns.size() * sizeof(Insn)); !r) return r;
  LoadEnvironment env(bpf_, memory_, a);
  std::vector<FunctionInfo> functions;
  std::vector<LineInfo> lines;
  if (auto r = env.read_btf(program, functions, lines, log); !r) return r;
  if (auto r = prog_check_target(program, log); !r) return r;
  const verifier::VerifyInput input = {.insns = insns,
                                       .program = program,
                                       .env = env,
                                       .functions = functions,
                                       .lines = lines,
                                       .log_level = a.log_level & kLogLevels,
                                       .prog_flags = a.prog_flags,
                                       .claims = bpf_.impl().claims};
  verifier::VerifyResult checked =
      bpf_.impl().verify_programs ? verifier::verify(input) : verifier::resolve_only(input);
  log.add(checked.log);
  if (checked.errnum) return fail(checked.errnum);
  StreamHash tag;
  tag.add_bytes(insns.data(), insns.size() * sizeof(Insn));
  const u64 hash = tag.value();
  std::memcpy(program.tag.data(), &hash, sizeof(hash));
  program.insns = std::move(checked.program.insns);
  program.subprogram_starts = std::move(checked.program.subprogram_starts);
  program.maps = std::move(checked.program.maps);
  program.kfuncs = std::move(checked.program.kfuncs);
  program.claims = std::move(checked.program.claims);
  program.exception_callback = checked.program.exception_callback;
  program.proof = std::move(checked.proof);
  if (auto r = env.bind_fd_array(program); !r) return r;
  return check_tail_calls(program);
}

Result<long> FrontDoor::prog_load() {
  const uapi::ProgLoadAttr& a = attr_.prog_load;
  auto log =
      make_log(a.log_buf, a.log_size, a.log_level, offsetof(uapi::ProgLoadAttr, log_true_size));
  if (!log) return std::unexpected(log.error());
  if (auto r = prog_check_attr(); !r) return std::unexpected(r.error());
  auto program = prog_from_attr();
  if (!program) return std::unexpected(program.error());
  Result<void> checked = prog_check_and_resolve(**program, *log);
  u32 true_size = 0;
  // A log that did not fit is what the caller hears about, whatever else happened.
  if (auto r = log->finish(memory_, true_size); !r) checked = r;
  if (log->true_size_address) {
    auto r = memory_.write(log->true_size_address, &true_size, sizeof(true_size));
    if (!r) checked = fail(EFAULT);
  }
  if (!checked) return std::unexpected(checked.error());
  (*program)->id = bpf_.impl().programs.add(*program);
  return bpf_.impl().fds.add(*program);
}

Result<long> FrontDoor::prog_bind_map() {
  const uapi::BindMapAttr& b = attr_.bind_map;
  if (!only_first(sizeof(b)) || b.flags) return fail(EINVAL);
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(b.prog_fd));
  if (!program) return std::unexpected(program.error());
  auto map = bpf_.impl().fds.get<Map>(static_cast<int>(b.map_fd));
  if (!map) return std::unexpected(map.error());
  auto& maps = (*program)->maps;
  if (std::find(maps.begin(), maps.end(), *map) == maps.end()) maps.push_back(*map);
  return 0;
}

Result<long> FrontDoor::prog_stream_read() {
  const uapi::StreamReadAttr& a = attr_.stream_read;
  if (!only_first(offsetof(uapi::StreamReadAttr, prog_fd) + sizeof(u32))) return fail(EINVAL);
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(a.prog_fd));
  if (!program) return std::unexpected(program.error());
  Stream* stream = (*program)->streams.find(a.stream_id);
  if (!stream) return fail(ENOENT);
  const std::string text = stream->peek(a.stream_buf_len);
  if (auto r = memory_.write(a.stream_buf, text.data(), text.size()); !text.empty() && !r) {
    return fail(EFAULT);
  }
  stream->consume(text.size());
  return static_cast<long>(text.size());
}

Result<long> FrontDoor::prog_assoc_struct_ops() {
  const uapi::AssocStructOpsAttr& a = attr_.assoc;
  if (!only_first(sizeof(a)) || a.flags) return fail(EINVAL);
  auto program = bpf_.impl().fds.get<Program>(static_cast<int>(a.prog_fd));
  if (!program) return std::unexpected(program.error());
  if ((*program)->type == uapi::kProgStructOps) return fail(EINVAL);
  auto map = bpf_.impl().fds.get<Map>(static_cast<int>(a.map_fd));
  if (!map) return std::unexpected(map.error());
  if ((*map)->spec().type != uapi::kMapStructOps) return fail(EINVAL);
  const Program& p = **program;
  if (p.struct_ops_map_id == (*map)->id) return 0;
  if (p.struct_ops_map_id) return fail(EBUSY);
  p.struct_ops_map_id = (*map)->id;
  bpf_.impl().associations[p.id] = *map;
  return 0;
}

}  // namespace uscx::bpf
