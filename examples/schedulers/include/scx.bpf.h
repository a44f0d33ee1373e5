/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a small scheduler needs beside the kernel's types: how to write its
 * callbacks and its table of them, how to report an error, and how to leave
 * word of its exit. Schedulers with headers of their own need none of this.
 */
#ifndef USCX_EXAMPLES_SCX_BPF_H
#define USCX_EXAMPLES_SCX_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* A callback; one that may sleep (init, exit, init_task, ...). */
#define BPF_STRUCT_OPS(name, args...) SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define BPF_STRUCT_OPS_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

/* The table of callbacks. It is attached through a link, and detached with it. */
#define SCX_OPS_DEFINE(table, ...) \
  SEC(".struct_ops.link") struct sched_ext_ops table = {__VA_ARGS__}

/* Ejects this scheduler with a message; up to twelve arguments, as printf() takes them. */
#define scx_bpf_error(fmt, args...)                                             \
  ({                                                                            \
    static char ___text[] = fmt;                                                \
    unsigned long long ___args[___bpf_narg(args) ?: 1];                         \
    ___bpf_fill(___args, args);                                                 \
    scx_bpf_error_bstr(___text, ___args, sizeof(___args[0]) * ___bpf_narg(args)); \
  })

/*
 * Why the scheduler went, for whoever loaded it: a variable of this layout,
 * filled by the exit callback. The kind is written last.
 */
struct user_exit_info {
  int kind;
  s32 exit_cpu;
  s64 exit_code;
  char reason[128];
  char msg[1024];
};

#define UEI_DEFINE(name)                        \
  char name##_dump[1] SEC(".data." #name "_dump"); \
  const volatile u32 name##_dump_len;           \
  struct user_exit_info name SEC(".data")

#define UEI_RECORD(name, info)                                                      \
  ({                                                                                \
    bpf_probe_read_kernel_str(name.reason, sizeof(name.reason), (info)->reason);    \
    bpf_probe_read_kernel_str(name.msg, sizeof(name.msg), (info)->msg);             \
    bpf_probe_read_kernel_str(name##_dump, name##_dump_len, (info)->dump);          \
    name.exit_code = (info)->exit_code;                                             \
    name.exit_cpu = -1;                                                             \
    if (bpf_core_field_exists((info)->exit_cpu)) name.exit_cpu = (info)->exit_cpu;  \
    __sync_val_compare_and_swap(&name.kind, name.kind, (info)->kind);               \
  })

/* Virtual times wrap around, so they are compared by their distance. */
static inline bool time_before(u64 a, u64 b) { return (s64)(a - b) < 0; }

#endif
