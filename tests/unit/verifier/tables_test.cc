// SPDX-License-Identifier: GPL-2.0-only
// Tables of helpers, kfuncs and program types, against what the kernel's own selftests expect
// (tools/testing/selftests/bpf/progs of 7.3; the file is named at each group).
#include <gtest/gtest.h>

#include <set>

#include "bpf/uapi.h"
#include "bpf/verifier/helper_proto.h"
#include "bpf/verifier/kfunc_proto.h"
#include "bpf/verifier/prog_type.h"

namespace uscx::bpf::verifier {
namespace {

ProgContext of(u32 type, u32 attach_type = 0) {
  ProgContext prog;
  prog.type = type;
  prog.attach_type = attach_type;
  return prog;
}

bool reads(u32 type, s32 off, u32 size, u32 attach_type = 0) {
  CtxAccess out;
  return ctx_access(of(type, attach_type), off, size, false, false, out);
}

bool writes(u32 type, s32 off, u32 size, u32 attach_type = 0) {
  CtxAccess out;
  return ctx_access(of(type, attach_type), off, size, true, false, out);
}

TEST(Helpers, EveryRowIsWellFormed) {
  std::set<u32> seen;
  for (u32 type = 1; type < kProgTypeEnd; ++type) {
    for (u32 id = 1; id <= kMaxHelperId; ++id) {
      const HelperProto* proto = helper_for(of(type), id);
      if (!proto) continue;
      seen.insert(id);
      EXPECT_EQ(proto->id, id);
      EXPECT_EQ(proto->name, helper_name(id));
      for (u32 i = 0; i < 5; ++i) {
        const u32 base = base_type(proto->args[i]);
        EXPECT_LT(base, kArgBaseCount);
        EXPECT_EQ(proto->args[i] & kMemFixedSize ? proto->arg_size[i] != 0 : true, true)
            << proto->name;
        // A memory argument is followed by its size, unless that is fixed. Linux: check_mem_arg.
        if (base == kArgPtrToMem && !(proto->args[i] & kMemFixedSize)) {
          ASSERT_LT(i + 1, 5u) << proto->name;
          const u32 next = base_type(proto->args[i + 1]);
          EXPECT_TRUE(next == kArgMemSize || next == kArgMemSizeOrZero) << proto->name;
        }
        if (base == kArgPtrToBtfId && id != 194) {
          EXPECT_FALSE(proto->arg_btf[i].empty()) << proto->name;
        }
      }
    }
  }
  EXPECT_GT(seen.size(), 190u);
  EXPECT_EQ(helper_name(211), "bpf_cgrp_storage_delete");
  EXPECT_EQ(helper_name(212), "");
}

// verifier_helper_restricted.c
TEST(Helpers, Restricted) {
  for (u32 type : {kProgKprobe, kProgTracepoint, kProgPerfEvent, kProgRawTracepoint}) {
    EXPECT_EQ(helper_for(of(type), 160), nullptr);  // bpf_ktime_get_coarse_ns
    EXPECT_NE(helper_for(of(type), 169), nullptr);  // bpf_timer_init
    EXPECT_NE(helper_for(of(type), 93), nullptr);   // bpf_spin_lock
  }
  EXPECT_NE(helper_for(of(kProgSchedCls), 160), nullptr);
}

TEST(Helpers, StructOps) {
  ProgContext scx = of(kProgStructOps);
  scx.struct_ops_type = "sched_ext_ops";
  EXPECT_EQ(helper_for(scx, 49), nullptr);   // bpf_setsockopt
  EXPECT_NE(helper_for(scx, 156), nullptr);  // bpf_task_storage_get
  EXPECT_NE(helper_for(scx, 6), nullptr);
  EXPECT_EQ(helper_for(scx, 25), nullptr);  // bpf_perf_event_output
  EXPECT_EQ(helper_for(scx, 4), nullptr);   // bpf_probe_read
  ProgContext tcp = of(kProgStructOps);
  tcp.struct_ops_type = "tcp_congestion_ops";
  tcp.attach_name = "cong_avoid";
  EXPECT_NE(helper_for(tcp, 49), nullptr);
  tcp.attach_name = "release";
  EXPECT_EQ(helper_for(tcp, 49), nullptr);
}

TEST(Helpers, ByTypeAndAttachment) {
  const HelperProto* task = helper_for(of(kProgTracing, kTraceFentry), 158);
  ASSERT_NE(task, nullptr);
  EXPECT_EQ(task->ret, kRetPtrToBtfId | kTrusted);
  EXPECT_EQ(task->ret_btf, "task_struct");
  EXPECT_EQ(helper_for(of(kProgTracing, kTraceFentry), 126), nullptr);  // bpf_seq_printf
  EXPECT_NE(helper_for(of(kProgTracing, kTraceIter), 126), nullptr);
  EXPECT_EQ(helper_for(of(kProgTracing, kTraceIter), 174), nullptr);  // bpf_get_attach_cookie
  EXPECT_NE(helper_for(of(kProgTracing, kTraceRawTp), 174), nullptr);
  EXPECT_EQ(helper_for(of(kProgXdp), 28)->name, "bpf_csum_diff");
  EXPECT_TRUE(helper_for(of(kProgSchedCls), 9)->changes_pkt_data);
  EXPECT_EQ(helper_for(of(kProgCgroupSockAddr, kCgroupInet4Bind), 64), nullptr);  // bpf_bind
  EXPECT_NE(helper_for(of(kProgCgroupSockAddr, kCgroupInet4Connect), 64), nullptr);
  const HelperProto* storage = helper_for(of(kProgStructOps), 156);
  EXPECT_EQ(storage->args[1], kArgPtrToBtfId | kMaybeNull);
  EXPECT_EQ(storage->arg_btf[1], "task_struct");
  EXPECT_EQ(helper_for(of(kProgSocketFilter), 1)->ret, kRetPtrToMapValue | kMaybeNull);
}

TEST(Helpers, Maps) {
  std::string log;
  const ProgContext prog = of(kProgSchedCls);
  EXPECT_TRUE(map_allows_helper(prog, uapi::kMapHash, 1, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapRingbuf, 1, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapHash, 131, log));  // bpf_ringbuf_reserve
  EXPECT_TRUE(map_allows_helper(prog, uapi::kMapRingbuf, 131, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapStackTrace, 1, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapArray, 195, log));
  EXPECT_TRUE(map_allows_helper(prog, uapi::kMapArrayOfMaps, 1, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapArrayOfMaps, 2, log));
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapInsnArray, 1, log));
  EXPECT_TRUE(log.empty());
  EXPECT_FALSE(map_allows_helper(prog, uapi::kMapSockmap, 2, log));
  EXPECT_EQ(log, "cannot update sockmap in this context\n");
}

