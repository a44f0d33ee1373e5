// SPDX-License-Identifier: GPL-2.0-only
// Arbitrary attributes into bpf(2): any answer will do, but an answer it must be.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/hash.h"
#include "bpf/uapi.h"
#include "bpf/user_memory.h"
#include "support/toy_kernel.h"

using namespace uscx;
using namespace uscx::bpf;

namespace {

/// Takes bytes off the input; zeros when it is used up.
class Input {
 public:
  Input(const uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  template <class T>
  T take() {
    T value{};
    const std::size_t n = left_ < sizeof(T) ? left_ : sizeof(T);
    std::memcpy(&value, data_, n);
    data_ += n;
    left_ -= n;
    return value;
  }

 private:
  const uint8_t* data_;
  std::size_t left_;
};

/// One process's dealings: calls whose words are bytes of the input, some of them replaced by what
/// gets further than noise: open descriptors, addresses of memory, small numbers.
class Session {
 public:
  void run(Input input) {
    for (int i = 0; i < 64 && !input.empty(); ++i) one_call(input);
    for (const int fd : fds_) ::close(fd);
    kernel_.bpf->reap_closed_fds();
  }

 private:
  void one_call(Input& input) {
    uapi::Attr attr{};
    const u32 cmd = input.take<u8>() % 44;
    const u32 words = input.take<u8>() % 43;
    for (u32 i = 0; i < words; ++i) {
      const u32 word = one_word(input);
      std::memcpy(attr.bytes + i * 4, &word, 4);
    }
    if (cmd == uapi::kMapCreate) attr.map_create.max_entries %= 1u << 16;
    // Pointers, at the places where commands have them.
    for (const u32 offset : {8u, 16u, 24u, 32u, 64u, 80u, 120u}) {
      const u8 choice = input.take<u8>();
      if (choice % 4 == 0) continue;
      const u64 address = reinterpret_cast<u64>(memory_) + choice * 16u;
      std::memcpy(attr.bytes + offset, &address, 8);
    }
    for (u32 i = 0; i < 4; ++i) memory_[input.take<u16>() % sizeof(memory_)] ^= input.take<u8>();
    const u32 size = input.take<u8>() % 8 ? sizeof(attr) : input.take<u16>();
    u8 padded[1 << 16] = {};
    std::memcpy(padded, &attr, sizeof(attr));
    const long result = kernel_.bpf->syscall(cmd, reinterpret_cast<u64>(padded), size, user_);
    if (result < -4095) std::abort();
    const bool gives_fd = cmd == uapi::kMapCreate || cmd == uapi::kProgLoad ||
                          cmd == uapi::kBtfLoad || cmd == uapi::kLinkCreate ||
                          (cmd >= uapi::kProgGetFdById && cmd <= uapi::kMapGetFdById) ||
                          cmd == uapi::kBtfGetFdById || cmd == uapi::kLinkGetFdById;
    if (result > 2 && gives_fd) fds_.push_back(static_cast<int>(result));
  }

  u32 one_word(Input& input) {
    const u8 choice = input.take<u8>();
    if (choice < 100) return 0;
    if (choice < 140 && !fds_.empty()) return static_cast<u32>(fds_[choice % fds_.size()]);
    if (choice < 220) return choice % 33;
    return input.take<u32>();
  }

  bpf::test::ToyKernel kernel_;
  OwnMemory user_;
  std::vector<int> fds_;
  u8 memory_[8192] = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  Session().run(Input(data, size));
  return 0;
}

#ifdef USCX_FUZZ_MAIN
int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  Random random{0x2545f4914f6cdd1dULL};
  for (int i = 0; i < rounds; ++i) {
    std::vector<uint8_t> bytes(4096);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random.next());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("bpf_syscall_fuzz: %d sessions\n", rounds);
  return 0;
}
#endif
