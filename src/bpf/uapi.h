// SPDX-License-Identifier: GPL-2.0-only
// bpf(2) as its callers spell it: command numbers, attributes and limits (linux/bpf.h). Our own
// declarations, since the build machine's header may be older than the kernel we are.
#pragma once

#include <cstddef>

#include "base/types.h"

namespace uscx::bpf::uapi {

enum Cmd : u32 {
  kMapCreate,
  kMapLookupElem,
  kMapUpdateElem,
  kMapDeleteElem,
  kMapGetNextKey,
  kProgLoad,
  kObjPin,
  kObjGet,
  kProgAttach,
  kProgDetach,
  kProgTestRun,
  kProgGetNextId,
  kMapGetNextId,
  kProgGetFdById,
  kMapGetFdById,
  kObjGetInfoByFd,
  kProgQuery,
  kRawTracepointOpen,
  kBtfLoad,
  kBtfGetFdById,
  kTaskFdQuery,
  kMapLookupAndDeleteElem,
  kMapFreeze,
  kBtfGetNextId,
  kMapLookupBatch,
  kMapLookupAndDeleteBatch,
  kMapUpdateBatch,
  kMapDeleteBatch,
  kLinkCreate,
  kLinkUpdate,
  kLinkGetFdById,
  kLinkGetNextId,
  kEnableStats,
  kIterCreate,
  kLinkDetach,
  kProgBindMap,
  kTokenCreate,
  kProgStreamReadByFd,
  kProgAssocStructOps,
  kMaxCmd,
};
inline constexpr u32 kCommonAttrs = 1u << 16;

enum MapType : u32 {
  kMapHash = 1,
  kMapArray = 2,
  kMapProgArray = 3,
  kMapPerfEventArray = 4,
  kMapPercpuHash = 5,
  kMapPercpuArray = 6,
  kMapStackTrace = 7,
  kMapCgroupArray = 8,
  kMapLruHash = 9,
  kMapLruPercpuHash = 10,
  kMapLpmTrie = 11,
  kMapArrayOfMaps = 12,
  kMapHashOfMaps = 13,
  kMapDevmap = 14,
  kMapSockmap = 15,
  kMapCpumap = 16,
  kMapXskmap = 17,
  kMapSockhash = 18,
  kMapCgroupStorage = 19,
  kMapReuseportSockarray = 20,
  kMapPercpuCgroupStorage = 21,
  kMapQueue = 22,
  kMapStack = 23,
  kMapSkStorage = 24,
  kMapDevmapHash = 25,
  kMapStructOps = 26,
  kMapRingbuf = 27,
  kMapInodeStorage = 28,
  kMapTaskStorage = 29,
  kMapBloomFilter = 30,
  kMapUserRingbuf = 31,
  kMapCgrpStorage = 32,
  kMapArena = 33,
  kMapInsnArray = 34,
  kMapRhash = 35,
  kMapTypeCount = 36,  // in 7.3
};

enum MapFlags : u32 {
  kNoPrealloc = 1u << 0,
  kNoCommonLru = 1u << 1,
  kNumaNode = 1u << 2,
  kRdonly = 1u << 3,
  kWronly = 1u << 4,
  kZeroSeed = 1u << 6,
  kRdonlyProg = 1u << 7,
  kWronlyProg = 1u << 8,
  kClone = 1u << 9,
  kMmapable = 1u << 10,
  kPreserveElems = 1u << 11,
  kInnerMap = 1u << 12,
  kLink = 1u << 13,
  kVtypeBtfObjFd = 1u << 15,
  kMapTokenFd = 1u << 16,
  kSegvOnFault = 1u << 17,
  kNoUserConv = 1u << 18,
};

enum UpdateFlags : u64 { kAny = 0, kNoExist = 1, kExist = 2, kLock = 4, kCpu = 8, kAllCpus = 16 };

enum ProgType : u32 {
  kProgSocketFilter = 1,
  kProgKprobe = 2,
  kProgTracepoint = 5,
  kProgPerfEvent = 7,
  kProgRawTracepoint = 17,
  kProgTracing = 26,
  kProgStructOps = 27,
  kProgLsm = 29,
  kProgSyscall = 31,
  kProgTypeCount = 33,
};

enum ProgFlags : u32 {
  kStrictAlignment = 1u << 0,
  kAnyAlignment = 1u << 1,
  kTestRndHi32 = 1u << 2,
  kTestStateFreq = 1u << 3,
  kSleepable = 1u << 4,
  kXdpHasFrags = 1u << 5,
  kXdpDevBoundOnly = 1u << 6,
  kTestRegInvariants = 1u << 7,
  kProgTokenFd = 1u << 16,
};

enum AttachType : u32 {
  kTraceRawTp = 23,
  kTraceFentry = 24,
  kTraceFexit = 25,
  kModifyReturn = 26,
  kTraceIter = 28,
  kPerfEvent = 41,
  kStructOps = 44,
  kAttachTypeCount = 62,
};

enum LinkType : u32 {
  kLinkRawTracepoint = 1,
  kLinkTracing = 2,
  kLinkPerfEvent = 7,
  kLinkStructOps = 9,
};

inline constexpr u32 kObjNameLen = 16;
inline constexpr u32 kMaxInsns = 1'000'000;  // BPF_COMPLEXITY_LIMIT_INSNS
inline constexpr u32 kMaxBtfSize = 16u << 20;
inline constexpr u32 kMaxBtfType = 0x000fffff;

// The attributes, one struct a command; each ends with the command's last field. All lie at the
// start of the same union bpf_attr.
struct MapCreateAttr {
  u32 map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
  char map_name[kObjNameLen];
  u32 map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
  u64 map_extra;
  s32 value_type_btf_obj_fd, map_token_fd;
  u64 excl_prog_hash;
  u32 excl_prog_hash_size;
  static constexpr std::size_t kLast = 92;
};
static_assert(offsetof(MapCreateAttr, excl_prog_hash_size) + 4 == MapCreateAttr::kLast);

struct MapElemAttr {
  u32 map_fd, pad;
  u64 key, value, flags;
};

struct ProgLoadAttr {
  u32 prog_type, insn_cnt;
  u64 insns, license;
  u32 log_level, log_size;
  u64 log_buf;
  u32 kern_version, prog_flags;
  char prog_name[kObjNameLen];
  u32 prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size;
  u64 func_info;
  u32 func_info_cnt, line_info_rec_size;
  u64 line_info;
  u32 line_info_cnt, attach_btf_id, attach_prog_fd, core_relo_cnt;
  u64 fd_array, core_relos;
  u32 core_relo_rec_size, log_true_size;
  s32 prog_token_fd;
  u32 fd_array_cnt;
  u64 signature;
  u32 signature_size;
  s32 keyring_id;
};
static_assert(sizeof(ProgLoadAttr) == 168 && offsetof(ProgLoadAttr, log_true_size) == 140);

struct TestRunAttr {
  u32 prog_fd, retval, data_size_in, data_size_out;
  u64 data_in, data_out;
  u32 repeat, duration, ctx_size_in, ctx_size_out;
  u64 ctx_in, ctx_out;
  u32 flags, cpu, batch_size, pad;
};
static_assert(sizeof(TestRunAttr) == 80);

struct GetIdAttr {
  u32 id, next_id, open_flags;
  s32 token_fd;
};

struct InfoAttr {
  u32 bpf_fd, info_len;
  u64 info;
};

struct RawTracepointAttr {
  u64 name;
  u32 prog_fd, pad;
  u64 cookie;
};

struct BtfLoadAttr {
  u64 btf, log_buf;
  u32 btf_size, log_size, log_level, log_true_size, flags;
  s32 token_fd;
};
static_assert(sizeof(BtfLoadAttr) == 40 && offsetof(BtfLoadAttr, log_true_size) == 28);

struct LinkCreateAttr {
  u32 prog_fd, target_fd, attach_type, flags;
  u32 target_btf_id, pad;
  u64 cookie;
  u64 more[4];
};

struct LinkUpdateAttr {
  u32 link_fd, new_fd, flags, old_fd;
};

struct BindMapAttr {
  u32 prog_fd, map_fd, flags;
};

struct TokenCreateAttr {
  u32 flags, bpffs_fd;
};

struct AssocStructOpsAttr {
  u32 map_fd, prog_fd, flags;
};

struct StreamReadAttr {
  u64 stream_buf;
  u32 stream_buf_len, stream_id, prog_fd;
};

struct IterCreateAttr {
  u32 link_fd, flags;
};

/// sizeof(union bpf_attr) of 7.3.
inline constexpr std::size_t kAttrSize = 168;
union Attr {
  u8 bytes[kAttrSize];
  MapCreateAttr map_create;
  MapElemAttr elem;
  ProgLoadAttr prog_load;
  TestRunAttr test;
  GetIdAttr get_id;
  InfoAttr info;
  RawTracepointAttr raw_tracepoint;
  BtfLoadAttr btf_load;
  LinkCreateAttr link_create;
  LinkUpdateAttr link_update;
  BindMapAttr bind_map;
  TokenCreateAttr token;
  AssocStructOpsAttr assoc;
  StreamReadAttr stream_read;
  IterCreateAttr iter;
};
static_assert(sizeof(Attr) == kAttrSize);

struct CommonAttr {
  u64 log_buf;
  u32 log_size, log_level, log_true_size, pad;
};

struct ProgInfo {
  u32 type, id;
  u8 tag[8];
  u32 jited_prog_len, xlated_prog_len;
  u64 jited_prog_insns, xlated_prog_insns, load_time;
  u32 created_by_uid, nr_map_ids;
  u64 map_ids;
  char name[kObjNameLen];
  u32 ifindex, gpl_compatible;
  u64 netns_dev, netns_ino;
  u32 nr_jited_ksyms, nr_jited_func_lens;
  u64 jited_ksyms, jited_func_lens;
  u32 btf_id, func_info_rec_size;
  u64 func_info;
  u32 nr_func_info, nr_line_info;
  u64 line_info, jited_line_info;
  u32 nr_jited_line_info, line_info_rec_size, jited_line_info_rec_size, nr_prog_tags;
  u64 prog_tags, run_time_ns, run_cnt, recursion_misses;
  u32 verified_insns, attach_btf_obj_id, attach_btf_id, pad;
};
static_assert(sizeof(ProgInfo) == 232);

struct MapInfo {
  u32 type, id, key_size, value_size, max_entries, map_flags;
  char name[kObjNameLen];
  u32 ifindex, btf_vmlinux_value_type_id;
  u64 netns_dev, netns_ino;
  u32 btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
  u64 map_extra, hash;
  u32 hash_size, pad;
};
static_assert(sizeof(MapInfo) == 104);

struct BtfInfo {
  u64 btf;
  u32 btf_size, id;
  u64 name;
  u32 name_len, kernel_btf;
};

struct LinkInfo {
  u32 type, id, prog_id, pad;
  union {
    struct {
      u32 map_id;
    } struct_ops;
    struct {
      u32 attach_type, target_obj_id, target_btf_id, pad;
      u64 cookie;
    } tracing;
    struct {
      u64 tp_name;
      u32 tp_name_len, pad;
      u64 cookie;
    } raw_tracepoint;
    u64 bytes[6];
  };
};

struct FuncInfo {
  u32 insn_off, type_id;
};

}  // namespace uscx::bpf::uapi
