// SPDX-License-Identifier: GPL-2.0-only
#include "cli/user_half.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "bpf/user_memory.h"
#include "sched/ext/ext.h"

namespace uscx::cli {

namespace {

/// `syscall` is one per process, and so is this: whose user half it serves.
UserHalf* g_user_half = nullptr;

/// The configuration a scheduler's object can ask for. Debian's cloud kernel, as far as sched_ext
/// programs read it.
std::string kernel_config(const sched::Kernel& kernel) {
  return fmt::format(
      "CONFIG_HZ={}\nCONFIG_NR_CPUS=8192\nCONFIG_X86_64=y\nCONFIG_PREEMPT_RCU=y\n"
      "CONFIG_PREEMPT_DYNAMIC=y\nCONFIG_SCHED_CLASS_EXT=y\n"
      "CONFIG_LOCALVERSION=\"\"\nCONFIG_CC_VERSION_TEXT=\"uscx\"\n",
      kernel.config().hz);
}

}  // namespace

UserHalf::UserHalf(sched::Kernel& kernel) : kernel_(kernel) {
  const auto& version = kernel.config().version;
  release_ = fmt::format("{}.{}.0", version.major, version.minor);
  const auto btf = kernel.bpf().vmlinux_bytes();
  files_.push_back({"/sys/kernel/btf/vmlinux",
                    std::string(reinterpret_cast<const char*>(btf.data()), btf.size())});
  files_.push_back(
      {"/sys/devices/system/cpu/possible", fmt::format("0-{}\n", kernel.nr_cpus() - 1)});
  files_.push_back({"/boot/config-" + release_, kernel_config(kernel)});
  files_.push_back(
      {"/sys/kernel/sched_ext/hotplug_seq", fmt::format("{}\n", kernel.ext().hotplug_seq())});
  activate();
}

UserHalf::~UserHalf() {
  if (g_user_half == this) g_user_half = nullptr;
}

void UserHalf::activate() {
  g_user_half = this;
}

const UserHalf::File* UserHalf::find(const char* path) const {
  for (const File& file : files_) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

bool UserHalf::has_file(const char* path) const {
  return find(path) != nullptr;
}

int UserHalf::open_file(const char* path) {
  const File* file = find(path);
  if (!file) return -1;
  const int fd = memfd_create(path, MFD_CLOEXEC);
  if (fd < 0) return -1;
  std::size_t done = 0;
  while (done < file->content.size()) {
    const ssize_t n = ::write(fd, file->content.data() + done, file->content.size() - done);
    if (n <= 0) {
      ::close(fd);
      return -1;
    }
    done += static_cast<std::size_t>(n);
  }
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

namespace {

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
  if (g_user_half) {
    if (number == SYS_bpf) {
      bpf::OwnMemory memory;
      return g_user_half->kernel().bpf().syscall(
          static_cast<u32>(args[0]), static_cast<u64>(args[1]), static_cast<u32>(args[2]), memory,
          static_cast<u64>(args[3]), static_cast<u32>(args[4]));
    }
    if (number == SYS_perf_event_open) {
      // libbpf attaches kprobes and tracepoints through it; there are none here yet.
      g_user_half->kernel().bpf().count_unserved("perf_event_open(2)");
      return -ENOSYS;
    }
  }
  return raw_syscall(number, args);
}

/// True where `path` is a file of the simulated kernel's, or of the real one that must not show.
bool hidden(const char* path) {
  static constexpr const char* kHidden[] = {"/proc/version_signature", "/proc/config.gz",
                                            "/sys/fs/bpf"};
  for (const char* name : kHidden) {
    if (std::strcmp(path, name) == 0) return true;
  }
  return false;
}

/// -2: not a path of ours.
int open_ours(const char* path) {
  if (!g_user_half || !path) return -2;
  if (g_user_half->has_file(path)) return g_user_half->open_file(path);
  if (hidden(path)) {
    errno = ENOENT;
    return -1;
  }
  return -2;
}

}  // namespace

/// mmap(2) of an arena's descriptor: the kernel has a say in where it goes. False, with errno,
/// where it refuses. (The kernel's own view of it is mapped without access, and is not meant.)
bool place_arena(void*& address, std::size_t length, int prot, int& flags, int fd, long offset) {
  if (!g_user_half || fd < 0 || !(prot & PROT_READ) || !(flags & MAP_SHARED)) return true;
  auto placed = g_user_half->kernel().bpf().map_user(fd, reinterpret_cast<u64>(address), length,
                                                     flags & MAP_FIXED);
  if (!placed) return true;
  if (offset || !*placed) {
    errno = offset ? EINVAL : placed->error().value;
    return false;
  }
  address = reinterpret_cast<void*>(**placed);
  flags |= MAP_FIXED;
  return true;
}

}  // namespace uscx::cli

// What libbpf and the C library call. `--wrap` in the link sends the file calls here.
extern "C" {

// Callers pass as many arguments as their call has; like the C library's, this reads six from where
// they would be and looks at no more than the call has. Not for ASan to judge.
__attribute__((no_sanitize("address"))) long syscall(long number, ...) noexcept {
  long args[6];
  va_list list;
  va_start(list, number);
  for (long& arg : args) arg = va_arg(list, long);
  va_end(list);
  const long result = uscx::cli::serve(number, args);
  if (result < 0 && result >= -4095) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

int __real_open(const char* path, int flags, ...);
int __real_open64(const char* path, int flags, ...);
int __real_faccessat(int dir, const char* path, int mode, int flags);
FILE* __real_fopen(const char* path, const char* mode);
FILE* __real_fopen64(const char* path, const char* mode);
int __real_uname(struct utsname* name);
void* __real_mmap(void* address, size_t length, int prot, int flags, int fd, off_t offset);
void* __real_mmap64(void* address, size_t length, int prot, int flags, int fd, off64_t offset);
gzFile __real_gzopen(const char* path, const char* mode);
gzFile __real_gzopen64(const char* path, const char* mode);

int __wrap_open(const char* path, int flags, ...) {
  const int ours = uscx::cli::open_ours(path);
  if (ours != -2) return ours;
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return __real_open(path, flags, mode);
}

int __wrap_open64(const char* path, int flags, ...) {
  const int ours = uscx::cli::open_ours(path);
  if (ours != -2) return ours;
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return __real_open64(path, flags, mode);
}

int __wrap_faccessat(int dir, const char* path, int mode, int flags) {
  if (uscx::cli::g_user_half && uscx::cli::g_user_half->has_file(path)) return 0;
  if (uscx::cli::g_user_half && uscx::cli::hidden(path)) {
    errno = ENOENT;
    return -1;
  }
  return __real_faccessat(dir, path, mode, flags);
}

FILE* __wrap_fopen(const char* path, const char* mode) {
  const int ours = uscx::cli::open_ours(path);
  if (ours == -1) return nullptr;
  return ours >= 0 ? fdopen(ours, mode) : __real_fopen(path, mode);
}

FILE* __wrap_fopen64(const char* path, const char* mode) {
  const int ours = uscx::cli::open_ours(path);
  if (ours == -1) return nullptr;
  return ours >= 0 ? fdopen(ours, mode) : __real_fopen64(path, mode);
}

int __wrap_uname(struct utsname* name) {
  const int result = __real_uname(name);
  if (result == 0 && uscx::cli::g_user_half) {
    const std::string& release = uscx::cli::g_user_half->release();
    std::memset(name->release, 0, sizeof(name->release));
    std::memcpy(name->release, release.c_str(), release.size());
    std::memset(name->version, 0, sizeof(name->version));
    std::memcpy(name->version, "#1 SMP", 7);
  }
  return result;
}

gzFile __wrap_gzopen(const char* path, const char* mode) {
  const int ours = uscx::cli::open_ours(path);
  if (ours == -1) return nullptr;
  return ours >= 0 ? gzdopen(ours, mode) : __real_gzopen(path, mode);
}

gzFile __wrap_gzopen64(const char* path, const char* mode) {
  const int ours = uscx::cli::open_ours(path);
  if (ours == -1) return nullptr;
  return ours >= 0 ? gzdopen(ours, mode) : __real_gzopen64(path, mode);
}

void* __wrap_mmap(void* address, size_t length, int prot, int flags, int fd, off_t offset) {
  if (!uscx::cli::place_arena(address, length, prot, flags, fd, offset)) return MAP_FAILED;
  return __real_mmap(address, length, prot, flags, fd, offset);
}

void* __wrap_mmap64(void* address, size_t length, int prot, int flags, int fd, off64_t offset) {
  if (!uscx::cli::place_arena(address, length, prot, flags, fd, offset)) return MAP_FAILED;
  return __real_mmap64(address, length, prot, flags, fd, offset);
}

}  // extern "C"
