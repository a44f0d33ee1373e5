// SPDX-License-Identifier: GPL-2.0-only
// The verifier's log: text that grows, and shrinks again where a path turned out well.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/types.h"
#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

/// Linux: struct bpf_verifier_log.
class Log {
 public:
  enum Level : u32 { kLevel1 = 1, kLevel2 = 2, kStats = 4 };
  /// Where each path is logged, what lies further back than this is dropped: a caller's buffer that
  /// is not BPF_LOG_FIXED shows the end anyway.
  static constexpr u64 kKeep = 64u << 20;

  explicit Log(u32 level) : level_(level) {}

  bool enabled() const { return level_ != 0; }
  bool per_insn() const { return level_ & (kLevel1 | kLevel2); }
  bool all_paths() const { return level_ & kLevel2; }
  bool stats() const { return level_ & kStats; }

  template <class... Args>
  void operator()(fmt::format_string<Args...> text, Args&&... args) {
    if (enabled()) text_ += fmt::vformat(text, fmt::make_format_args(args...));
  }
  void add(std::string_view text) {
    if (enabled()) text_ += text;
  }
  u64 end_pos() const { return dropped_ + text_.size(); }
  /// Forgets what came after `pos`. Linux: bpf_vlog_reset.
  void reset(u64 pos) {
    if (pos >= dropped_)
      text_.resize(pos - dropped_);
    else
      text_.clear();
  }
  void trim() {
    if (text_.size() < 2 * kKeep) return;
    const u64 excess = text_.size() - kKeep;
    text_.erase(0, excess);
    dropped_ += excess;
  }
  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

 private:
  u32 level_;
  u64 dropped_ = 0;
  std::string text_;
};

/// "map_value_or_null", "trusted_ptr_" etc. Linux: reg_type_str.
std::string reg_type_text(RegType type);
std::string_view dynptr_type_text(DynptrType type);
std::string_view iter_state_text(IterState state);
/// "num" of struct bpf_iter_num. Linux: iter_type_str.
std::string_view iter_type_text(const btf::Btf* btf, u32 btf_id);
/// One register's contents. Linux: print_reg_state.
std::string reg_text(const FuncState& frame, const RegState& reg);
/// Blanks before the state that follows an instruction of `pos` columns. Linux: bpf_vlog_alignment.
u32 log_alignment(u32 pos);
/// "r1,r5", "-8,-16" of masks. Linux: fmt_reg_mask, bpf_fmt_stack_mask.
std::string reg_mask_text(u32 mask);
std::string stack_mask_text(u64 mask);

}  // namespace uscx::bpf::verifier
