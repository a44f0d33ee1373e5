// SPDX-License-Identifier: GPL-2.0-only
// Helpers and kfuncs on dynptrs to local memory, ring buffer records and packets. Linux:
// kernel/bpf/helpers.c.
#include "bpf/dynptr.h"

#include <cstring>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/net/packet_dynptr.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;

constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

Dynptr* dynptr_arg(KfuncCall& call, u32 i, bool write = false) {
  return call.memory<Dynptr>(i, write);
}

u64 from_mem(HelperCall& call) {
  auto* pointer = dynptr_arg(call, 3, true);
  if (!pointer) return 0;
  *pointer = {};
  if (call.args[1] > Dynptr::kMaxSize) return error_value(E2BIG);
  if (call.args[2]) return error_value(EINVAL);
  const auto size = static_cast<u32>(call.args[1]);
  if (!call.memory(0, size, true)) return 0;
  *pointer = Dynptr::to(call.args[0], Dynptr::kLocal, size);
  return 0;
}

/// `len` bytes at `off` of `pointer` as memory; null with the errno where they are not there, with
/// 0 where they are a packet's and in pieces.
void* bytes_of(KfuncCall& call, const Dynptr& pointer, u64 off, u64 len, int& err) {
  err = pointer.check(off, len);
  if (err) return nullptr;
  if (pointer.of_packet()) return net::packet_bytes(call, pointer, off, len);
  const u64 address = pointer.at(off);
  const Extent* extent = call.bpf.window().find(address);
  if (len && !(extent && extent->contains(address, len))) {
    call.fault("the dynptr's memory is gone");
    return nullptr;
  }
  return reinterpret_cast<void*>(address);
}

/// 0 or the errno. Linux: __bpf_dynptr_read.
int read_bytes(KfuncCall& call, const Dynptr& from, u64 off, void* to, u64 len) {
  if (int err = from.check(off, len)) return err;
  if (from.of_packet()) return net::read_packet(call, from, off, to, len);
  int err;
  const void* bytes = bytes_of(call, from, off, len, err);
  if (bytes) std::memmove(to, bytes, len);
  return err;
}

/// Linux: __bpf_dynptr_write.
int write_bytes(KfuncCall& call, const Dynptr& to, u64 off, const void* from, u64 len, u64 flags) {
  if (!to.data || to.read_only()) return EINVAL;
  if (int err = to.check(off, len)) return err;
  if (to.of_packet()) return net::write_packet(call, to, off, from, len, flags);
  int err;
  void* bytes = bytes_of(call, to, off, len, err);
  if (!bytes) return err;
  if (flags) return EINVAL;
  std::memmove(bytes, from, len);
  return 0;
}

u64 read(HelperCall& call) {
  auto* from = dynptr_arg(call, 2);
  void* to = from ? call.memory(0, static_cast<u32>(call.args[1]), true) : nullptr;
  if (!to) return 0;
  if (!from->data || call.args[4]) return error_value(EINVAL);
  return error_value(read_bytes(call, *from, call.args[3], to, call.args[1]));
}

u64 write(HelperCall& call) {
  auto* to = dynptr_arg(call, 0);
  const void* from = to ? call.memory(2, static_cast<u32>(call.args[3]), false) : nullptr;
  if (!from) return 0;
  return error_value(write_bytes(call, *to, call.args[1], from, call.args[3], call.args[4]));
}

/// `len` bytes of the dynptr in R1 at the offset R2, as memory; 0 where it may not be had. What is
/// in pieces is copied to `buffer`, where there is one.
u64 slice_of(KfuncCall& call, const Dynptr& pointer, u64 len, bool writable, u64 buffer) {
  if (!pointer.data || (writable && pointer.read_only())) return 0;
  int err;
  void* bytes = bytes_of(call, pointer, call.args[1], len, err);
  if (bytes || err || !buffer) return reinterpret_cast<u64>(bytes);
  void* copy = call.memory(2, static_cast<u32>(len), true);
  if (!copy || net::read_packet(call, pointer, call.args[1], copy, len)) return 0;
  return buffer;
}
u64 data(HelperCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  // Of packets a slice is to be had. Linux: bpf_dynptr_data.
  if (!pointer || pointer->of_packet()) return 0;
  return slice_of(call, *pointer, call.args[2], true, 0);
}
u64 slice(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  return pointer ? slice_of(call, *pointer, call.args[3], false, call.args[2]) : 0;
}
u64 slice_rdwr(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  return pointer ? slice_of(call, *pointer, call.args[3], true, call.args[2]) : 0;
}

u64 adjust(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0, true);
  const u64 start = call.args[1], end = call.args[2];
  if (!pointer) return 0;
  if (!pointer->data || start > end) return error_value(EINVAL);
  if (start > pointer->size() || end > pointer->size()) return error_value(ERANGE);
  pointer->offset += static_cast<u32>(start);
  pointer->set_size(static_cast<u32>(end - start));
  return 0;
}

