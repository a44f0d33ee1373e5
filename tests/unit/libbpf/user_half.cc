// SPDX-License-Identifier: GPL-2.0-only
// This executable's syscall(2) and file opens, as far as libbpf goes to the kernel with them.
#include "user_half.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "bpf/user_memory.h"

namespace uscx::bpf::test {

namespace {

ToyKernel* the_kernel = nullptr;

long raw_syscall(long number, const long (&args)[6]) {
  long result;
  register long r10 __asm__("r10") = args[3];
  register long r8 __asm__("r8") = args[4];
  register long r9 __asm__("r9") = args[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8),
                     "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

long serve(long number, const long (&args)[6]) {
  if (!the_kernel || number != SYS_bpf) return raw_syscall(number, args);
  OwnMemory memory;
  return the_kernel->bpf->syscall(static_cast<u32>(args[0]), static_cast<u64>(args[1]),
                                  static_cast<u32>(args[2]), memory, static_cast<u64>(args[3]),
                                  static_cast<u32>(args[4]));
}

bool is_btf(const char* path) {
  return the_kernel && std::strcmp(path, "/sys/kernel/btf/vmlinux") == 0;
}

int open_btf() {
  const auto bytes = the_kernel->bpf->vmlinux_bytes();
  const int fd = memfd_create("vmlinux", MFD_CLOEXEC);
  EXPECT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

}  // namespace

UserHalf::UserHalf(ToyKernel& kernel) {
  EXPECT_EQ(the_kernel, nullptr);
  the_kernel = &kernel;
}
UserHalf::~UserHalf() {
  the_kernel = nullptr;
}

}  // namespace uscx::bpf::test

using uscx::bpf::test::is_btf;
using uscx::bpf::test::open_btf;

extern "C" {

long syscall(long number, ...) noexcept {
  long args[6];
  va_list list;
  va_start(list, number);
  for (long& arg : args) arg = va_arg(list, long);
  va_end(list);
  const long result = uscx::bpf::test::serve(number, args);
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

int __real_open(const char* path, int flags, ...);
int __real_open64(const char* path, int flags, ...);
int __real_faccessat(int dir, const char* path, int mode, int flags);
FILE* __real_fopen(const char* path, const char* mode);
FILE* __real_fopen64(const char* path, const char* mode);
int __real_uname(struct utsname* name);

int __wrap_open(const char* path, int flags, int mode) {
  return is_btf(path) ? open_btf() : __real_open(path, flags, mode);
}
int __wrap_open64(const char* path, int flags, int mode) {
  return is_btf(path) ? open_btf() : __real_open64(path, flags, mode);
}
int __wrap_faccessat(int dir, const char* path, int mode, int flags) {
  return is_btf(path) ? 0 : __real_faccessat(dir, path, mode, flags);
}
FILE* __wrap_fopen(const char* path, const char* mode) {
  return is_btf(path) ? fdopen(open_btf(), mode) : __real_fopen(path, mode);
}
FILE* __wrap_fopen64(const char* path, const char* mode) {
  return is_btf(path) ? fdopen(open_btf(), mode) : __real_fopen64(path, mode);
}
int __wrap_uname(struct utsname* name) {
  const int result = __real_uname(name);
  if (uscx::bpf::test::the_kernel) {
    std::strcpy(name->release,
                (uscx::bpf::test::the_kernel->bpf->version().to_string() + ".0").c_str());
  }
  return result;
}
}
