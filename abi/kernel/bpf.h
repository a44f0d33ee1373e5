// SPDX-License-Identifier: GPL-2.0-only
/* What a program embeds in its maps or its stack, and the few objects of bpf(2) it can look into.
 */

/* Embedded in map values; what is inside is the kernel's. */
struct bpf_spin_lock {
  __u32 val;
};

struct bpf_res_spin_lock {
  u32 val;
};

struct bpf_timer {
  __u64 __opaque[2];
};

struct bpf_wq {
  __u64 __opaque[2];
};

struct bpf_task_work {
  __u64 __opaque;
};

struct bpf_dynptr {
  __u64 __opaque[2];
};

struct bpf_list_head {
  __u64 __opaque[2];
};

struct bpf_list_node {
  __u64 __opaque[3];
};

struct bpf_rb_root {
  __u64 __opaque[2];
};

struct bpf_rb_node {
  __u64 __opaque[4];
};

struct bpf_refcount {
  __u32 __opaque[1];
};

/* Open-coded iterators, on a program's stack. */
struct bpf_iter_num {
  __u64 __opaque[1];
};

struct bpf_iter_bits {
  __u64 __opaque[2];
};

struct bpf_iter_task {
  __u64 __opaque[3];
};

struct bpf_iter_css {
  __u64 __opaque[3];
};

struct bpf_iter_css_task {
  __u64 __opaque[1];
};

struct bpf_iter_scx_dsq {
  u64 __opaque[6];
};

/* bpf_cpumask_*: reference counted, usable wherever a cpumask is. */
struct bpf_cpumask {
  cpumask_t cpumask;
  refcount_t usage;
};

enum bpf_map_type {
  BPF_MAP_TYPE_UNSPEC = 0,
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PROG_ARRAY = 3,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
  BPF_MAP_TYPE_PERCPU_HASH = 5,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_STACK_TRACE = 7,
  BPF_MAP_TYPE_CGROUP_ARRAY = 8,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
  BPF_MAP_TYPE_LPM_TRIE = 11,
  BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
  BPF_MAP_TYPE_HASH_OF_MAPS = 13,
  BPF_MAP_TYPE_DEVMAP = 14,
  BPF_MAP_TYPE_SOCKMAP = 15,
  BPF_MAP_TYPE_CPUMAP = 16,
  BPF_MAP_TYPE_XSKMAP = 17,
  BPF_MAP_TYPE_SOCKHASH = 18,
  BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED = 19,
  BPF_MAP_TYPE_CGROUP_STORAGE = 19,
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY = 20,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED = 21,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE = 21,
  BPF_MAP_TYPE_QUEUE = 22,
  BPF_MAP_TYPE_STACK = 23,
  BPF_MAP_TYPE_SK_STORAGE = 24,
  BPF_MAP_TYPE_DEVMAP_HASH = 25,
  BPF_MAP_TYPE_STRUCT_OPS = 26,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_INODE_STORAGE = 28,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
  BPF_MAP_TYPE_BLOOM_FILTER = 30,
  BPF_MAP_TYPE_USER_RINGBUF = 31,
  BPF_MAP_TYPE_CGRP_STORAGE = 32,
  BPF_MAP_TYPE_ARENA = 33,
  BPF_MAP_TYPE_INSN_ARRAY = 34,
  BPF_MAP_TYPE_RHASH = 35,
  __MAX_BPF_MAP_TYPE = 36,
};

/* Flags of map update, map creation, storage, ring buffers, timers, iterators and streams. */
enum uapi_map_update {
  BPF_ANY = 0,
  BPF_NOEXIST = 1,
  BPF_EXIST = 2,
  BPF_F_LOCK = 4,
  BPF_F_CPU = 8,
  BPF_F_ALL_CPUS = 16,
};

enum uapi_map_create {
  BPF_F_NO_PREALLOC = 1,
  BPF_F_NO_COMMON_LRU = 2,
  BPF_F_NUMA_NODE = 4,
  BPF_F_RDONLY = 8,
  BPF_F_WRONLY = 16,
  BPF_F_STACK_BUILD_ID = 32,
  BPF_F_ZERO_SEED = 64,
  BPF_F_RDONLY_PROG = 128,
  BPF_F_WRONLY_PROG = 256,
  BPF_F_CLONE = 512,
  BPF_F_MMAPABLE = 1024,
  BPF_F_PRESERVE_ELEMS = 2048,
  BPF_F_INNER_MAP = 4096,
  BPF_F_LINK = 8192,
  BPF_F_PATH_FD = 16384,
  BPF_F_VTYPE_BTF_OBJ_FD = 32768,
  BPF_F_TOKEN_FD = 65536,
  BPF_F_SEGV_ON_FAULT = 131072,
  BPF_F_NO_USER_CONV = 262144,
  BPF_F_RB_OVERWRITE = 524288,
};

