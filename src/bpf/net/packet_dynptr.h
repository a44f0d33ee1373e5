// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs to packets. Linux: net/core/filter.c.
#pragma once

#include "bpf/dynptr.h"
#include "bpf/kfunc.h"

namespace uscx::bpf::net {

/// The kfuncs bpf_dynptr_from_skb and bpf_dynptr_from_xdp.
u64 dynptr_from_skb(KfuncCall& call);
u64 dynptr_from_xdp(KfuncCall& call);

// Of a packet's dynptr; offset and length were checked.
/// `len` bytes as memory; null where they lie in pieces. Linux: skb_pointer_if_linear, and
/// bpf_xdp_pointer.
void* packet_bytes(KfuncCall& call, const Dynptr& pointer, u64 off, u64 len);
/// 0 or the errno.
int read_packet(KfuncCall& call, const Dynptr& pointer, u64 off, void* to, u64 len);
int write_packet(KfuncCall& call, const Dynptr& pointer, u64 off, const void* from, u64 len,
                 u64 flags);

}  // namespace uscx::bpf::net
