// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): BTF, and questions about objects.
#include <algorithm>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

template <std::size_t N>
void copy_name(char (&to)[N], const std::string& from) {
  std::memcpy(to, from.data(), std::min(from.size(), N - 1));
}

}  // namespace

Result<long> FrontDoor::btf_load() {
  const uapi::BtfLoadAttr& a = attr_.btf_load;
  auto log =
      make_log(a.log_buf, a.log_size, a.log_level, offsetof(uapi::BtfLoadAttr, log_true_size));
  if (!log) return std::unexpected(log.error());
  if (!only_first(sizeof(a))) return fail(EINVAL);
  if (a.flags & ~u32{uapi::kProgTokenFd}) return fail(EINVAL);
  if (a.flags & uapi::kProgTokenFd) return fail(EBADF);
  if (a.btf_size > uapi::kMaxBtfSize) return fail(E2BIG);
  std::vector<std::byte> bytes(a.btf_size);
  if (auto r = memory_.read(bytes.data(), a.btf, bytes.size()); !r) {
    return std::unexpected(r.error());
  }
  auto parsed = btf::Btf::parse(bytes);
  if (parsed && parsed->type_count() == 1) parsed = error("No type found");
  if (!parsed) log->add(parsed.error().message + "\n");
  u32 true_size = 0;
  if (auto r = log->finish(memory_, true_size); !r) return std::unexpected(r.error());
  if (log->true_size_address) {
    auto r = memory_.write(log->true_size_address, &true_size, sizeof(true_size));
    if (!r) return std::unexpected(r.error());
  }
  if (!parsed) return fail(EINVAL);
  auto object = std::make_shared<BtfObject>(BtfObject{0, {}, false, std::move(*parsed)});
  object->id = bpf_.impl().btfs.add(object);
  return bpf_.impl().fds.add(object);
}

/// The caller's info as far as it goes; what lies beyond ours must be zero.
template <class Info>
Result<Info> FrontDoor::copy_info() {
  const uapi::InfoAttr& a = attr_.info;
  if (auto r = check_tail(a.info, a.info_len, sizeof(Info)); !r) return std::unexpected(r.error());
  Info info{};
  const std::size_t size = std::min<std::size_t>(a.info_len, sizeof(Info));
  if (auto r = memory_.read(&info, a.info, size); !r) return std::unexpected(r.error());
  return info;
}

template <class Info>
Result<void> FrontDoor::put_info(const Info& info) {
  const auto size = static_cast<u32>(std::min<std::size_t>(attr_.info.info_len, sizeof(Info)));
  if (auto r = memory_.write(attr_.info.info, &info, size); !r) return r;
  return put_attr(offsetof(uapi::InfoAttr, info_len), size);
}

Result<void> FrontDoor::prog_info(const Program& program) {
  auto asked = copy_info<uapi::ProgInfo>();
  if (!asked) return std::unexpected(asked.error());
  uapi::ProgInfo info{};
  info.type = program.type;
  info.id = program.id;
  std::memcpy(info.tag, program.tag.data(), sizeof(info.tag));
  info.xlated_prog_len = static_cast<u32>(program.insns.size() * sizeof(Insn));
  copy_name(info.name, program.name);
  info.gpl_compatible = program.gpl_compatible;
  info.nr_map_ids = static_cast<u32>(program.maps.size());
  info.map_ids = asked->map_ids;
  const u32 room = std::min(asked->nr_map_ids, info.nr_map_ids);
  for (u32 i = 0; asked->map_ids && i < room; ++i) {
    const u32 id = program.maps[i]->id;
    if (auto r = memory_.write(asked->map_ids + i * sizeof(u32), &id, sizeof(id)); !r) return r;
  }
  info.btf_id = program.btf_id;
  info.attach_btf_id = program.attach_btf_id;
  info.attach_btf_obj_id = program.attach_btf_id ? bpf_.impl().vmlinux->id : 0;
  info.run_cnt = program.run_count;
  info.verified_insns = static_cast<u32>(program.insns.size());
  return put_info(info);
}

Result<void> FrontDoor::map_info(const Map& map) {
  if (auto asked = copy_info<uapi::MapInfo>(); !asked) return std::unexpected(asked.error());
  const MapSpec& spec = map.spec();
  uapi::MapInfo info{};
  info.type = spec.type;
  info.id = map.id;
  info.key_size = spec.key_size;
  info.value_size = spec.value_size;
  info.max_entries = spec.max_entries;
  info.map_flags = spec.flags;
  info.map_extra = spec.extra;
  copy_name(info.name, spec.name);
  if (spec.btf) {
    info.btf_id = spec.btf->id;
    info.btf_key_type_id = spec.btf_key_type_id;
    info.btf_value_type_id = spec.btf_value_type_id;
  }
  info.btf_vmlinux_value_type_id = spec.btf_vmlinux_value_type_id;
  if (spec.type == uapi::kMapStructOps) info.btf_vmlinux_id = bpf_.impl().vmlinux->id;
  return put_info(info);
}