// verifier_ctx.c, verifier_ctx_sk_msg.c, verifier_netfilter_ctx.c
TEST(Context, Selftests) {
  EXPECT_FALSE(reads(kProgSocketFilter, 88, 4));  // __sk_buff.family is sk_skb's
  EXPECT_TRUE(reads(kProgSkSkb, 88, 4));
  EXPECT_FALSE(reads(kProgSocketFilter, 72, 4));  // tc_classid
  EXPECT_FALSE(reads(kProgSkSkb, 8, 4));          // mark
  EXPECT_FALSE(writes(kProgSocketFilter, 8, 4));
  EXPECT_TRUE(writes(kProgSchedCls, 8, 4));
  EXPECT_TRUE(writes(kProgSocketFilter, 48, 4));   // cb[0]
  EXPECT_TRUE(writes(kProgSocketFilter, 48, 8));   // cb, in any aligned width
  EXPECT_FALSE(writes(kProgSocketFilter, 64, 8));  // past cb[4]
  EXPECT_FALSE(reads(kProgSocketFilter, 192, 4));
  EXPECT_FALSE(reads(kProgSocketFilter, -1, 1));
  EXPECT_TRUE(reads(kProgSocketFilter, 3, 1));   // a byte of len
  EXPECT_FALSE(reads(kProgSocketFilter, 6, 4));  // misaligned
  EXPECT_TRUE(reads(kProgSkMsg, 72, 8));         // sk
  EXPECT_FALSE(reads(kProgSkMsg, 80, 4));        // past the end
  EXPECT_FALSE(reads(kProgSkMsg, 0, 4));         // data is 8 bytes
  EXPECT_FALSE(writes(kProgNetfilter, 8, 8));
  EXPECT_FALSE(reads(kProgNetfilter, 8, 4));
  EXPECT_TRUE(reads(kProgNetfilter, 8, 8));
  EXPECT_FALSE(reads(kProgNetfilter, 16, 8));
}

