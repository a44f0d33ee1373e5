// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/net/packet.h"

#include <algorithm>
#include <cstring>

namespace uscx::bpf::net {

namespace {

u64 address_of(const std::byte* memory) {
  return reinterpret_cast<u64>(memory);
}

}  // namespace

Packet::Packet(AddressWindow& window, u32 before, u32 linear, u32 after)
    : window_(window), room_(before + linear + after), start_(before), end_(before + linear) {
  head_ = static_cast<std::byte*>(window.allocate(room_, kProgramMemory));
}

Packet::~Packet() {
  window_.free(head_);
  for (const Fragment& f : fragments_) window_.free(f.memory);
}

u32 Packet::size() const {
  u32 size = linear();
  for (const Fragment& f : fragments_) size += f.size;
  return size;
}

std::byte* Packet::add_fragment(u32 size) {
  if (fragments_.size() == kMaxFragments) return nullptr;
  auto* memory = static_cast<std::byte*>(window_.allocate(kPageSize, kProgramMemory));
  fragments_.push_back({memory, 0, size});
  return memory;
}

/// Calls fn(memory, bytes) for each part of [off, off + size).
template <class Fn>
bool Packet::for_bytes(u32 off, u32 size, Fn&& fn) const {
  if (off > this->size() || size > this->size() - off) return false;
  auto part = [&](std::byte* memory, u32 bytes) {
    if (off >= bytes) {
      off -= bytes;
      return;
    }
    const u32 here = std::min(size, bytes - off);
    if (here) fn(memory + off, here);
    size -= here;
    off = 0;
  };
  part(data(), linear());
  for (const Fragment& f : fragments_) part(f.memory + f.off, f.size);
  return true;
}

bool Packet::load(u32 off, void* to, u32 size) const {
  auto* out = static_cast<std::byte*>(to);
  return for_bytes(off, size, [&](const std::byte* memory, u32 bytes) {
    std::memcpy(out, memory, bytes);
    out += bytes;
  });
}

bool Packet::store(u32 off, const void* from, u32 size) {
  auto* in = static_cast<const std::byte*>(from);
  return for_bytes(off, size, [&](std::byte* memory, u32 bytes) {
    std::memcpy(memory, in, bytes);
    in += bytes;
  });
}

std::byte* Packet::contiguous(u32 off, u32 size) const {
  std::byte* found = nullptr;
  for_bytes(off, size, [&](std::byte* memory, u32 bytes) {
    if (bytes == size) found = memory;
  });
  return found;
}

bool Packet::pull(u32 size) {
  if (size <= linear()) return true;
  if (size > this->size()) return false;
  u32 missing = size - linear();
  if (missing > tailroom()) expand(0, missing);
  while (missing) {
    Fragment& f = fragments_.front();
    const u32 bytes = std::min(missing, f.size);
    std::memcpy(head_ + end_, f.memory + f.off, bytes);
    end_ += bytes;
    missing -= bytes;
    f.off += bytes;
    f.size -= bytes;
    if (f.size) continue;
    window_.free(f.memory);
    fragments_.erase(fragments_.begin());
  }
  return true;
}

void Packet::trim(u32 size) {
  u32 left = size - std::min(size, linear());
  end_ = start_ + std::min(size, linear());
  for (Fragment& f : fragments_) {
    f.size = std::min(f.size, left);
    left -= f.size;
  }
  while (!fragments_.empty() && !fragments_.back().size) {
    window_.free(fragments_.back().memory);
    fragments_.pop_back();
  }
}

void Packet::expand(u32 before, u32 after) {
  const u32 front = std::max(before, headroom()), back = std::max(after, tailroom());
  const u32 bytes = linear(), room = front + bytes + back;
  auto* head = static_cast<std::byte*>(window_.allocate(room, kProgramMemory));
  std::memcpy(head + front, data(), bytes);
  window_.free(head_);
  head_ = head;
  room_ = room;
  start_ = front;
  end_ = front + bytes;
}

SkbContext* skb_context(AddressWindow& window, u64 address) {
  const Extent* extent = window.find(address);
  if (!extent || extent->start != address) return nullptr;
  if (extent->type == &kKernelSkb) {
    return *reinterpret_cast<SkbContext**>(address + extent->size - sizeof(SkbContext*));
  }
  return extent->type == &kSkbContext ? reinterpret_cast<SkbContext*>(address) : nullptr;
}

XdpContext* xdp_context(AddressWindow& window, u64 address) {
  const Extent* extent = window.find(address);
  if (!extent || extent->start != address || extent->type != &kXdpContext) return nullptr;
  return reinterpret_cast<XdpContext*>(address);
}

void update_context(SkbContext& context) {
  const Packet& packet = *context.packet;
  context.skb.len = packet.size();
  context.bounds.data = address_of(packet.data());
  context.bounds.data_end = context.bounds.data + packet.linear();
  context.bounds.data_meta = context.bounds.data;
}

void update_context(XdpContext& context) {
  const Packet& packet = *context.packet;
  const u64 metadata = context.bounds.data - context.bounds.data_meta;
  context.bounds.data = address_of(packet.data());
  context.bounds.data_end = context.bounds.data + packet.linear();
  context.bounds.data_meta = context.bounds.data - metadata;
}

}  // namespace uscx::bpf::net