Result<void> FrontDoor::btf_info(const BtfObject& btf) {
  auto asked = copy_info<uapi::BtfInfo>();
  if (!asked) return std::unexpected(asked.error());
  uapi::BtfInfo info = *asked;
  const auto bytes = btf.raw();
  const std::size_t copied = std::min<std::size_t>(info.btf_size, bytes.size());
  if (copied) {
    if (auto r = memory_.write(info.btf, bytes.data(), copied); !r) return r;
  }
  info.id = btf.id;
  info.btf_size = static_cast<u32>(bytes.size());
  info.kernel_btf = btf.kernel;
  if ((asked->name != 0) != (asked->name_len != 0)) return fail(EINVAL);
  info.name_len = static_cast<u32>(btf.name.size());
  bool cut = false;
  if (asked->name) {
    cut = asked->name_len < btf.name.size() + 1;
    const std::string name = btf.name.substr(0, asked->name_len - 1);
    if (auto r = memory_.write(asked->name, name.c_str(), name.size() + 1); !r) return r;
  }
  if (auto r = put_info(info); !r) return r;
  return cut ? Result<void>(fail(ENOSPC)) : Result<void>();
}

Result<void> FrontDoor::link_info(const Link& link) {
  auto asked = copy_info<uapi::LinkInfo>();
  if (!asked) return std::unexpected(asked.error());
  uapi::LinkInfo info{};
  info.type = link.type;
  info.id = link.id;
  if (link.map) info.struct_ops.map_id = link.map->id;
  if (link.program) {
    info.prog_id = link.program->id;
    if (link.type == uapi::kLinkTracing) {
      info.tracing.attach_type = link.attach_type;
      info.tracing.target_obj_id = bpf_.impl().vmlinux->id;
      info.tracing.target_btf_id = link.program->attach_btf_id;
      info.tracing.cookie = link.cookie;
    } else {
      const std::string& name = link.program->attach_name;
      info.raw_tracepoint.tp_name = asked->raw_tracepoint.tp_name;
      info.raw_tracepoint.tp_name_len = static_cast<u32>(name.size() + 1);
      info.raw_tracepoint.cookie = link.cookie;
      if (asked->raw_tracepoint.tp_name && asked->raw_tracepoint.tp_name_len > name.size()) {
        auto r = memory_.write(asked->raw_tracepoint.tp_name, name.c_str(), name.size() + 1);
        if (!r) return r;
      }
    }
  }
  return put_info(info);
}

Result<long> FrontDoor::info_by_fd() {
  if (!only_first(sizeof(uapi::InfoAttr))) return fail(EINVAL);
  auto object = bpf_.impl().fds.find(static_cast<int>(attr_.info.bpf_fd));
  if (!object) return fail(object.error().value == EBADF ? EBADFD : EINVAL);
  struct Visitor {
    FrontDoor& door;
    Result<void> operator()(const std::shared_ptr<Map>& m) { return door.map_info(*m); }
    Result<void> operator()(const std::shared_ptr<Program>& p) { return door.prog_info(*p); }
    Result<void> operator()(const std::shared_ptr<BtfObject>& b) { return door.btf_info(*b); }
    Result<void> operator()(const std::shared_ptr<Link>& l) { return door.link_info(*l); }
  };
  if (auto r = std::visit(Visitor{*this}, *object); !r) return std::unexpected(r.error());
  return 0;
}

Result<long> FrontDoor::next_id(u32 cmd) {
  if (!only_first(8) || attr_.get_id.id >= 0x7fffffff) return fail(EINVAL);
  Bpf::Impl& impl = bpf_.impl();
  // Objects whose last descriptor was closed are no longer there to be found.
  bpf_.reap_closed_fds();
  std::optional<u32> next;
  if (cmd == uapi::kProgGetNextId) next = impl.programs.next(attr_.get_id.id);
  if (cmd == uapi::kMapGetNextId) next = impl.maps.next(attr_.get_id.id);
  if (cmd == uapi::kBtfGetNextId) next = impl.btfs.next(attr_.get_id.id);
  if (cmd == uapi::kLinkGetNextId) next = impl.links.next(attr_.get_id.id);
  if (!next) return fail(ENOENT);
  if (auto r = put_attr(offsetof(uapi::GetIdAttr, next_id), *next); !r) {
    return std::unexpected(r.error());
  }
  return 0;
}

Result<long> FrontDoor::fd_by_id(u32 cmd) {
  const bool map = cmd == uapi::kMapGetFdById;
  const u32 flags = attr_.get_id.open_flags;
  if (!only_first(16) || (map ? flags & ~(uapi::kRdonly | uapi::kWronly) : flags)) {
    return fail(EINVAL);
  }
  bpf_.reap_closed_fds();
  Bpf::Impl& impl = bpf_.impl();
  const u32 id = attr_.get_id.id;
  auto open = [&](auto object) -> Result<long> {
    if (!object) return fail(ENOENT);
    return impl.fds.duplicate(object);
  };
  if (map) {
    auto object = impl.maps.find(id);
    if (object && object->memfd() >= 0)
      return unserved("MAP_GET_FD_BY_ID of a mmapable map", EPERM);
    return open(object);
  }
  if (cmd == uapi::kProgGetFdById) return open(impl.programs.find(id));
  if (cmd == uapi::kBtfGetFdById) return open(impl.btfs.find(id));
  return open(impl.links.find(id));
}

}  // namespace uscx::bpf
