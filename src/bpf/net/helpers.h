// SPDX-License-Identifier: GPL-2.0-only
// Helpers that need a packet or a socket: what PROG_TEST_RUN gives a program, and nothing more. The
// kernel here has the loopback device, no routes and no sockets but the packet's own.
#pragma once

#include "base/types.h"
#include "bpf/helper.h"

namespace uscx::bpf::net {

inline constexpr int kEnotsupp = 524;  // ENOTSUPP

constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

void add_lwt_helpers(HelperTable& table);
void add_skb_helpers(HelperTable& table);
void add_xdp_helpers(HelperTable& table);
void add_socket_helpers(HelperTable& table);

}  // namespace uscx::bpf::net