TEST(Context, WhatAReadGives) {
  CtxAccess out;
  ASSERT_TRUE(ctx_access(of(kProgSchedCls), 76, 4, false, false, out));
  EXPECT_EQ(out.reg_type, kPtrToPacket);
  EXPECT_FALSE(ctx_access(of(kProgSchedCls), 76, 4, false, true, out));  // ldsx
  ASSERT_TRUE(ctx_access(of(kProgSchedCls), 168, 8, false, false, out));
  EXPECT_EQ(out.reg_type, kPtrToSockCommon | kMaybeNull);
  ASSERT_TRUE(ctx_access(of(kProgSchedCls), 0, 2, false, false, out));
  EXPECT_EQ(out.field_size, 4u);
  ASSERT_TRUE(ctx_access(of(kProgXdp), 8, 4, false, false, out));
  EXPECT_EQ(out.reg_type, kPtrToPacketMeta);
  EXPECT_FALSE(reads(kProgXdp, 20, 4));  // egress_ifindex
  EXPECT_TRUE(reads(kProgXdp, 20, 4, kXdpDevmap));
  EXPECT_FALSE(writes(kProgXdp, 0, 4));
  ASSERT_TRUE(ctx_access(of(kProgNetfilter), 0, 8, false, false, out));
  EXPECT_EQ(out.btf_type, "nf_hook_state");
  EXPECT_EQ(out.reg_type, kPtrToBtfId | kTrusted);
}

// verifier_cgroup_inv_retcode.c, verifier_sysctl.c, verifier_perf_event_sample_period.c,
// verifier_post_bind etc. (verifier_sock_addr.c)
TEST(Context, Others) {
  EXPECT_TRUE(reads(kProgPerfEvent, 168, 1));
  EXPECT_TRUE(reads(kProgPerfEvent, 168, 8));
  EXPECT_FALSE(reads(kProgPerfEvent, 0, 4));
  EXPECT_TRUE(reads(kProgCgroupSysctl, 0, 1));
  EXPECT_FALSE(writes(kProgCgroupSysctl, 0, 4));
  EXPECT_TRUE(writes(kProgCgroupSysctl, 4, 4));
  EXPECT_FALSE(reads(kProgCgroupSockAddr, 4, 4, kCgroupInet6Bind));
  EXPECT_TRUE(reads(kProgCgroupSockAddr, 4, 4, kCgroupInet4Bind));
  EXPECT_TRUE(reads(kProgCgroupSockAddr, 8, 8, kCgroupInet6Bind));
  EXPECT_FALSE(writes(kProgCgroupSock, 16, 4, kCgroupInet4PostBind));
  EXPECT_TRUE(writes(kProgCgroupSock, 16, 4, kCgroupInetSockCreate));
  EXPECT_TRUE(reads(kProgTracepoint, 8, 8));
  EXPECT_FALSE(reads(kProgTracepoint, 0, 8));
  EXPECT_TRUE(reads(kProgKprobe, 160, 8));
  EXPECT_FALSE(reads(kProgKprobe, 168, 8));
}

// verifier_sock.c
TEST(Context, Sockets) {
  u32 field = 0;
  EXPECT_FALSE(sock_access(kPtrToSockCommon, 8, 4, field));  // type: a full socket's only
  EXPECT_TRUE(sock_access(kPtrToSocket, 8, 4, field));
  EXPECT_TRUE(sock_access(kPtrToSockCommon, 72, 4, field));  // state
  EXPECT_TRUE(sock_access(kPtrToSocket, 48, 2, field));      // dst_port
  EXPECT_EQ(field, 2u);
  EXPECT_FALSE(sock_access(kPtrToSocket, 50, 2, field));  // its padding
  EXPECT_TRUE(sock_access(kPtrToTcpSock, 80, 8, field));  // bytes_received
  EXPECT_FALSE(sock_access(kPtrToTcpSock, 80, 4, field));
  EXPECT_FALSE(sock_access(kPtrToTcpSock, 112, 4, field));
}

