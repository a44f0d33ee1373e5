// SPDX-License-Identifier: GPL-2.0-only
// Helpers on sockets and routes. Linux: net/core/filter.c.
#include <cerrno>

#include "bpf/bpf.h"
#include "bpf/net/contexts.h"
#include "bpf/net/helpers.h"

namespace uscx::bpf::net {

namespace {

using A = ArgKind;

constexpr u32 kFibLookupParams = 64;  // sizeof(struct bpf_fib_lookup)
constexpr u32 kFibLookupFlags = 0x7f;
constexpr u32 kInet = 2, kInet6 = 10;  // AF_*
constexpr u64 kInitNetCookie = 1;

/// Nobody listens and nothing is connected.
u64 no_socket(HelperCall&) {
  return 0;
}

/// Nothing that is looked up is found, so what a program can release is not there.
u64 release(HelperCall& call) {
  call.object<Sock>(0, kSocket);
  return 0;
}

/// The packet's own: no request and not waiting, so a full one.
u64 fullsock(HelperCall& call) {
  return reinterpret_cast<u64>(call.object<Sock>(0, kSocket));
}

/// It is of no protocol and does not listen.
u64 not_such_socket(HelperCall& call) {
  call.object<Sock>(0, kSocket);
  return 0;
}

u64 netns_cookie(HelperCall&) {
  return kInitNetCookie;
}

u64 fib_lookup(HelperCall& call) {
  if (static_cast<s32>(call.args[2]) < static_cast<s32>(kFibLookupParams)) {
    return error_value(EINVAL);
  }
  if (call.args[3] & ~u64{kFibLookupFlags}) return error_value(EINVAL);
  const auto* family = call.memory<u8>(1, false);
  if (!family) return 0;
  if (*family != kInet && *family != kInet6) return error_value(EAFNOSUPPORT);
  call.fault("bpf_fib_lookup is not served: there are no routes");
  return 0;
}

}  // namespace

void add_socket_helpers(HelperTable& table) {
  table.add({69, "bpf_fib_lookup", fib_lookup, {A::kCtx, A::kMem, A::kSize, A::kLong}});
  static constexpr std::array kLookup{A::kCtx, A::kMem, A::kSize, A::kLong, A::kLong};
  table.add({84, "bpf_sk_lookup_tcp", no_socket, kLookup});
  table.add({85, "bpf_sk_lookup_udp", no_socket, kLookup});
  table.add({86, "bpf_sk_release", release, {A::kAnything}});
  table.add({95, "bpf_sk_fullsock", fullsock, {A::kAnything}});
  table.add({96, "bpf_tcp_sock", not_such_socket, {A::kAnything}});
  table.add({98, "bpf_get_listener_sock", not_such_socket, {A::kAnything}});
  table.add({99, "bpf_skc_lookup_tcp", no_socket, kLookup});
  table.add({122, "bpf_get_netns_cookie", netns_cookie, {A::kAnything}});
  table.add({136, "bpf_skc_to_tcp6_sock", not_such_socket, {A::kAnything}});
  table.add({137, "bpf_skc_to_tcp_sock", not_such_socket, {A::kAnything}});
  table.add({138, "bpf_skc_to_tcp_timewait_sock", not_such_socket, {A::kAnything}});
  table.add({139, "bpf_skc_to_tcp_request_sock", not_such_socket, {A::kAnything}});
  table.add({140, "bpf_skc_to_udp6_sock", not_such_socket, {A::kAnything}});
}

}  // namespace uscx::bpf::net
