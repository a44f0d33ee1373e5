// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's types, enums and kfuncs as BPF programs see them.
 *
 * Read by three kinds of compiler run:
 *  - clang -target bpf with ABI_EMIT_BTF: becomes the built-in kernel BTF (see
 * cmake/builtin_btf.cmake);
 *  - clang -target bpf through abi/vmlinux.h: what BPF programs include instead of vmlinux.h;
 *  - the C++ core through abi/abi.h: the very objects whose layout the BTF describes.
 *
 * No system header is included, every aggregate is a standard-layout C struct.
 * Which kernel has a declaration is said beside it: see abi/kernel/version.h.
 */
#ifndef USCX_ABI_KERNEL_TYPES_H
#define USCX_ABI_KERNEL_TYPES_H

#include "abi/kernel/version.h"
#include "abi/kernel/basic.h"
#include "abi/kernel/bpf.h"
#include "abi/kernel/scx_enums.h"
#include "abi/kernel/cgroup.h"
#include "abi/kernel/scx.h"
#include "abi/kernel/task.h"
#include "abi/kernel/rq.h"
#include "abi/kernel/scx_ops.h"
#include "abi/kernel/tcp.h"
#include "abi/kernel/tracing.h"
#include "abi/kernel/variables.h"
#include "abi/kernel/kfuncs.h"
#include "abi/kernel/scx_kfuncs.h"

#endif