u64 is_null(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  return pointer && !pointer->data;
}
u64 is_rdonly(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  return pointer && pointer->data && pointer->read_only();
}
u64 size(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  if (!pointer) return 0;
  return pointer->data ? pointer->size() : error_value(EINVAL);
}

u64 clone(KfuncCall& call) {
  auto* from = dynptr_arg(call, 0);
  auto* to = from ? dynptr_arg(call, 1, true) : nullptr;
  if (!to) return 0;
  *to = from->data ? *from : Dynptr{};
  return from->data ? 0 : error_value(EINVAL);
}

/// By reading and writing, where not both can be had as memory. Linux does so in pieces.
u64 copy_through(KfuncCall& call, const Dynptr& to, const Dynptr& from) {
  const u64 bytes = call.args[4];
  if (to.check(call.args[1], bytes) || from.check(call.args[3], bytes)) return error_value(E2BIG);
  std::vector<std::byte> between(bytes);
  if (!from.data) return error_value(EINVAL);
  int err = read_bytes(call, from, call.args[3], between.data(), bytes);
  if (!err) err = write_bytes(call, to, call.args[1], between.data(), bytes, 0);
  return error_value(err);
}

/// dst, its offset, src, its offset, size. Linux falls back to reading and writing where a slice
/// cannot be had, and answers what that does.
u64 copy(KfuncCall& call) {
  auto* to = dynptr_arg(call, 0);
  auto* from = to ? dynptr_arg(call, 2) : nullptr;
  if (!from) return 0;
  const u64 bytes = call.args[4];
  if (to->of_packet() || from->of_packet()) return copy_through(call, *to, *from);
  int err = 0;
  const void* source = from->data ? bytes_of(call, *from, call.args[3], bytes, err) : nullptr;
  const bool writable = to->data && !to->read_only();
  void* target = writable ? bytes_of(call, *to, call.args[1], bytes, err) : nullptr;
  if (call.faulted()) return 0;
  if (source && target) {
    std::memmove(target, source, bytes);
    return 0;
  }
  if (source) return error_value(writable ? to->check(call.args[1], bytes) : EINVAL);
  if (target) return error_value(from->data ? from->check(call.args[3], bytes) : EINVAL);
  return error_value(E2BIG);
}

u64 set(KfuncCall& call) {
  auto* pointer = dynptr_arg(call, 0);
  if (!pointer) return 0;
  if (pointer->read_only()) return error_value(EINVAL);
  int err = pointer->check(call.args[1], call.args[2]);
  if (err) return error_value(err);
  if (!pointer->data) return error_value(EINVAL);
  if (pointer->of_packet()) {
    const std::vector<u8> fill(call.args[2], static_cast<u8>(call.args[3]));
    return error_value(
        net::write_packet(call, *pointer, call.args[1], fill.data(), fill.size(), 0));
  }
  void* bytes = bytes_of(call, *pointer, call.args[1], call.args[2], err);
  if (!bytes) return 0;
  std::memset(bytes, static_cast<u8>(call.args[3]), call.args[2]);
  return 0;
}

}  // namespace

void add_dynptr_helpers(HelperTable& table) {
  table.add(
      {197, "bpf_dynptr_from_mem", from_mem, {A::kMem, A::kSizeOrZero, A::kAnything, A::kLong}});
  table.add({201,
             "bpf_dynptr_read",
             read,
             {A::kMemUninit, A::kSizeOrZero, A::kLong, A::kAnything, A::kAnything}});
  table.add({202,
             "bpf_dynptr_write",
             write,
             {A::kLong, A::kAnything, A::kMem, A::kSizeOrZero, A::kAnything}});
  table.add({203, "bpf_dynptr_data", data, {A::kLong, A::kAnything, A::kAnything}});
}

void add_dynptr_kfuncs(Bpf& bpf) {
  auto add = [&](std::string_view name, u32 flags, KfuncFn fn) {
    bpf.kfuncs().add({name, flags, std::move(fn), "common_btf_ids"});
  };
  add("bpf_dynptr_slice", kKfRetNull, slice);
  add("bpf_dynptr_slice_rdwr", kKfRetNull, slice_rdwr);
  add("bpf_dynptr_adjust", 0, adjust);
  add("bpf_dynptr_is_null", 0, is_null);
  add("bpf_dynptr_is_rdonly", 0, is_rdonly);
  add("bpf_dynptr_size", 0, size);
  add("bpf_dynptr_clone", 0, clone);
  add("bpf_dynptr_copy", 0, copy);
  add("bpf_dynptr_memset", 0, set);
  bpf.kfuncs().add({"bpf_dynptr_from_skb", 0, net::dynptr_from_skb, "bpf_kfunc_set_skb"});
  bpf.kfuncs().add({"bpf_dynptr_from_xdp", 0, net::dynptr_from_xdp, "bpf_kfunc_set_xdp"});
}

}  // namespace uscx::bpf
