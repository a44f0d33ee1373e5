// SPDX-License-Identifier: GPL-2.0-only
// The questions of bpf_questions.h. Plain C without libbpf, so that it also links statically and
// runs on a real kernel as it is:
//   cc -static -DBPF_QUESTIONS_MAIN -I<libbpf's include/uapi> bpf_questions.c
#define _GNU_SOURCE
#include "bpf_questions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static FILE* out_file;

static long sys_bpf(int cmd, union bpf_attr* attr, unsigned size) {
  long r = syscall(SYS_bpf, cmd, attr, size, NULL, 0L);
  return r < 0 ? -errno : r;
}

static const char* errno_name(long e) {
  static char number[32];
  if (e == 524) return "ENOTSUPP";
  const char* name = strerrorname_np((int)e);
  if (name) return name;
  snprintf(number, sizeof(number), "%ld", e);
  return number;
}

static long answer(const char* question, long r) {
  if (r < 0) {
    fprintf(out_file, "%s = -%s\n", question, errno_name(-r));
  } else {
    fprintf(out_file, "%s = ok\n", question);
  }
  return r;
}

/* For calls that give a descriptor: said and closed. */
static void answer_fd(const char* question, long fd) {
  if (answer(question, fd) >= 0) close((int)fd);
}

static long create(unsigned type, unsigned key, unsigned value, unsigned entries, unsigned flags) {
  union bpf_attr a = {.map_type = type,
                      .key_size = key,
                      .value_size = value,
                      .max_entries = entries,
                      .map_flags = flags};
  return sys_bpf(BPF_MAP_CREATE, &a, sizeof(a));
}

