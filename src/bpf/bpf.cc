// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/bpf.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "bpf/dynptr.h"
#include "bpf/format.h"
#include "bpf/front_door.h"
#include "bpf/generic_kfuncs.h"
#include "bpf/impl.h"
#include "bpf/maps/arena.h"
#include "bpf/unserved_struct_ops.h"
#include "btf/split.h"

namespace uscx::bpf {

Bpf::Impl::Impl(Bpf& owner, EngineKind kind)
    : bpf(owner),
      objects(owner),
      timers(owner),
      ksyms(owner.window()),
      trace_hooks(owner.trace_hook_bits_) {
  add_helpers(helpers);
  engine = std::make_unique<Engine>(ExecEnvironment{&owner, owner.host(), owner.window(), helpers},
                                    kind);
}

Bpf::Impl::~Impl() {
  for (void* memory : after_grace) bpf.window().free(memory);
}

void Bpf::Impl::release_kptr(std::string_view type_name, u64 object) {
  if (objects.drop(object)) return;
  auto it = kptr_destructors.find(type_name);
  if (it != kptr_destructors.end()) it->second(object);
}

void Bpf::Impl::free_after_grace(void* memory) {
  if (running == 0) {
    bpf.window().free(memory);
  } else {
    after_grace.push_back(memory);
  }
}

void Bpf::Impl::release_after_grace(std::shared_ptr<void> object) {
  if (object && running > 0) objects_after_grace.push_back(std::move(object));
}

void Bpf::Impl::release_locks() {
  spin_locks.release_all(bpf.host().held_locks());
}

void Bpf::Impl::end_grace() {
  std::vector<void*> ready;
  ready.swap(after_grace);
  for (void* memory : ready) bpf.window().free(memory);
  objects_after_grace.clear();
}

Bpf::Bpf(Host& host, AddressWindow& window, btf::KernelVersion version,
         std::span<const std::byte> vmlinux, EngineKind engine)
    : host_(host), window_(window), version_(version) {
  impl_ = std::make_unique<Impl>(*this, engine);
  auto parsed = btf::Btf::parse(vmlinux.empty() ? btf::builtin_btf(version) : vmlinux);
  USCX_ASSERT(parsed.has_value());
  impl_->own_types = vmlinux.empty();
  impl_->vmlinux = std::make_shared<BtfObject>(BtfObject{0, "vmlinux", true, std::move(*parsed)});
  impl_->vmlinux->id = impl_->btfs.add(impl_->vmlinux);
  add_generic_kfuncs(*this);
  add_cpumask_kfuncs(*this);
  add_object_kfuncs(*this);
  add_dynptr_kfuncs(*this);
  add_lock_kfuncs(*this);
  add_string_kfuncs(*this);
  register_unserved_struct_ops(*this);
}

Bpf::~Bpf() {
  window_.activate();  // maps give their memory back
  // User space holds nothing any more: else a map of programs and one of them may hold each other.
  impl_->fds.for_each([](const ObjectRef& object) {
    if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object)) (*map)->user_gone();
  });
}

const btf::Btf& Bpf::vmlinux() const {
  return impl_->vmlinux->btf;
}
std::span<const std::byte> Bpf::vmlinux_bytes() const {
  return impl_->vmlinux->btf.raw();
}

OrError<void> Bpf::register_module(std::string name, std::span<const std::byte> split,
                                   std::span<const verifier::KfuncProto> kfuncs) {
  auto joined = btf::join(vmlinux_bytes(), split);
  if (!joined) return std::unexpected(joined.error());
  auto parsed = btf::Btf::parse(*joined);
  if (!parsed) return std::unexpected(parsed.error());
  auto object = std::make_shared<BtfObject>(BtfObject{
      0, std::move(name), true, std::move(*parsed), std::vector(split.begin(), split.end()), {}});
  for (verifier::KfuncProto kfunc : kfuncs) {
    const auto id = object->btf.find(kfunc.name, btf::Kind::kFunc);
    if (!id) return error(fmt::format("kfunc {} is not in the module's BTF", kfunc.name));
    kfunc.name = object->btf.name(*id);  // which lives as long as the module
    object->kfuncs.push_back(kfunc);
  }
  object->id = impl_->btfs.add(object);
  impl_->modules.push_back(std::move(object));
  return {};
}

