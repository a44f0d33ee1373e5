// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs of arenas. Linux: the end of kernel/bpf/arena.c.
#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/arena.h"

namespace uscx::bpf {

namespace {

/// The map in R1; null, after a fault, where it is no map, and without one where it is no arena.
ArenaMap* arena_arg(KfuncCall& call) {
  Map* map = call.bpf.impl().map_at(call.args[0]);
  if (!map) call.fault("argument 1 is not a map");
  return map && map->spec().type == uapi::kMapArena ? static_cast<ArenaMap*>(map) : nullptr;
}

u64 alloc_pages(KfuncCall& call) {
  ArenaMap* arena = arena_arg(call);
  const u32 count = static_cast<u32>(call.args[2]);
  const s32 node = static_cast<s32>(call.args[3]);
  const u64 flags = call.args[4];
  if (!arena || flags || !count || node < -1) return 0;
  return arena->alloc_pages(call.args[1], count);
}

u64 free_pages(KfuncCall& call) {
  ArenaMap* arena = arena_arg(call);
  const u32 count = static_cast<u32>(call.args[2]);
  if (arena && count && call.args[1]) arena->free_pages(call.args[1], count);
  return 0;
}

u64 reserve_pages(KfuncCall& call) {
  ArenaMap* arena = arena_arg(call);
  if (!arena) return static_cast<u64>(-s64{EINVAL});
  const u32 count = static_cast<u32>(call.args[2]);
  return count ? static_cast<u64>(s64{arena->reserve_pages(call.args[1], count)}) : 0;
}

}  // namespace

void add_arena_kfuncs(Bpf& bpf) {
  auto add = [&](std::string_view name, u64 (*fn)(KfuncCall&)) {
    bpf.kfuncs().add({name, 0, fn, "arena_kfuncs"});
  };
  add("bpf_arena_alloc_pages", alloc_pages);
  add("bpf_arena_free_pages", free_pages);
  add("bpf_arena_reserve_pages", reserve_pages);
}

}  // namespace uscx::bpf