bool range_is(const ProgContext& prog, s32 min, s32 max) {
  const auto range = return_range(prog);
  return range && range->min == min && range->max == max;
}

// verifier_cgroup_inv_retcode.c, verifier_lsm.c, verifier_netfilter_retcode.c
TEST(ReturnRange, Selftests) {
  EXPECT_TRUE(range_is(of(kProgCgroupSock), 0, 1));
  EXPECT_TRUE(range_is(of(kProgNetfilter, kNetfilter), 0, 1));
  EXPECT_TRUE(range_is(of(kProgCgroupSockAddr, kCgroupUdp4Recvmsg), 1, 1));
  EXPECT_TRUE(range_is(of(kProgCgroupSkb, kCgroupInetEgress), 0, 3));
  ProgContext lsm = of(kProgLsm, kLsmMac);
  lsm.attach_name = "bpf_lsm_audit_rule_known";
  EXPECT_TRUE(range_is(lsm, 0, 1));
  lsm.attach_name = "bpf_lsm_file_open";
  EXPECT_TRUE(range_is(lsm, -4095, 0));
  EXPECT_TRUE(return_range(lsm)->is32);
  lsm.attach_returns_void = true;
  EXPECT_TRUE(returns_void(lsm));
  EXPECT_FALSE(return_range(of(kProgXdp)));
  EXPECT_TRUE(range_is(of(kProgTracing, kTraceFentry), 0, 0));
  EXPECT_FALSE(return_range(of(kProgTracing, kModifyReturn)));
}

TEST(ProgType, Attachment) {
  EXPECT_EQ(check_attach_type(of(kProgCgroupSkb, kCgroupInetEgress), false), 0);
  EXPECT_EQ(check_attach_type(of(kProgCgroupSkb, kXdp), false), EINVAL);
  EXPECT_EQ(check_attach_type(of(kProgXdp, 0), true), EINVAL);
  EXPECT_TRUE(may_be_sleepable(of(kProgTracing, kTraceFentry)));
  EXPECT_FALSE(may_be_sleepable(of(kProgXdp)));
  EXPECT_TRUE(lsm_hook_is_sleepable("bpf_lsm_file_open"));
  EXPECT_FALSE(lsm_hook_is_sleepable("bpf_lsm_file_mprotect"));
  EXPECT_FALSE(lsm_hook_is_trusted("bpf_lsm_task_free"));
}

TEST(Kfuncs, FlagsAndHooks) {
  const KfuncProto* acquire = kfunc_proto("bpf_task_acquire");
  ASSERT_NE(acquire, nullptr);
  EXPECT_TRUE(acquire->has(kKf_Acquire) && acquire->has(kKf_RetNull) && acquire->has(kKf_Rcu));
  EXPECT_TRUE(kfunc_allowed(*acquire, of(kProgStructOps)));
  EXPECT_FALSE(kfunc_allowed(*acquire, of(kProgSocketFilter)));
  EXPECT_TRUE(kfunc_proto("bpf_iter_num_new")->has(kKf_IterNew));
  EXPECT_TRUE(kfunc_allowed(*kfunc_proto("bpf_iter_num_new"), of(kProgSocketFilter)));
  EXPECT_FALSE(kfunc_allowed(*kfunc_proto("bpf_put_file"), of(kProgTracing, kTraceFentry)));
  EXPECT_TRUE(kfunc_allowed(*kfunc_proto("bpf_put_file"), of(kProgLsm, kLsmMac)));
  EXPECT_EQ(kfunc_proto("bpf_no_such_kfunc"), nullptr);
  EXPECT_EQ(kfunc_proto("scx_bpf_create_dsq")->hooks & 1u, 0u);
}

}  // namespace
}  // namespace uscx::bpf::verifier
