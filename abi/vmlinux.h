/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What BPF programs include in the place of a vmlinux.h dumped from a kernel: accesses to these
 * types are recorded, and relocated by libbpf to where the kernel that runs them has the members.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#include "abi/kernel_types.h"
#pragma clang attribute pop

#endif
