// SPDX-License-Identifier: GPL-2.0-only
// LSM hooks: which may sleep, which hand over objects that are half made or half gone, which are
// closed to programs. Names without "bpf_lsm_".
#include <algorithm>

#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::verifier {

namespace {

constexpr std::string_view kSleepableHooks[] = {"bpf",
                                                "bpf_map",
                                                "bpf_map_create",
                                                "bpf_map_free",
                                                "bpf_prog",
                                                "bpf_prog_load",
                                                "bpf_token_create",
                                                "bpf_token_free",
                                                "bpf_token_cmd",
                                                "bpf_token_capable",
                                                "bprm_check_security",
                                                "bprm_committed_creds",
                                                "bprm_committing_creds",
                                                "bprm_creds_for_exec",
                                                "bprm_creds_from_file",
                                                "capget",
                                                "capset",
                                                "cred_prepare",
                                                "file_ioctl",
                                                "file_lock",
                                                "file_open",
                                                "file_post_open",
                                                "file_receive",
                                                "inode_create",
                                                "inode_free_security",
                                                "inode_getattr",
                                                "inode_getxattr",
                                                "inode_mknod",
                                                "inode_need_killpriv",
                                                "inode_post_setxattr",
                                                "inode_post_removexattr",
                                                "inode_readlink",
                                                "inode_removexattr",
                                                "inode_rename",
                                                "inode_rmdir",
                                                "inode_setattr",
                                                "inode_setxattr",
                                                "inode_symlink",
                                                "inode_unlink",
                                                "kernel_module_request",
                                                "kernel_read_file",
                                                "kernfs_init_security",
                                                "path_unlink",
                                                "path_mkdir",
                                                "path_rmdir",
                                                "path_truncate",
                                                "path_symlink",
                                                "path_link",
                                                "path_rename",
                                                "path_chmod",
                                                "path_chown",
                                                "mmap_file",
                                                "netlink_send",
                                                "path_notify",
                                                "release_secctx",
                                                "sb_alloc_security",
                                                "sb_eat_lsm_opts",
                                                "sb_kern_mount",
                                                "sb_mount",
                                                "sb_remount",
                                                "sb_set_mnt_opts",
                                                "sb_show_options",
                                                "sb_statfs",
                                                "sb_umount",
                                                "settime",
                                                "socket_accept",
                                                "socket_bind",
                                                "socket_connect",
                                                "socket_create",
                                                "socket_getpeername",
                                                "socket_getpeersec_dgram",
                                                "socket_getsockname",
                                                "socket_getsockopt",
                                                "socket_listen",
                                                "socket_post_create",
                                                "socket_recvmsg",
                                                "socket_sendmsg",
                                                "socket_shutdown",
                                                "socket_socketpair",
                                                "syslog",
                                                "task_alloc",
                                                "task_prctl",
                                                "task_setscheduler",
                                                "userns_create",
                                                "bdev_alloc_security",
                                                "bdev_setintegrity"};

constexpr std::string_view kUntrustedHooks[] = {
    "bpf_map_free",       "bpf_prog_free",       "file_alloc_security",
    "file_free_security", "sk_alloc_security",   "sk_free_security",
    "task_free",          "bdev_alloc_security", "bdev_free_security"};

constexpr std::string_view kDisabledHooks[] = {
    "vm_enough_memory",    "inode_need_killpriv", "inode_getsecurity",   "inode_listsecurity",
    "inode_copy_up_xattr", "getselfattr",         "getprocattr",         "setprocattr",
    "key_getsecurity",     "audit_rule_match",    "xfrm_decode_session", "ismaclabel",
    "file_alloc_security"};

template <std::size_t N>
bool contains(const std::string_view (&hooks)[N], std::string_view hook) {
  constexpr std::string_view kPrefix = "bpf_lsm_";
  if (!hook.starts_with(kPrefix)) return false;
  hook.remove_prefix(kPrefix.size());
  return std::find(std::begin(hooks), std::end(hooks), hook) != std::end(hooks);
}

}  // namespace

bool lsm_hook_is_sleepable(std::string_view hook) {
  return contains(kSleepableHooks, hook);
}

bool lsm_hook_is_trusted(std::string_view hook) {
  return !contains(kUntrustedHooks, hook);
}

bool lsm_hook_is_disabled(std::string_view hook) {
  return contains(kDisabledHooks, hook);
}

}  // namespace uscx::bpf::verifier
