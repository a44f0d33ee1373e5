// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/attach_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <optional>

#include "base/error.h"
#include "bpf/program.h"
#include "bpf/verifier/prog_type.h"
#include "btf/btf.h"

namespace uscx::bpf {

namespace {

using namespace verifier;

constexpr u32 kMaxFunctionArgs = 12;  // MAX_BPF_FUNC_ARGS
constexpr u32 kMaxArgBytes = 16;

// Each list is sorted: they are searched.
/// Functions of the BPF LSM itself whose names begin as the hooks' do.
constexpr std::string_view kNotHooks[] = {
    "find_cgroup_shim",  "func_proto", "get_retval_range", "init",
    "is_sleepable_hook", "is_trusted", "toggle",           "verify_prog"};
/// What ALLOW_ERROR_INJECTION marks besides the system calls.
constexpr std::string_view kErrorInjection[] = {"__filemap_add_folio", "page_pool_alloc_netmems",
                                                "should_fail_alloc_page",
                                                "should_fail_net_realloc_skb", "should_failslab"};
constexpr std::string_view kNotSleepable[] = {"__filemap_add_folio", "should_fail_alloc_page",
                                              "should_failslab"};
constexpr std::string_view kNotTraceable[] = {"__rcu_read_lock",   "__rcu_read_unlock",
                                              "___migrate_enable", "migrate_disable",
                                              "migrate_enable",    "rcu_read_unlock_strict"};
constexpr std::string_view kNoReturn[] = {
    "__ia32_sys_exit", "__ia32_sys_exit_group",     "__module_put_and_kthread_exit",
    "__x64_sys_exit",  "__x64_sys_exit_group",      "do_exit",
    "do_group_exit",   "kthread_complete_and_exit", "make_task_dead"};
constexpr std::string_view kIterators[] = {
    "bpf_link", "bpf_map", "bpf_map_elem", "bpf_prog",   "bpf_sk_storage_map",
    "cgroup",   "dmabuf",  "ipv6_route",   "kmem_cache", "ksym",
    "netlink",  "sockmap", "task",         "task_file",  "task_vma",
    "tcp",      "udp",     "unix"};

template <std::size_t N>
bool has(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::optional<std::string_view> without_prefix(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return name.substr(prefix.size());
}

class Check {
 public:
  Check(const Program& program, const btf::Btf& btf) : program_(program), btf_(btf) {}

  AttachTarget run() {
    const u32 id = program_.attach_btf_id;
    if (!id) return refuse("Tracing programs must provide btf_id\n");
    if (id >= btf_.type_count()) return refuse(fmt::format("attach_btf_id {} is invalid\n", id));
    target_.name = btf_.name(id);
    if (target_.name.empty()) {
      return refuse(fmt::format("attach_btf_id {} doesn't have a name\n", id));
    }
    switch (program_.expected_attach_type) {
      case kTraceRawTp:
        return tracepoint();
      case kTraceIter:
        return iterator();
      case kModifyReturn:
      case kLsmMac:
      case kLsmCgroup:
      case kTraceFentry:
      case kTraceFexit:
      case kTraceFsession:
        return function();
      default:
        return refuse("");
    }
  }

 private:
  AttachTarget refuse(std::string log, int errnum = EINVAL) {
    target_.errnum = errnum;
    target_.log += std::move(log);
    return std::move(target_);
  }

  AttachTarget tracepoint() {
    const u32 id = program_.attach_btf_id;
    if (btf_.kind(id) != btf::Kind::kTypedef) {
      return refuse(fmt::format("attach_btf_id {} is not a typedef\n", id));
    }
    const auto name = without_prefix(btf_.name(id), "btf_trace_");
    if (!name) {
      return refuse(
          fmt::format("attach_btf_id {} points to wrong type name {}\n", id, target_.name));
    }
    target_.name = *name;
    // Only a faultable tracepoint may: those of system calls.
    if (program_.sleepable && target_.name != "sys_enter" && target_.name != "sys_exit") {
      return refuse(fmt::format("Sleepable program cannot attach to non-faultable tracepoint {}\n",
                                target_.name));
    }
    // The typedef's prototype has no argument names; the template's function has.
    u32 from = btf_.resolve(id);
    if (const auto named =
            btf_.find(fmt::format("__bpf_trace_{}", target_.name), btf::Kind::kFunc)) {
      from = *named;
    }
    target_.hidden_args = 1;
    return set_proto(from);
  }

  AttachTarget iterator() {
    if (!is_function()) return not_a_function();
    AttachTarget done = set_proto(program_.attach_btf_id);
    if (done.errnum) return done;
    const auto what = without_prefix(target_.name, "bpf_iter_");
    return what && has(kIterators, *what) ? std::move(target_) : refuse("");
  }

  AttachTarget function() {
    if (!is_function()) return not_a_function();
    if (AttachTarget done = set_proto(program_.attach_btf_id); done.errnum) return done;
    if (std::string why = bad_model(); !why.empty()) return refuse(std::move(why));
    if (program_.sleepable && !may_sleep()) {
      return refuse(fmt::format("{} is not sleepable\n", target_.name));
    }
    if (!program_.sleepable && program_.expected_attach_type == kModifyReturn && !is_modifiable()) {
      return refuse(fmt::format("{}() is not modifiable\n", target_.name));
    }
    return program_.type == kProgLsm ? lsm_hook() : traced_function();
  }

  AttachTarget lsm_hook() {
    if (!program_.gpl_compatible) {
      return refuse("LSM programs must have a GPL compatible license\n");
    }
    const auto hook = without_prefix(target_.name, "bpf_lsm_");
    if (lsm_hook_is_disabled(target_.name)) {
      return refuse(fmt::format("attach_btf_id {} points to disabled hook {}\n",
                                program_.attach_btf_id, target_.name));
    }
    if (!hook || has(kNotHooks, *hook)) {
      return refuse(fmt::format("attach_btf_id {} points to wrong type name {}\n",
                                program_.attach_btf_id, target_.name));
    }
    return std::move(target_);
  }

  AttachTarget traced_function() {
    const u32 type = program_.expected_attach_type;
    if (has(kNotTraceable, target_.name)) {
      return refuse(
          fmt::format("Attaching tracing programs to function '{}' is rejected.\n", target_.name));
    }
    if ((type == kTraceFexit || type == kTraceFsession || type == kModifyReturn) &&
        has(kNoReturn, target_.name)) {
      return refuse(fmt::format(
          "Attaching fexit/fsession/fmod_ret to __noreturn function '{}' is rejected.\n",
          target_.name));
    }
    return std::move(target_);
  }

  bool is_function() const { return btf_.kind(program_.attach_btf_id) == btf::Kind::kFunc; }
  AttachTarget not_a_function() {
    return refuse(fmt::format("attach_btf_id {} is not a function\n", program_.attach_btf_id));
  }

  /// Takes the prototype of a FUNC or of a pointer to one; the result is a copy of the target where
  /// there is none.
  AttachTarget set_proto(u32 from) {
    u32 id = from;
    while (btf_.kind(id) == btf::Kind::kFunc || btf_.kind(id) == btf::Kind::kPtr) {
      id = btf_.resolve(btf_.type(id).type);
    }
    if (btf_.kind(id) != btf::Kind::kFuncProto) return refuse("");
    target_.func_proto = id;
    return target_;
  }

  /// Why no trampoline can be made for the prototype. Linux: btf_distill_func_proto.
  std::string bad_model() const {
    const auto proto = btf_.func_proto(target_.func_proto);
    const std::string& name = target_.name;
    if (proto->params.size() > kMaxFunctionArgs) {
      return fmt::format("The function {} has {} arguments. Too many.\n", name,
                         proto->params.size());
    }
    if (proto->result) {
      const u32 result = btf_.resolve(proto->result);
      const auto kind = btf_.kind(result);
      if (kind == btf::Kind::kStruct || kind == btf::Kind::kUnion || !btf_.size_of(result)) {
        return fmt::format("The function {} return type {} is unsupported.\n", name,
                           btf::kind_name(kind));
      }
    }
    for (std::size_t i = 0; i < proto->params.size(); ++i) {
      const u32 type = btf_.resolve(proto->params[i].type);
      if (type == 0 && i + 1 == proto->params.size()) {
        return fmt::format("The function {} with variable args is unsupported.\n", name);
      }
      const auto size = btf_.size_of(type);
      if (!size || *size > kMaxArgBytes) {
        return fmt::format("The function {} arg{} type {} is unsupported.\n", name, i,
                           btf::kind_name(btf_.kind(type)));
      }
    }
    return {};
  }

  bool may_sleep() const {
    if (program_.type == kProgLsm) return lsm_hook_is_sleepable(target_.name);
    return (function_allows_error_injection(target_.name) && !has(kNotSleepable, target_.name)) ||
           target_.name == "bpf_fentry_test1";
  }
  bool is_modifiable() const {
    return function_allows_error_injection(target_.name) || target_.name.starts_with("security_") ||
           target_.name == "bpf_modify_return_test" || target_.name == "bpf_modify_return_test2" ||
           target_.name == "bpf_fentry_test1" || target_.name == "bpf_modify_return_test_tp";
  }

  const Program& program_;
  const btf::Btf& btf_;
  AttachTarget target_;
};

}  // namespace

bool function_allows_error_injection(std::string_view function) {
  for (const std::string_view prefix : {"__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_"}) {
    if (function.starts_with(prefix)) return true;
  }
  return has(kErrorInjection, function);
}

AttachTarget check_attach_target(const Program& program, const btf::Btf& btf) {
  return Check(program, btf).run();
}

}  // namespace uscx::bpf