static void ask_map_create(void) {
  static const struct {
    const char* name;
    unsigned type, key, value, entries, flags;
  } cases[] = {
      {"array", 2, 4, 8, 1, 0},
      {"array mmapable", 2, 4, 8, 1, BPF_F_MMAPABLE},
      {"array rdonly_prog", 2, 4, 8, 1, BPF_F_RDONLY_PROG},
      {"array rdonly_prog wronly_prog", 2, 4, 8, 1, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG},
      {"array rdonly wronly", 2, 4, 8, 1, BPF_F_RDONLY | BPF_F_WRONLY},
      {"array key 8", 2, 8, 8, 1, 0},
      {"array value 0", 2, 4, 0, 1, 0},
      {"array entries 0", 2, 4, 8, 0, 0},
      {"array no_prealloc", 2, 4, 8, 1, BPF_F_NO_PREALLOC},
      {"array preserve_elems", 2, 4, 8, 1, BPF_F_PRESERVE_ELEMS},
      {"array link flag", 2, 4, 8, 1, 1u << 13},
      {"array value 2G", 2, 4, 0x80000000u, 1, 0},
      {"array flag 31", 2, 4, 8, 1, 1u << 31},
      {"percpu_array", 6, 4, 8, 1, 0},
      {"percpu_array mmapable", 6, 4, 8, 1, BPF_F_MMAPABLE},
      {"percpu_array 32K", 6, 4, 32768, 1, 0},
      {"percpu_array 32K+1", 6, 4, 32769, 1, 0},
      {"hash", 1, 4, 8, 16, 0},
      {"hash no_prealloc", 1, 4, 8, 16, BPF_F_NO_PREALLOC},
      {"hash zero_seed", 1, 4, 8, 16, BPF_F_ZERO_SEED},
      {"hash no_common_lru", 1, 4, 8, 16, BPF_F_NO_COMMON_LRU},
      {"hash mmapable", 1, 4, 8, 16, BPF_F_MMAPABLE},
      {"hash key 0", 1, 0, 8, 16, 0},
      {"hash value 0", 1, 4, 0, 16, 0},
      {"hash entries 0", 1, 4, 8, 0, 0},
      {"hash key 513", 1, 513, 8, 16, 0},
      {"hash value 4M", 1, 4, 4u << 20, 1, 0},
      {"percpu_hash", 5, 4, 8, 16, 0},
      {"lru_hash", 9, 4, 8, 16, 0},
      {"lru_hash no_prealloc", 9, 4, 8, 16, BPF_F_NO_PREALLOC},
      {"lru_hash no_common_lru", 9, 4, 8, 16, BPF_F_NO_COMMON_LRU},
      {"queue", 22, 0, 8, 16, 0},
      {"queue key 4", 22, 4, 8, 16, 0},
      {"queue value 0", 22, 0, 0, 16, 0},
      {"queue entries 0", 22, 0, 8, 0, 0},
      {"queue no_prealloc", 22, 0, 8, 16, BPF_F_NO_PREALLOC},
      {"stack", 23, 0, 8, 16, 0},
      {"task_storage without btf", 29, 4, 8, 0, BPF_F_NO_PREALLOC},
      {"task_storage prealloc", 29, 4, 8, 0, 0},
      {"struct_ops without type", 26, 4, 8, 1, 0},
      {"type 0", 0, 4, 8, 1, 0},
      {"type 1000", 1000, 4, 8, 1, 0},
  };
  char question[128];
  for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    snprintf(question, sizeof(question), "map_create %s", cases[i].name);
    answer_fd(question, create(cases[i].type, cases[i].key, cases[i].value, cases[i].entries,
                               cases[i].flags));
  }
  union bpf_attr a = {.map_type = 2, .key_size = 4, .value_size = 8, .max_entries = 1};
  memcpy(a.map_name, "a-b", 4);
  answer_fd("map_create bad name", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  memset(a.map_name, 'a', sizeof(a.map_name));
  answer_fd("map_create long name", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  memset(a.map_name, 0, sizeof(a.map_name));
  a.map_extra = 1;
  answer_fd("map_create map_extra", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  a.map_extra = 0;
  a.btf_key_type_id = 1;
  answer_fd("map_create btf key without value", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  a.btf_value_type_id = 1;
  a.btf_fd = (unsigned)-1;
  answer_fd("map_create btf fd -1", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  a.btf_key_type_id = a.btf_value_type_id = a.btf_fd = 0;
  a.btf_vmlinux_value_type_id = 1;
  answer_fd("map_create array with vmlinux type", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  a.map_type = 26;
  answer_fd("map_create struct_ops of int", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
  a.map_flags = 1;
  answer_fd("map_create struct_ops flag 1", sys_bpf(BPF_MAP_CREATE, &a, sizeof(a)));
}

static long elem(int cmd, long fd, const void* key, const void* value, unsigned long long flags) {
  union bpf_attr a = {.map_fd = (unsigned)fd};
  a.key = (unsigned long)key;
  a.value = (unsigned long)value;
  a.flags = flags;
  return sys_bpf(cmd, &a, sizeof(a));
}
#define LOOKUP(fd, k, v, f) elem(BPF_MAP_LOOKUP_ELEM, fd, k, v, f)
#define UPDATE(fd, k, v, f) elem(BPF_MAP_UPDATE_ELEM, fd, k, v, f)
#define DELETE(fd, k) elem(BPF_MAP_DELETE_ELEM, fd, k, NULL, 0)
#define NEXT(fd, k, v) elem(BPF_MAP_GET_NEXT_KEY, fd, k, v, 0)
#define TAKE(fd, k, v, f) elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, k, v, f)

static void ask_array(void) {
  unsigned zero = 0, two = 2, next = 9;
  unsigned long long value[64] = {5};
  long fd = create(2, 4, 8, 2, 0);
  answer("array update", UPDATE(fd, &zero, value, 0));
  answer("array update noexist", UPDATE(fd, &zero, value, BPF_NOEXIST));
  answer("array update exist", UPDATE(fd, &zero, value, BPF_EXIST));
  answer("array update flag 3", UPDATE(fd, &zero, value, 3));
  answer("array update lock", UPDATE(fd, &zero, value, BPF_F_LOCK));
  answer("array update beyond", UPDATE(fd, &two, value, 0));
  answer("array update null key", UPDATE(fd, NULL, value, 0));
  answer("array update null value", UPDATE(fd, &zero, NULL, 0));
  answer("array lookup", LOOKUP(fd, &zero, value, 0));
  answer("array lookup beyond", LOOKUP(fd, &two, value, 0));
  answer("array lookup flag 1", LOOKUP(fd, &zero, value, 1));
  answer("array lookup lock", LOOKUP(fd, &zero, value, BPF_F_LOCK));
  answer("array delete", DELETE(fd, &zero));
  answer("array take", TAKE(fd, &zero, value, 0));
  answer("array next of null", NEXT(fd, NULL, &next));
  fprintf(out_file, "array first key %u\n", next);
  answer("array next of 0", NEXT(fd, &zero, &next));
  fprintf(out_file, "array second key %u\n", next);
  answer("array next of last", NEXT(fd, &next, &next));
  answer("array next of 2", NEXT(fd, &two, &next));
  union bpf_attr a = {.map_fd = (unsigned)fd};
  answer("freeze", sys_bpf(BPF_MAP_FREEZE, &a, sizeof(a)));
  answer("freeze twice", sys_bpf(BPF_MAP_FREEZE, &a, sizeof(a)));
  answer("frozen update", UPDATE(fd, &zero, value, 0));
  answer("frozen lookup", LOOKUP(fd, &zero, value, 0));
  close((int)fd);
  answer("lookup closed fd", LOOKUP(fd, &zero, value, 0));
  answer("lookup fd of stdin's kind", LOOKUP(1, &zero, value, 0));
  fd = create(2, 4, 8, 2, BPF_F_RDONLY);
  answer("rdonly update", UPDATE(fd, &zero, value, 0));
  answer("rdonly lookup", LOOKUP(fd, &zero, value, 0));
  a.map_fd = (unsigned)fd;
  answer("rdonly freeze", sys_bpf(BPF_MAP_FREEZE, &a, sizeof(a)));
  close((int)fd);
  fd = create(2, 4, 8, 2, BPF_F_WRONLY);
  answer("wronly update", UPDATE(fd, &zero, value, 0));
  answer("wronly lookup", LOOKUP(fd, &zero, value, 0));
  close((int)fd);
}

static void ask_hash(unsigned type, const char* name) {
  char q[64];
#define ASK(what, call) (snprintf(q, sizeof(q), "%s %s", name, what), answer(q, call))
  unsigned one = 1, two = 2, three = 3, next = 0;
  unsigned long long value[64] = {5};
  long fd = create(type, 4, 8, 2, 0);
  ASK("next of empty", NEXT(fd, NULL, &next));
  ASK("lookup missing", LOOKUP(fd, &one, value, 0));
  ASK("delete missing", DELETE(fd, &one));
  ASK("update exist missing", UPDATE(fd, &one, value, BPF_EXIST));
  ASK("update noexist", UPDATE(fd, &one, value, BPF_NOEXIST));
  ASK("update noexist again", UPDATE(fd, &one, value, BPF_NOEXIST));
  ASK("update exist", UPDATE(fd, &one, value, BPF_EXIST));
  ASK("update lock", UPDATE(fd, &one, value, BPF_F_LOCK));
  ASK("update flag 3", UPDATE(fd, &one, value, 3));
  ASK("update second", UPDATE(fd, &two, value, 0));
  ASK("update full", UPDATE(fd, &three, value, 0));
  ASK("update old when full", UPDATE(fd, &three, value, BPF_ANY));
  ASK("take flag 1", TAKE(fd, &two, value, 1));
  ASK("take missing", TAKE(fd, &(unsigned){77}, value, 0));
  ASK("delete", DELETE(fd, &two));
  ASK("take", TAKE(fd, &one, value, 0));
  close((int)fd);
}

static void ask_queue(unsigned type, const char* name) {
  char q[64];
  unsigned long long value = 1, got = 9;
  long fd = create(type, 0, 8, 2, 0);
  ASK("pop empty", TAKE(fd, NULL, &got, 0));
  ASK("peek empty", LOOKUP(fd, NULL, &got, 0));
  ASK("push", UPDATE(fd, NULL, &value, 0));
  value = 2;
  ASK("push noexist", UPDATE(fd, NULL, &value, BPF_NOEXIST));
  ASK("push with key", UPDATE(fd, &value, &value, 0));
  ASK("push second", UPDATE(fd, NULL, &value, 0));
  value = 3;
  ASK("push full", UPDATE(fd, NULL, &value, 0));
  ASK("push full replacing", UPDATE(fd, NULL, &value, BPF_EXIST));
  ASK("push flag 4", UPDATE(fd, NULL, &value, 4));
  ASK("peek", LOOKUP(fd, NULL, &got, 0));
  fprintf(out_file, "%s peeked %llu\n", name, got);
  ASK("pop", TAKE(fd, NULL, &got, 0));
  fprintf(out_file, "%s popped %llu\n", name, got);
  ASK("pop lock", TAKE(fd, NULL, &got, BPF_F_LOCK));
  ASK("delete", DELETE(fd, NULL));
  ASK("next", NEXT(fd, NULL, &got));
  close((int)fd);
#undef ASK
}

#define INSN(c, d, s, o, i) {.code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = i}
#define MOV0 INSN(0xb7, 0, 0, 0, 0)
#define EXIT INSN(0x95, 0, 0, 0, 0)
#define CALL(id) INSN(0x85, 0, 0, 0, id)

static char log_text[65536];

static long load(unsigned type, const struct bpf_insn* insns, unsigned count, unsigned flags,
                 unsigned attach, unsigned btf_id) {
  union bpf_attr a = {.prog_type = type,
                      .insn_cnt = count,
                      .prog_flags = flags,
                      .expected_attach_type = attach,
                      .attach_btf_id = btf_id};
  a.insns = (unsigned long)insns;
  a.license = (unsigned long)"GPL";
  return sys_bpf(BPF_PROG_LOAD, &a, sizeof(a));
}

static void ask_prog_load(void) {
  const struct bpf_insn zero[] = {MOV0, EXIT};
  const struct bpf_insn coarse[] = {CALL(BPF_FUNC_ktime_get_coarse_ns), EXIT};
  const struct bpf_insn unknown[] = {CALL(1000000), EXIT};
  const struct bpf_insn no_exit[] = {MOV0};
  answer_fd("load socket_filter", load(1, zero, 2, 0, 0, 0));
  answer_fd("load socket_filter coarse", load(1, coarse, 2, 0, 0, 0));
  answer_fd("load unknown helper", load(1, unknown, 2, 0, 0, 0));
  answer_fd("load without exit", load(1, no_exit, 1, 0, 0, 0));
  answer_fd("load kprobe", load(2, zero, 2, 0, 0, 0));
  answer_fd("load tracepoint", load(5, zero, 2, 0, 0, 0));
  answer_fd("load no insns", load(1, zero, 0, 0, 0, 0));
  answer_fd("load 1M+1 insns", load(1, zero, 1000001, 0, 0, 0));
  answer_fd("load null insns", load(1, NULL, 2, 0, 0, 0));
  answer_fd("load flag 31", load(1, zero, 2, 1u << 31, 0, 0));
  answer_fd("load type 0", load(0, zero, 2, 0, 0, 0));
  answer_fd("load type 100", load(100, zero, 2, 0, 0, 0));
  answer_fd("load syscall", load(31, zero, 2, BPF_F_SLEEPABLE, 0, 0));
  answer_fd("load syscall not sleepable", load(31, zero, 2, 0, 0, 0));
  answer_fd("load syscall with attach type", load(31, zero, 2, BPF_F_SLEEPABLE, 24, 0));
  answer_fd("load socket_filter sleepable", load(1, zero, 2, BPF_F_SLEEPABLE, 0, 0));
  answer_fd("load socket_filter with btf id", load(1, zero, 2, 0, 0, 1));
  answer_fd("load tracing without btf id", load(26, zero, 2, 0, 24, 0));
  answer_fd("load tracing btf id huge", load(26, zero, 2, 0, 24, 0x7fffffff));
  answer_fd("load tracing btf id beyond", load(26, zero, 2, 0, 24, 0xffff0));
  answer_fd("load struct_ops without btf id", load(27, zero, 2, 0, 0, 0));
  answer_fd("load struct_ops of int", load(27, zero, 2, 0, 0, 1));
  union bpf_attr a = {.prog_type = 1, .insn_cnt = 2};
  a.insns = (unsigned long)zero;
  answer_fd("load null license", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  a.license = (unsigned long)"GPL";
  memcpy(a.prog_name, "bad name", 9);
  answer_fd("load bad name", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  memset(a.prog_name, 0, sizeof(a.prog_name));
  a.attach_prog_fd = 1;
  answer_fd("load attach_prog_fd", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  a.attach_prog_fd = 0;
  a.log_level = 1;
  answer_fd("load log level without buffer", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  fprintf(out_file, "load log true size is known %d\n", a.log_true_size > 0);
  a.log_buf = (unsigned long)log_text;
  answer_fd("load log buffer without size", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  a.log_size = sizeof(log_text);
  answer_fd("load with log", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  fprintf(out_file, "load log is text %d true size agrees %d\n", log_text[0] != 0,
          a.log_true_size == strlen(log_text) + 1);
  a.log_size = 4;
  answer_fd("load with short log", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  fprintf(out_file, "load short log holds %zu\n", strlen(log_text));
  a.log_level = 0;
  answer_fd("load log buffer without level", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  a.log_level = 16;
  answer_fd("load log level 16", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  a.log_level = 1;
  a.log_size = sizeof(log_text);
  a.insns = (unsigned long)unknown;
  answer_fd("load unknown helper with log", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  const char* reason = strstr(log_text, "invalid func");
  fprintf(out_file, "%s", reason ? reason : log_text);
}

static void ask_map_value_probe(void) {
  long fd = create(2, 4, 32, 1, 0);
  const struct bpf_insn insns[] = {INSN(0x18, 1, 2, 0, (int)fd), INSN(0, 0, 0, 0, 1 << 30),
                                   INSN(0x7a, 1, 0, 0, 42), MOV0, EXIT};
  union bpf_attr a = {.prog_type = 5, .insn_cnt = 5};
  a.insns = (unsigned long)insns;
  a.license = (unsigned long)"GPL";
  a.log_level = 1;
  a.log_buf = (unsigned long)log_text;
  a.log_size = sizeof(log_text);
  log_text[0] = 0;
  answer_fd("load far map value", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  fprintf(out_file, "says so %d\n",
          strstr(log_text, "invalid access to map value pointer") != NULL);
  struct bpf_insn near[5];
  memcpy(near, insns, sizeof(near));
  near[1].imm = 16;
  a.insns = (unsigned long)near;
  answer_fd("load near map value", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  near[0].imm = -1;
  answer_fd("load map fd -1", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  near[0].imm = 1;
  answer_fd("load map fd of no map", sys_bpf(BPF_PROG_LOAD, &a, sizeof(a)));
  close((int)fd);
}

static long load_btf(const void* types, unsigned types_size, const char* strings,
                     unsigned strings_size) {
  static char data[4096];
  struct btf_header h = {.magic = 0xeb9f,
                         .version = 1,
                         .hdr_len = 24,
                         .type_len = types_size,
                         .str_off = types_size,
                         .str_len = strings_size};
  memcpy(data, &h, 24);
  memcpy(data + 24, types, types_size);
  memcpy(data + 24 + types_size, strings, strings_size);
  union bpf_attr a = {.btf = (unsigned long)data, .btf_size = 24 + types_size + strings_size};
  return sys_bpf(BPF_BTF_LOAD, &a, sizeof(a));
}
#define BTF(name, strings, ...)                                                       \
  do {                                                                                \
    static const unsigned types[] = {__VA_ARGS__};                                    \
    answer_fd("btf " name, load_btf(types, sizeof(types), strings, sizeof(strings))); \
  } while (0)
#define INFO(kind, kflag, vlen) ((unsigned)(kflag) << 31 | (kind) << 24 | (vlen))
#define INT4 1, INFO(1, 0, 0), 4, 1u << 24 | 32

static void ask_btf(void) {
  BTF("int", "\0int", INT4);
  BTF("func", "\0int\0x\0a", INT4, 0, INFO(13, 0, 1), 0, 7, 1, 5, INFO(12, 0, 0), 2);
  BTF("named proto", "\0int\0x\0a", INT4, 5, INFO(13, 0, 1), 0, 7, 1, 5, INFO(12, 0, 0), 2);
  BTF("global func", "\0int\0x\0a", INT4, 0, INFO(13, 0, 1), 0, 7, 1, 5, INFO(12, 0, 1), 2);
  BTF("datasec", "\0x\0.data", 0, INFO(1, 0, 0), 4, 1u << 24 | 32, 1, INFO(14, 0, 0), 1, 0, 3,
      INFO(15, 0, 1), 4, 2, 0, 4);
  BTF("question mark datasec", "\0x\0?.data", 0, INFO(1, 0, 0), 4, 1u << 24 | 32, 1, INFO(14, 0, 0),
      1, 0, 3, INFO(15, 0, 1), 4, 2, 0, 4);
  BTF("float", "\0float", 1, INFO(16, 0, 0), 4);
  BTF("decl tag", "\0tag", 0, INFO(1, 0, 0), 4, 1u << 24 | 32, 1, INFO(14, 0, 0), 1, 0, 1,
      INFO(17, 0, 0), 2, (unsigned)-1);
  BTF("type tag", "\0tag", 0, INFO(1, 0, 0), 4, 1u << 24 | 32, 1, INFO(18, 0, 0), 1, 0,
      INFO(2, 0, 0), 2);
  BTF("enum64", "\0enum64", 1, INFO(19, 0, 0), 8);
  BTF("int without name", "\0int", 0, INFO(1, 0, 0), 4, 1u << 24 | 32);
  BTF("int of 3 bytes", "\0int", 1, INFO(1, 0, 0), 3, 1u << 24 | 24);
  BTF("pointer to nothing there", "\0int", 0, INFO(2, 0, 0), 77);
  BTF("kind 31", "\0int", 0, INFO(31, 0, 0), 0);
  BTF("truncated int", "\0int", 1, INFO(1, 0, 0), 4);
  BTF("no types", "\0int", );
  union bpf_attr a = {.btf = (unsigned long)log_text, .btf_size = 3};
  answer_fd("btf of 3 bytes", sys_bpf(BPF_BTF_LOAD, &a, sizeof(a)));
  a.btf_size = 17u << 20;
  answer_fd("btf of 17M", sys_bpf(BPF_BTF_LOAD, &a, sizeof(a)));
  a.btf = 0;
  a.btf_size = 100;
  answer_fd("btf null", sys_bpf(BPF_BTF_LOAD, &a, sizeof(a)));
}

static void ask_info(void) {
  const struct bpf_insn zero[] = {MOV0, EXIT};
  long map = create(2, 4, 8, 3, 0), prog = load(1, zero, 2, 0, 0, 0);
  struct bpf_map_info mi = {0};
  union bpf_attr a = {
      .info = {.bpf_fd = (unsigned)map, .info_len = sizeof(mi), .info = (unsigned long)&mi}};
  answer("info map", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));
  fprintf(out_file, "info map %u %u %u %u %u len ok %d\n", mi.type, mi.key_size, mi.value_size,
          mi.max_entries, mi.map_flags, a.info.info_len == sizeof(mi));
  struct bpf_prog_info pi = {0};
  a.info.bpf_fd = (unsigned)prog;
  a.info.info_len = sizeof(pi);
  a.info.info = (unsigned long)&pi;
  answer("info prog", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));
  fprintf(out_file, "info prog type %u xlated %u gpl %u\n", pi.type, pi.xlated_prog_len,
          pi.gpl_compatible);
  char large[512] = {0};
  a.info.info = (unsigned long)large;
  a.info.info_len = sizeof(large);
  answer("info prog larger", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));
  large[300] = 1;
  a.info.info_len = sizeof(large);
  answer("info prog larger not zero", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));
  a.info.bpf_fd = 1;
  answer("info of no object", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));
  a.info.bpf_fd = (unsigned)-1;
  answer("info of fd -1", sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)));

  answer("lookup in a program", LOOKUP(prog, &(int){0}, large, 0));
  union bpf_attr t = {.test = {.prog_fd = (unsigned)map}};
  answer("test_run of a map", sys_bpf(BPF_PROG_TEST_RUN, &t, sizeof(t)));
  union bpf_attr b = {.prog_bind_map = {.prog_fd = (unsigned)prog, .map_fd = (unsigned)map}};
  answer("bind map", sys_bpf(BPF_PROG_BIND_MAP, &b, sizeof(b)));
  answer("bind map again", sys_bpf(BPF_PROG_BIND_MAP, &b, sizeof(b)));
  b.prog_bind_map.flags = 1;
  answer("bind map flag", sys_bpf(BPF_PROG_BIND_MAP, &b, sizeof(b)));
  b.prog_bind_map.flags = 0;
  b.prog_bind_map.prog_fd = (unsigned)map;
  answer("bind map to a map", sys_bpf(BPF_PROG_BIND_MAP, &b, sizeof(b)));
  union bpf_attr s = {
      .prog_assoc_struct_ops = {.map_fd = (unsigned)map, .prog_fd = (unsigned)prog}};
  answer("assoc with an array", sys_bpf(BPF_PROG_ASSOC_STRUCT_OPS, &s, sizeof(s)));
  s.prog_assoc_struct_ops.flags = 1;
  answer("assoc flag", sys_bpf(BPF_PROG_ASSOC_STRUCT_OPS, &s, sizeof(s)));
  union bpf_attr l = {.link_create = {.map_fd = (unsigned)map, .attach_type = BPF_STRUCT_OPS}};
  answer("link array as struct_ops", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  l.link_create.map_fd = (unsigned)-1;
  answer("link struct_ops fd -1", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  l.link_create.map_fd = (unsigned)prog;
  answer("link struct_ops of a program", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  l.link_create.attach_type = BPF_TRACE_FENTRY;
  answer("link socket_filter as fentry", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  l.link_create.attach_type = 10000;
  answer("link attach type 10000", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  long tp = load(5, zero, 2, 0, 0, 0);
  memset(&l, 0, sizeof(l));
  l.link_create.prog_fd = (unsigned)tp;
  l.link_create.target_fd = (unsigned)-1;
  l.link_create.attach_type = BPF_PERF_EVENT;
  answer("link perf event -1", sys_bpf(BPF_LINK_CREATE, &l, sizeof(l)));
  close((int)tp);
  close((int)prog);
  close((int)map);
}

static void ask_test_run(void) {
  const struct bpf_insn insns[] = {INSN(0x61, 0, 1, 0, 0), INSN(0x07, 0, 0, 0, 2),
                                   INSN(0x63, 1, 0, 4, 0), EXIT};
  long prog = load(31, insns, 4, BPF_F_SLEEPABLE, 0, 0);
  unsigned context[2] = {40, 0};
  union bpf_attr a = {.test = {.prog_fd = (unsigned)prog,
                               .ctx_size_in = sizeof(context),
                               .ctx_in = (unsigned long)context}};
  answer("test_run", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  fprintf(out_file, "test_run returned %u context %u %u\n", a.test.retval, context[0], context[1]);
  a.test.repeat = 2;
  answer("test_run repeat", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.repeat = 0;
  a.test.flags = 1;
  answer("test_run flags", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.flags = 0;
  a.test.ctx_out = (unsigned long)context;
  answer("test_run ctx_out without size", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.ctx_size_out = 8;
  answer("test_run ctx_out", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.ctx_out = a.test.ctx_size_out = 0;
  a.test.ctx_size_in = 65536;
  answer("test_run large context", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.ctx_size_in = 0;
  answer("test_run context without size", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  a.test.ctx_size_in = 8;
  a.test.ctx_in = 8;
  answer("test_run bad context", sys_bpf(BPF_PROG_TEST_RUN, &a, sizeof(a)));
  close((int)prog);
}

static void ask_others(void) {
  union bpf_attr a = {0};
  char large[4200] = {0};
  answer("command 1000", sys_bpf(1000, &a, sizeof(a)));
  answer("command -1", sys_bpf(-1, &a, sizeof(a)));
  answer("null attributes", sys_bpf(BPF_MAP_CREATE, NULL, sizeof(a)));
  answer("no attributes", sys_bpf(BPF_MAP_CREATE, NULL, 0));
  answer("large attributes", sys_bpf(BPF_MAP_CREATE, (union bpf_attr*)large, 4096));
  answer("too large attributes", sys_bpf(BPF_MAP_CREATE, (union bpf_attr*)large, 4097));
  large[4000] = 1;
  answer("large attributes not zero", sys_bpf(BPF_MAP_CREATE, (union bpf_attr*)large, 4096));
  answer("common attributes null", sys_bpf(BPF_PROG_LOAD | 1 << 16, NULL, 0));
  memset(&a, 0, sizeof(a));
  a.start_id = 0x7fffffff;
  answer("next prog id of INT_MAX", sys_bpf(BPF_PROG_GET_NEXT_ID, &a, sizeof(a)));
  a.start_id = 0x7ffffffe;
  answer("next prog id of the last", sys_bpf(BPF_PROG_GET_NEXT_ID, &a, sizeof(a)));
  answer("next btf id of the last", sys_bpf(BPF_BTF_GET_NEXT_ID, &a, sizeof(a)));
  a.btf_id = 0x7ffffffe;
  answer("btf by unknown id", sys_bpf(BPF_BTF_GET_FD_BY_ID, &a, sizeof(a)));
  answer("prog by unknown id", sys_bpf(BPF_PROG_GET_FD_BY_ID, &a, sizeof(a)));
  answer("map by unknown id", sys_bpf(BPF_MAP_GET_FD_BY_ID, &a, sizeof(a)));
  answer("link by unknown id", sys_bpf(BPF_LINK_GET_FD_BY_ID, &a, sizeof(a)));
  memset(&a, 0, sizeof(a));
  answer_fd("vmlinux btf is the first id",
            (a.btf_id = 1, sys_bpf(BPF_BTF_GET_FD_BY_ID, &a, sizeof(a))));
  memset(&a, 0, sizeof(a));
  a.token_create.bpffs_fd = (unsigned)-1;
  answer("token fd -1", sys_bpf(BPF_TOKEN_CREATE, &a, sizeof(a)));
  int dir = open("/", O_DIRECTORY | O_RDONLY);
  a.token_create.bpffs_fd = (unsigned)dir;
  answer("token of another file system", sys_bpf(BPF_TOKEN_CREATE, &a, sizeof(a)));
  a.token_create.flags = 1;
  answer("token flags", sys_bpf(BPF_TOKEN_CREATE, &a, sizeof(a)));
  close(dir);
  memset(&a, 0, sizeof(a));
  a.link_detach.link_fd = (unsigned)-1;
  answer("detach fd -1", sys_bpf(BPF_LINK_DETACH, &a, sizeof(a)));
  answer("update link fd -1", sys_bpf(BPF_LINK_UPDATE, &a, sizeof(a)));
  a.raw_tracepoint.prog_fd = (unsigned)-1;
  answer("raw tracepoint fd -1", sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &a, 16));
}

static void ask_life(void) {
  const struct bpf_insn zero[] = {MOV0, EXIT};
  long fd = load(1, zero, 2, 0, 0, 0);
  struct bpf_prog_info info = {0};
  union bpf_attr a = {
      .info = {.bpf_fd = (unsigned)fd, .info_len = sizeof(info), .info = (unsigned long)&info}};
  sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a));
  int copy = dup((int)fd);
  close((int)fd);
  union bpf_attr by_id = {.prog_id = info.id};
  long again = answer("program by id while a duplicate is open",
                      sys_bpf(BPF_PROG_GET_FD_BY_ID, &by_id, sizeof(by_id)));
  close(copy);
  union bpf_attr next = {.start_id = info.id - 1};
  answer("next id while it is open", sys_bpf(BPF_PROG_GET_NEXT_ID, &next, sizeof(next)));
  fprintf(out_file, "it is the next %d\n", next.next_id == info.id);
  if (again >= 0) close((int)again);
  /* A real kernel frees it a little later. */
  usleep(100000);
  answer("program by id after the last close",
         sys_bpf(BPF_PROG_GET_FD_BY_ID, &by_id, sizeof(by_id)));
}

void ask_bpf_questions(FILE* out) {
  out_file = out;
  ask_map_create();
  ask_array();
  ask_hash(1, "hash");
  ask_hash(5, "percpu_hash");
  ask_queue(22, "queue");
  ask_queue(23, "stack");
  ask_prog_load();
  ask_map_value_probe();
  ask_btf();
  ask_info();
  ask_test_run();
  ask_others();
  ask_life();
}

#ifdef BPF_QUESTIONS_MAIN
int main(void) {
  ask_bpf_questions(stdout);
  return 0;
}
#endif