enum uapi_local_storage {
  BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
  BPF_SK_STORAGE_GET_F_CREATE = 1,
};

enum uapi_cpu_index {
  BPF_F_INDEX_MASK = 4294967295ULL,
  BPF_F_CURRENT_CPU = 4294967295ULL,
  BPF_F_CTXLEN_MASK = 4503595332403200ULL,
};

enum uapi_ringbuf_wakeup {
  BPF_RB_NO_WAKEUP = 1,
  BPF_RB_FORCE_WAKEUP = 2,
};

enum uapi_ringbuf_query {
  BPF_RB_AVAIL_DATA = 0,
  BPF_RB_RING_SIZE = 1,
  BPF_RB_CONS_POS = 2,
  BPF_RB_PROD_POS = 3,
  BPF_RB_OVERWRITE_POS = 4,
};

enum uapi_timer {
  BPF_F_TIMER_ABS = 1,
  BPF_F_TIMER_CPU_PIN = 2,
};

enum uapi_task_iter {
  BPF_TASK_ITER_ALL_PROCS = 0,
  BPF_TASK_ITER_ALL_THREADS = 1,
  BPF_TASK_ITER_PROC_THREADS = 2,
};

enum uapi_stack {
  BPF_F_SKIP_FIELD_MASK = 255,
  BPF_F_USER_STACK = 256,
  BPF_F_FAST_STACK_CMP = 512,
  BPF_F_REUSE_STACKID = 1024,
  BPF_F_USER_BUILD_ID = 2048,
};

enum uapi_loop_limits {
  BPF_MAX_LOOPS = 8388608,
  BPF_MAX_TIMED_LOOPS = 65535,
};

enum page_size_enum {
  __PAGE_SIZE = 4096,
};

enum bpf_cgroup_iter_order {
  BPF_CGROUP_ITER_ORDER_UNSPEC = 0,
  BPF_CGROUP_ITER_SELF_ONLY = 1,
  BPF_CGROUP_ITER_DESCENDANTS_PRE = 2,
  BPF_CGROUP_ITER_DESCENDANTS_POST = 3,
  BPF_CGROUP_ITER_ANCESTORS_UP = 4,
  BPF_CGROUP_ITER_CHILDREN = 5,
};

enum bpf_stream_id {
  BPF_STDOUT = 1,
  BPF_STDERR = 2,
};

/* A map, as iterators and tracing programs see one. */
struct bpf_map {
  enum bpf_map_type map_type;
  u32 key_size;
  u32 value_size;
  u32 max_entries;
  u64 map_extra;
  u32 map_flags;
  u32 id;
  int numa_node;
  char name[16];
  s64 *elem_count;
};

/* struct_ops maps hold this before the operations table itself. */
enum bpf_struct_ops_state {
  BPF_STRUCT_OPS_STATE_INIT = 0,
  BPF_STRUCT_OPS_STATE_INUSE = 1,
  BPF_STRUCT_OPS_STATE_TOBEFREE = 2,
  BPF_STRUCT_OPS_STATE_READY = 3,
};

struct bpf_struct_ops_common_value {
  refcount_t refcnt;
  enum bpf_struct_ops_state state;
};

struct bpf_link;

/* Contexts and results. */
struct fred_cs {
  u64 cs : 16, sl : 2, wfe : 1;
};

struct fred_ss {
  u64 ss : 16, sti : 1, swevent : 1, nmi : 1, : 13;
  u64 vector : 8, : 8, type : 4, : 4, enclave : 1, l : 1, nested : 1, : 1, insnlen : 4;
};

struct pt_regs {
  unsigned long r15;
  unsigned long r14;
  unsigned long r13;
  unsigned long r12;
  unsigned long bp;
  unsigned long bx;
  unsigned long r11;
  unsigned long r10;
  unsigned long r9;
  unsigned long r8;
  unsigned long ax;
  unsigned long cx;
  unsigned long dx;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
  unsigned long ip;
  union {
    u16 cs;
    u64 csx;
    struct fred_cs fred_cs;
  };
  unsigned long flags;
  unsigned long sp;
  union {
    u16 ss;
    u64 ssx;
    struct fred_ss fred_ss;
  };
};

typedef struct pt_regs bpf_user_pt_regs_t;

struct bpf_perf_event_data {
  bpf_user_pt_regs_t regs;
  __u64 sample_period;
  __u64 addr;
};

struct bpf_perf_event_value {
  __u64 counter;
  __u64 enabled;
  __u64 running;
};

struct seq_file;
struct task_struct;

struct bpf_iter_meta {
  union {
    struct seq_file *seq;
  };
  u64 session_id;
  u64 seq_num;
};

struct bpf_iter__task {
  union {
    struct bpf_iter_meta *meta;
  };
  union {
    struct task_struct *task;
  };
};

typedef int (*bpf_task_work_callback_t)(struct bpf_map *map, void *key, void *value);
