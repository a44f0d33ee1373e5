// SPDX-License-Identifier: GPL-2.0-only
/*
 * For BPF programs, in place of a kernel's vmlinux.h: the same names, relocated by CO-RE like them.
 * What is not here, a scheduler cannot have on uscx.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#if !defined(__bpf__)
#error "abi/vmlinux.h is for programs compiled with -target bpf"
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#include "abi/kernel_types.h"

#pragma clang attribute pop

#endif