void Bpf::register_struct_ops(std::unique_ptr<StructOpsType> type) {
  types_.push_back(std::move(type));
}

void Bpf::register_ksym(std::string name, u32 size, bool percpu,
                        std::function<u64(u32 cpu)> address_of) {
  impl_->ksyms.add(std::move(name), size, percpu, std::move(address_of));
}

void Bpf::register_kptr_destructor(std::string type_name, std::function<void(u64)> destructor) {
  impl_->kptr_destructors[std::move(type_name)] = std::move(destructor);
}

long Bpf::syscall(u32 cmd, u64 attr_address, u32 size, UserMemory& memory, u64 common_address,
                  u32 common_size) {
  window_.activate();
  return FrontDoor(*this, memory).call(cmd, attr_address, size, common_address, common_size);
}

std::optional<Result<u64>> Bpf::map_user(int fd, u64 address, u64 length, bool fixed) {
  auto map = impl_->fds.get<Map>(fd);
  auto* arena = map ? dynamic_cast<ArenaMap*>(map->get()) : nullptr;
  if (!arena) return std::nullopt;
  return arena->map_user(address, length, fixed);
}

void Bpf::reap_closed_fds() {
  // What one object held may go with it: links hold maps, maps hold programs.
  for (auto gone = impl_->fds.reap(); !gone.empty(); gone = impl_->fds.reap()) {
    for (ObjectRef& object : gone) {
      if (auto* link = std::get_if<std::shared_ptr<Link>>(&object)) (*link)->release();
      if (auto* program = std::get_if<std::shared_ptr<Program>>(&object)) {
        impl_->associations.erase((*program)->id);
      }
      if (auto* map = std::get_if<std::shared_ptr<Map>>(&object)) (*map)->user_gone();
    }
  }
}

// Every callback comes through here: the engine is compiled into it.
[[gnu::flatten]] u64 Bpf::run(const Program& program, std::span<const u64> args) {
  return impl_->in_run([&] { return impl_->engine->run(program, args); });
}

void Bpf::trace_hook(std::string_view name, std::span<const u64> args) {
  const auto* programs = impl_->trace_hooks.find(TraceHooks::Where::kEntry, name);
  if (!programs) return;
  const auto copy = *programs;  // a program may sleep, and a link go meanwhile
  for (const auto& program : copy) run(*program, args);
}

bool Bpf::has_trace_hook(std::string_view name) const {
  return impl_->trace_hooks.any(name);
}

void Bpf::trace_exit_hook(std::string_view name, std::span<const u64> args_and_result) {
  const auto* programs = impl_->trace_hooks.find(TraceHooks::Where::kExit, name);
  if (!programs) return;
  const auto copy = *programs;
  for (const auto& program : copy) run(*program, args_and_result);
}

void Bpf::task_gone(u64 task) {
  owner_gone(uapi::kMapTaskStorage, task);
}

void Bpf::cgroup_gone(u64 cgroup) {
  owner_gone(uapi::kMapCgrpStorage, cgroup);
}

void Bpf::owner_gone(u32 map_type, u64 owner) {
  impl_->maps.for_each([&](const std::shared_ptr<Map>& map) {
    if (map->spec().type == map_type) map->owner_gone(owner);
  });
}

std::shared_ptr<StructOpsTable> Bpf::struct_ops_table(u32 map_id) const {
  auto map = std::dynamic_pointer_cast<StructOpsMap>(impl_->maps.find(map_id));
  return map ? map->table() : nullptr;
}

Result<std::string> Bpf::format(std::string_view fmt, std::span<const u64> args) {
  return format_message(window_, fmt, args);
}

std::vector<std::pair<std::string, u64>> Bpf::unserved() const {
  return {impl_->unserved.begin(), impl_->unserved.end()};
}

void Bpf::count_unserved(std::string name) {
  ++impl_->unserved[std::move(name)];
}

u64 Bpf::faults_to_zero() const {
  return impl_->engine->faults_to_zero();
}

}  // namespace uscx::bpf
