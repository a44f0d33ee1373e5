// SPDX-License-Identifier: GPL-2.0-only
// A caller of bpf(2) in C++ terms, for tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/isa.h"
#include "bpf/uapi.h"
#include "bpf/user_memory.h"
#include "support/toy_kernel.h"

namespace uscx::bpf::test {

class BpfUser {
 public:
  explicit BpfUser(ToyKernel& kernel) : kernel_(kernel) {}

  long call(u32 cmd, uapi::Attr& attr, u32 size = sizeof(uapi::Attr)) {
    return kernel_.bpf->syscall(cmd, reinterpret_cast<u64>(&attr), size, memory_);
  }

  long create(u32 type, u32 key, u32 value, u32 entries, u32 flags = 0) {
    uapi::Attr a{};
    a.map_create.map_type = type;
    a.map_create.key_size = key;
    a.map_create.value_size = value;
    a.map_create.max_entries = entries;
    a.map_create.map_flags = flags;
    return call(uapi::kMapCreate, a);
  }
  long create_with_btf(u32 type, u32 key, u32 value, u32 entries, u32 flags, long btf, u32 key_id,
                       u32 value_id) {
    uapi::Attr a{};
    a.map_create.map_type = type;
    a.map_create.key_size = key;
    a.map_create.value_size = value;
    a.map_create.max_entries = entries;
    a.map_create.map_flags = flags;
    a.map_create.btf_fd = static_cast<u32>(btf);
    a.map_create.btf_key_type_id = key_id;
    a.map_create.btf_value_type_id = value_id;
    return call(uapi::kMapCreate, a);
  }

  long elem(u32 cmd, long fd, const void* key, const void* value = nullptr, u64 flags = 0) {
    uapi::Attr a{};
    a.elem.map_fd = static_cast<u32>(fd);
    a.elem.key = reinterpret_cast<u64>(key);
    a.elem.value = reinterpret_cast<u64>(value);
    a.elem.flags = flags;
    return call(cmd, a);
  }
  long lookup(long fd, const void* key, void* value) {
    return elem(uapi::kMapLookupElem, fd, key, value);
  }
  long update(long fd, const void* key, const void* value, u64 flags = 0) {
    return elem(uapi::kMapUpdateElem, fd, key, value, flags);
  }
  long erase(long fd, const void* key) { return elem(uapi::kMapDeleteElem, fd, key); }
  long next(long fd, const void* key, void* next_key) {
    return elem(uapi::kMapGetNextKey, fd, key, next_key);
  }

  long load_btf(const std::vector<std::byte>& bytes) {
    uapi::Attr a{};
    a.btf_load.btf = reinterpret_cast<u64>(bytes.data());
    a.btf_load.btf_size = static_cast<u32>(bytes.size());
    return call(uapi::kBtfLoad, a);
  }

  /// Loads; `log` has what the kernel says. `attach` are expected_attach_type and attach_btf_id.
  long load(u32 type, const std::vector<Insn>& insns, u32 flags = 0, u32 attach_type = 0,
            u32 attach_btf_id = 0) {
    std::vector<char> text(1 << 16);
    uapi::Attr a{};
    a.prog_load.prog_type = type;
    a.prog_load.insn_cnt = static_cast<u32>(insns.size());
    a.prog_load.insns = reinterpret_cast<u64>(insns.data());
    a.prog_load.license = reinterpret_cast<u64>("GPL");
    a.prog_load.prog_flags = flags;
    a.prog_load.expected_attach_type = attach_type;
    a.prog_load.attach_btf_id = attach_btf_id;
    a.prog_load.log_level = 1;
    a.prog_load.log_buf = reinterpret_cast<u64>(text.data());
    a.prog_load.log_size = static_cast<u32>(text.size());
    if (!functions.empty()) {
      a.prog_load.prog_btf_fd = static_cast<u32>(prog_btf);
      a.prog_load.func_info = reinterpret_cast<u64>(functions.data());
      a.prog_load.func_info_cnt = static_cast<u32>(functions.size());
      a.prog_load.func_info_rec_size = sizeof(uapi::FuncInfo);
    }
    const long fd = call(uapi::kProgLoad, a);
    log = text.data();
    return fd;
  }
  /// A program run by test_run; fails the test where it does not load.
  long load_syscall(const std::vector<Insn>& insns) {
    const long fd = load(uapi::kProgSyscall, insns, uapi::kSleepable);
    EXPECT_GE(fd, 0) << log;
    return fd;
  }
  /// R0 of a SYSCALL program; `context` goes in and comes back.
  u32 run(long fd, std::vector<u64>* context = nullptr) {
    uapi::Attr a{};
    a.test.prog_fd = static_cast<u32>(fd);
    if (context) {
      a.test.ctx_in = reinterpret_cast<u64>(context->data());
      a.test.ctx_size_in = static_cast<u32>(context->size() * 8);
    }
    EXPECT_EQ(call(uapi::kProgTestRun, a), 0);
    return a.test.retval;
  }

  std::string log;
  /// Given to the next loads: BTF, and which function of it starts at which instruction.
  long prog_btf = 0;
  std::vector<uapi::FuncInfo> functions = {};

 private:
  ToyKernel& kernel_;
  OwnMemory memory_;
};

/// Writes instructions one after another.
class Code {
 public:
  Code& raw(u8 code, u8 dst, u8 src, s16 off, s32 imm) {
    insns_.push_back({code, dst, src, off, imm});
    return *this;
  }
  Code& mov(u8 dst, s32 imm) { return raw(0xb7, dst, 0, 0, imm); }
  Code& copy(u8 dst, u8 src) { return raw(0xbf, dst, src, 0, 0); }
  Code& add(u8 dst, s32 imm) { return raw(0x07, dst, 0, 0, imm); }
  Code& load64(u8 dst, u8 src, s16 off) { return raw(0x79, dst, src, off, 0); }
  Code& store64(u8 dst, s16 off, u8 src) { return raw(0x7b, dst, src, off, 0); }
  Code& store64_imm(u8 dst, s16 off, s32 imm) { return raw(0x7a, dst, 0, off, imm); }
  Code& store32_imm(u8 dst, s16 off, s32 imm) { return raw(0x62, dst, 0, off, imm); }
  Code& stack(u8 dst, s32 off) { return copy(dst, 10).add(dst, off); }
  Code& map(u8 dst, long fd) {
    return raw(0x18, dst, 1, 0, static_cast<s32>(fd)).raw(0, 0, 0, 0, 0);
  }
  Code& map_value(u8 dst, long fd, s32 off) {
    return raw(0x18, dst, 2, 0, static_cast<s32>(fd)).raw(0, 0, 0, 0, off);
  }
  /// The address of the subprogram `distance` instructions after the next.
  Code& function(u8 dst, s32 distance) {
    return raw(0x18, dst, 4, 0, distance + 1).raw(0, 0, 0, 0, 0);
  }
  Code& call(s32 helper) { return raw(0x85, 0, 0, 0, helper); }
  Code& kfunc(u32 btf_id) { return raw(0x85, 0, 2, 0, static_cast<s32>(btf_id)); }
  Code& jump_if_zero(u8 reg, s16 distance) { return raw(0x15, reg, 0, distance, 0); }
  Code& jump_if_not_zero(u8 reg, s16 distance) { return raw(0x55, reg, 0, distance, 0); }
  Code& exit() { return raw(0x95, 0, 0, 0, 0); }
  operator const std::vector<Insn>&() const { return insns_; }

 private:
  std::vector<Insn> insns_;
};

}  // namespace uscx::bpf::test
