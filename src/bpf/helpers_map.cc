// SPDX-License-Identifier: GPL-2.0-only
// Helpers on maps and their values.
#include <fmt/format.h>

#include <cstring>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/cgroup_storage.h"
#include "bpf/maps/local_storage.h"
#include "bpf/net/contexts.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;

/// The map in R1; null after a fault.
Map* any_map_arg(HelperCall& call) {
  Map* map = call.bpf.impl().map_at(call.args[0]);
  if (!map) call.fault("argument 1 is not a map");
  return map;
}

/// The same, of a type that more can be done with than to look for what it does not have.
Map* map_arg(HelperCall& call) {
  Map* map = any_map_arg(call);
  if (map && !map->served()) {
    call.fault(fmt::format("{} maps are not served", map_type_name(map->spec().type)));
    return nullptr;
  }
  return map;
}

const std::byte* bytes_arg(HelperCall& call, u32 i, u32 size) {
  return static_cast<const std::byte*>(call.memory(i, size, false));
}

u64 answer(const Result<void>& result) {
  return result ? 0 : static_cast<u64>(-static_cast<s64>(result.error().value));
}

u64 map_lookup_elem(HelperCall& call) {
  Map* map = any_map_arg(call);  // nothing gets into one that is not served
  const std::byte* key = map ? bytes_arg(call, 1, map->spec().key_size) : nullptr;
  return key ? map->lookup(key) : 0;
}

u64 map_lookup_percpu_elem(HelperCall& call) {
  Map* map = map_arg(call);
  const std::byte* key = map ? bytes_arg(call, 1, map->spec().key_size) : nullptr;
  return key ? map->lookup_percpu(key, static_cast<u32>(call.args[2])) : 0;
}

u64 map_update_elem(HelperCall& call) {
  Map* map = map_arg(call);
  const std::byte* key = map ? bytes_arg(call, 1, map->spec().key_size) : nullptr;
  const std::byte* value = key ? bytes_arg(call, 2, map->spec().value_size) : nullptr;
  return value ? answer(map->update(key, value, call.args[3])) : 0;
}

u64 map_delete_elem(HelperCall& call) {
  Map* map = map_arg(call);
  const std::byte* key = map ? bytes_arg(call, 1, map->spec().key_size) : nullptr;
  return key ? answer(map->erase(key)) : 0;
}

u64 map_push_elem(HelperCall& call) {
  Map* map = map_arg(call);
  const std::byte* value = map ? bytes_arg(call, 1, map->spec().value_size) : nullptr;
  return value ? answer(map->push(value, call.args[2])) : 0;
}

u64 map_pop_elem(HelperCall& call) {
  Map* map = map_arg(call);
  void* value = map ? call.memory(1, map->spec().value_size, true) : nullptr;
  return value ? answer(map->pop(static_cast<std::byte*>(value))) : 0;
}

u64 map_peek_elem(HelperCall& call) {
  Map* map = map_arg(call);
  void* value = map ? call.memory(1, map->spec().value_size, true) : nullptr;
  return value ? answer(map->peek(static_cast<std::byte*>(value))) : 0;
}

u64 for_each_map_elem(HelperCall& call) {
  Map* map = map_arg(call);
  if (!map) return 0;
  if (call.args[3]) return static_cast<u64>(-s64{EINVAL});
  const u64 address = map->address();
  auto calls = map->for_each([&](u64 key, u64 value) {
    const u64 stop = call.call_back(call.args[1], {address, key, value, call.args[2], 0});
    return stop == 0 && !call.stopped();
  });
  return calls ? *calls : static_cast<u64>(-s64{calls.error().value});
}

u64 loop(HelperCall& call) {
  constexpr u32 kMaxLoops = 8 * 1024 * 1024;  // BPF_MAX_LOOPS
  const auto count = static_cast<u32>(call.args[0]);
  if (call.args[3]) return static_cast<u64>(-s64{EINVAL});
  if (count > kMaxLoops) return static_cast<u64>(-s64{E2BIG});
  for (u32 i = 0; i < count; ++i) {
    const u64 stop = call.call_back(call.args[1], {i, call.args[2], 0, 0, 0});
    if (stop || call.stopped()) return i + 1;
  }
  return count;
}

/// The local storage map of the first argument, of `type`.
LocalStorageMap* storage_arg(HelperCall& call, u32 type) {
  auto* map = dynamic_cast<LocalStorageMap*>(map_arg(call));
  if (map && map->spec().type == type) return map;
  if (!call.faulted()) {
    call.fault(fmt::format("argument 1 is not a {} map", map_type_name(type)));
  }
  return nullptr;
}

/// Is the second argument a live object that may own a value in such a map?
bool is_owner(HelperCall& call, u32 type) {
  Host& host = call.bpf.host();
  if (type == uapi::kMapSkStorage) {
    const Extent* extent = call.bpf.window().find(call.args[1]);
    return extent && extent->start == call.args[1] && extent->type == &net::kSocket;
  }
  return type == uapi::kMapTaskStorage ? host.is_task(call.args[1]) : host.is_cgroup(call.args[1]);
}

template <u32 type>
u64 storage_get(HelperCall& call) {
  constexpr u64 kCreate = 1;  // BPF_LOCAL_STORAGE_GET_F_CREATE
  LocalStorageMap* map = storage_arg(call, type);
  if (!map || (call.args[3] & ~kCreate) || !is_owner(call, type)) return 0;
  const u64 owner = call.args[1];
  if (u64 value = map->find(owner)) return value;
  if (!(call.args[3] & kCreate)) return 0;
  const std::byte* initial = nullptr;
  if (call.args[2]) {
    initial = bytes_arg(call, 2, map->spec().value_size);
    if (!initial) return 0;
  }
  return map->get_or_create(owner, initial);
}

