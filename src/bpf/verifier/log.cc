// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/log.h"

#include <algorithm>

#include "bpf/maps/map.h"
#include "btf/btf.h"

namespace uscx::bpf::verifier {

namespace {

constexpr std::string_view kRegBaseText[kRegBaseCount] = {
    "?",    "scalar",  "ctx",       "map_ptr", "map_value",   "map_key",  "fp",         "pkt_meta",
    "pkt",  "pkt_end", "flow_keys", "sock",    "sock_common", "tcp_sock", "tp_buffer",  "xdp_sock",
    "ptr_", "mem",     "arena",     "buf",     "func",        "insn",     "dynptr_ptr",
};

/// Comma-separated properties in parentheses.
class Properties {
 public:
  explicit Properties(std::string& out) : out_(out) {}
  template <class... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    if (!first_) out_ += ',';
    first_ = false;
    fmt::format_to(std::back_inserter(out_), text, static_cast<Args&&>(args)...);
  }

 private:
  std::string& out_;
  bool first_ = true;
};

bool is_map_pointer(RegType type) {
  const u32 base = base_type(type);
  return base == kConstPtrToMap || base == kPtrToMapKey || base == kPtrToMapValue;
}

bool is_non_owning(RegType type) {
  return base_type(type) == kPtrToBtfId && (type & kMemAlloc) && !(type & kUntrusted) &&
         (type & kNonOwnRef);
}

void add_properties(std::string& out, const RegState& reg) {
  Properties p(out);
  const RegType t = reg.type;
  if (reg.id) p.add("id={}", reg.id & ~kAddConst);
  if (reg.id & kAddConst) fmt::format_to(std::back_inserter(out), "{:+}", reg.delta);
  if (reg.parent_id) p.add("parent_id={}", reg.parent_id);
  if (is_non_owning(t)) p.add("non_own_ref");
  if (is_map_pointer(t)) {
    const MapSpec& spec = reg.map()->spec();
    if (!spec.name.empty()) p.add("map={}", spec.name);
    p.add("ks={},vs={}", spec.key_size, spec.value_size);
  }
  if (t != kScalar && reg.delta) p.add("off={}", signed_text(reg.delta));
  if (base_type(t) == kPtrToPacket || base_type(t) == kPtrToPacketMeta) {
    p.add("r={}", unsigned_text(static_cast<u64>(static_cast<s64>(reg.range()))));
  }
  if (base_type(t) == kPtrToMem) p.add("sz={}", unsigned_text(reg.mem_size()));
  if (t == kConstPtrToDynptr) p.add("type={}", dynptr_type_text(reg.dynptr_type()));
  if (reg.is_const()) {
    if (reg.const_value()) p.add("imm={}", signed_text(static_cast<s64>(reg.const_value())));
  } else if (std::string bounds = bounds_text(reg.value); !bounds.empty()) {
    p.add("{}", bounds);
  }
}

}  // namespace

std::string reg_type_text(RegType type) {
  std::string text;
  static constexpr std::pair<u32, std::string_view> kPrefixes[] = {
      {kMemRdonly, "rdonly_"}, {kMemRingbuf, "ringbuf_"}, {kMemUser, "user_"},
      {kMemPercpu, "percpu_"}, {kMemRcu, "rcu_"},         {kUntrusted, "untrusted_"},
      {kTrusted, "trusted_"},
  };
  for (auto [flag, prefix] : kPrefixes) {
    if (type & flag) text += prefix;
  }
  const u32 base = base_type(type);
  text += base < kRegBaseCount ? kRegBaseText[base] : "?";
  if (type & kMaybeNull) text += base == kPtrToBtfId ? "or_null_" : "_or_null";
  return text;
}

std::string_view dynptr_type_text(DynptrType type) {
  static constexpr std::string_view kText[] = {"<invalid>", "local",    "ringbuf", "skb",
                                               "xdp",       "skb_meta", "file"};
  return kText[static_cast<u32>(type)];
}

std::string_view iter_state_text(IterState state) {
  static constexpr std::string_view kText[] = {"<invalid>", "active", "drained", "<unknown>"};
  return kText[static_cast<u32>(state)];
}

std::string_view iter_type_text(const btf::Btf* btf, u32 btf_id) {
  constexpr std::string_view kPrefix = "bpf_iter_";
  if (!btf || btf_id == 0) return "<invalid>";
  std::string_view name = btf->name(btf_id);
  if (name.size() >= kPrefix.size()) name.remove_prefix(kPrefix.size());
  return name;
}

std::string reg_text(const FuncState& frame, const RegState& reg) {
  const RegType t = reg.type;
  std::string out;
  if (t == kScalar && reg.precise) out += 'P';
  if (t == kScalar && reg.is_const()) {
    return out + signed_text(static_cast<s64>(reg.const_value()));
  }
  out += reg_type_text(t);
  if (t == kPtrToArena) return out;
  if (t == kPtrToStack) {
    if (frame.frameno != reg.frameno()) out += fmt::format("[{}]", reg.frameno());
    if (reg.is_const()) {
      return out + signed_text(static_cast<s64>(reg.const_value()) + reg.delta);
    }
  }
  if (base_type(t) == kPtrToBtfId) out += reg.btf()->name(reg.btf_id());
  out += '(';
  add_properties(out, reg);
  return out + ')';
}

u32 log_alignment(u32 pos) {
  constexpr u32 kMin = 8;
  constexpr u32 kColumn = 40;
  const u32 least = std::max(pos + kMin / 2, kColumn);
  return (least + kMin - 1) / kMin * kMin - pos - 1;
}

std::string reg_mask_text(u32 mask) {
  std::string out;
  for (u32 i = 0; i < 32; ++i) {
    if (mask >> i & 1) out += fmt::format("{}r{}", out.empty() ? "" : ",", i);
  }
  return out;
}

std::string stack_mask_text(u64 mask) {
  std::string out;
  for (s32 i = 0; i < 64; ++i) {
    if (mask >> i & 1) out += fmt::format("{}{}", out.empty() ? "" : ",", -(i + 1) * 8);
  }
  return out;
}

}  // namespace uscx::bpf::verifier
