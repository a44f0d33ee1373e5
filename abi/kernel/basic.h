// SPDX-License-Identifier: GPL-2.0-only
/* Integers, and the small containers everything else is made of. */

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;

typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

typedef __u16 __be16;
typedef __u16 __le16;
typedef __u32 __be32;
typedef __u32 __le32;
typedef __u64 __be64;
typedef __u64 __le64;
typedef __u16 __sum16;
typedef __u32 __wsum;

#ifndef __cplusplus
typedef _Bool bool;
enum { false = 0, true = 1 };
#endif

typedef unsigned long __kernel_ulong_t;
typedef __kernel_ulong_t __kernel_size_t;
typedef long __kernel_long_t;
typedef int __kernel_pid_t;
typedef unsigned int __kernel_uid32_t;
typedef unsigned int __kernel_gid32_t;
typedef __kernel_size_t size_t;
typedef __kernel_pid_t pid_t;
typedef __kernel_uid32_t uid_t;
typedef __kernel_gid32_t gid_t;
typedef unsigned short umode_t;
typedef s64 ktime_t;

typedef struct {
  uid_t val;
} kuid_t;

typedef struct {
  gid_t val;
} kgid_t;

/* What guard(rcu) declares. */
typedef struct {
  void *lock;
} class_rcu_t;

/* Counters that other CPUs write. */
typedef struct {
  int counter;
} atomic_t;

typedef struct {
  s64 counter;
} atomic64_t;

typedef atomic64_t atomic_long_t;

struct refcount_struct {
  atomic_t refs;
};
typedef struct refcount_struct refcount_t;

/* Opaque to programs; the core's ranked locks are objects of their own. */
struct raw_spinlock {
  u32 owner_cpu;
  u32 rank;
};
typedef struct raw_spinlock raw_spinlock_t;

struct spinlock {
  struct raw_spinlock rlock;
};
typedef struct spinlock spinlock_t;

/* Lists and trees. */
struct list_head {
  struct list_head *next, *prev;
};

struct hlist_node {
  struct hlist_node *next, **pprev;
};

struct hlist_head {
  struct hlist_node *first;
};

struct llist_node {
  struct llist_node *next;
};

struct llist_head {
  struct llist_node *first;
};

struct rb_node {
  unsigned long __rb_parent_color;
  struct rb_node *rb_right;
  struct rb_node *rb_left;
};

struct rb_root {
  struct rb_node *rb_node;
};

struct rb_root_cached {
  struct rb_root rb_root;
  struct rb_node *rb_leftmost;
};

struct rhash_head {
  struct rhash_head *next;
};

struct callback_head {
  struct callback_head *next;
  void (*func)(struct callback_head *head);
};

struct qspinlock {
  union {
    atomic_t val;
    struct {
      u8 locked;
      u8 pending;
    };
    struct {
      u16 locked_pending;
      u16 tail;
    };
  };
};

/* CPU and node sets, of the size Debian configures. */
#define NR_CPUS 8192
#define MAX_NUMNODES 1024
#define ABI_BITS_PER_LONG 64

struct cpumask {
  unsigned long bits[NR_CPUS / ABI_BITS_PER_LONG];
};
typedef struct cpumask cpumask_t;
typedef struct cpumask *cpumask_var_t;

typedef struct {
  unsigned long bits[MAX_NUMNODES / ABI_BITS_PER_LONG];
} nodemask_t;