template <u32 type>
u64 storage_delete(HelperCall& call) {
  LocalStorageMap* map = storage_arg(call, type);
  if (!map) return 0;
  if (!is_owner(call, type)) return static_cast<u64>(-s64{EINVAL});
  return answer(map->erase_of(call.args[1]));
}

u64 get_local_storage(HelperCall& call) {
  auto* map = dynamic_cast<CgroupStorageMap*>(map_arg(call));
  if (map) return map->storage();
  if (!call.faulted()) call.fault("argument 1 is not a CGROUP_STORAGE map");
  return 0;
}

u64 spin_lock(HelperCall& call) {
  if (!call.memory(0, 4, true)) return 0;
  if (const char* why =
          call.bpf.impl().spin_locks.lock(call.args[0], call.bpf.host().held_locks())) {
    call.fault(why);
  }
  return 0;
}

u64 spin_unlock(HelperCall& call) {
  if (!call.memory(0, 4, true)) return 0;
  const char* why = call.bpf.impl().spin_locks.unlock(call.args[0], call.bpf.host().held_locks());
  if (why) call.fault(why);
  return 0;
}

u64 kptr_xchg(HelperCall& call) {
  auto* slot = call.memory<u64>(0, true);
  if (!slot) return 0;
  const u64 old = *slot;
  *slot = call.args[1];
  return old;
}

/// `cpu`'s part of the per-CPU variable or object in R1; 0 where it is neither.
u64 percpu_address(HelperCall& call, u32 cpu) {
  const u64 object = call.bpf.impl().objects.on_cpu(call.args[0], cpu);
  return object ? object : call.bpf.impl().ksyms.resolve(call.args[0], cpu);
}

u64 per_cpu_ptr(HelperCall& call) {
  const auto cpu = static_cast<u32>(call.args[1]);
  if (cpu >= call.bpf.host().nr_cpu_ids()) return 0;
  const u64 address = percpu_address(call, cpu);
  if (!address) call.fault("argument 1 is not a per-CPU variable");
  return address;
}

u64 this_cpu_ptr(HelperCall& call) {
  const u64 address = percpu_address(call, call.bpf.host().this_cpu());
  if (!address) call.fault("argument 1 is not a per-CPU variable");
  return address;
}

}  // namespace

void add_map_helpers(HelperTable& table) {
  table.add({1, "bpf_map_lookup_elem", map_lookup_elem, {A::kConstMapPtr, A::kMapKey}});
  table.add({2,
             "bpf_map_update_elem",
             map_update_elem,
             {A::kConstMapPtr, A::kMapKey, A::kMapValue, A::kAnything}});
  table.add({3, "bpf_map_delete_elem", map_delete_elem, {A::kConstMapPtr, A::kMapKey}});
  table.add(
      {87, "bpf_map_push_elem", map_push_elem, {A::kConstMapPtr, A::kMapValue, A::kAnything}});
  table.add({88, "bpf_map_pop_elem", map_pop_elem, {A::kConstMapPtr, A::kMapValue}});
  table.add({89, "bpf_map_peek_elem", map_peek_elem, {A::kConstMapPtr, A::kMapValue}});
  table.add({81, "bpf_get_local_storage", get_local_storage, {A::kConstMapPtr, A::kAnything}});
  table.add({107,
             "bpf_sk_storage_get",
             storage_get<uapi::kMapSkStorage>,
             {A::kConstMapPtr, A::kBtfPtr, A::kMapValue, A::kAnything}});
  table.add({108,
             "bpf_sk_storage_delete",
             storage_delete<uapi::kMapSkStorage>,
             {A::kConstMapPtr, A::kBtfPtr}});
  table.add({93, "bpf_spin_lock", spin_lock, {A::kSpinLock}});
  table.add({94, "bpf_spin_unlock", spin_unlock, {A::kSpinLock}});
  table.add({153, "bpf_per_cpu_ptr", per_cpu_ptr, {A::kBtfPtr, A::kAnything}});
  table.add({154, "bpf_this_cpu_ptr", this_cpu_ptr, {A::kBtfPtr}});
  table.add({156,
             "bpf_task_storage_get",
             storage_get<uapi::kMapTaskStorage>,
             {A::kConstMapPtr, A::kBtfPtr, A::kMapValue, A::kAnything}});
  table.add({157,
             "bpf_task_storage_delete",
             storage_delete<uapi::kMapTaskStorage>,
             {A::kConstMapPtr, A::kBtfPtr}});
  table.add({210,
             "bpf_cgrp_storage_get",
             storage_get<uapi::kMapCgrpStorage>,
             {A::kConstMapPtr, A::kBtfPtr, A::kMapValue, A::kAnything}});
  table.add({211,
             "bpf_cgrp_storage_delete",
             storage_delete<uapi::kMapCgrpStorage>,
             {A::kConstMapPtr, A::kBtfPtr}});
  table.add({164,
             "bpf_for_each_map_elem",
             for_each_map_elem,
             {A::kConstMapPtr, A::kCallback, A::kAnything, A::kAnything}});
  table.add({181, "bpf_loop", loop, {A::kAnything, A::kCallback, A::kAnything, A::kAnything}});
  table.add({194, "bpf_kptr_xchg", kptr_xchg, {A::kLong, A::kBtfPtr}});
  table.add({195,
             "bpf_map_lookup_percpu_elem",
             map_lookup_percpu_elem,
             {A::kConstMapPtr, A::kMapKey, A::kAnything}});
}

}  // namespace uscx::bpf
