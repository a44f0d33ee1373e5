// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/types.h"

namespace uscx::sched::ext {

/// Text into a buffer of fixed size that remembers whether it all fitted. What does not fit is cut.
/// Linux: struct seq_buf.
class SeqBuf {
 public:
  SeqBuf(char* buffer, u64 size) : buffer_(buffer), size_(size) {}

  u64 size() const { return size_; }
  u64 used() const { return std::min(length_, size_); }
  bool overflowed() const { return length_ > size_; }
  void set_overflow() { length_ = size_ + 1; }

  /// Formatted text: the last byte stays free for its NUL, so text that just fits is cut.
  void print(std::string_view text) {
    if (length_ < size_) {
      const u64 room = size_ - length_;
      const u64 copied = std::min<u64>(text.size(), room - 1);
      std::memcpy(buffer_ + length_, text.data(), copied);
      buffer_[length_ + copied] = '\0';
      if (text.size() < room) {
        length_ += text.size();
        return;
      }
    }
    set_overflow();
  }
  void put(char c) {
    if (length_ < size_) {
      buffer_[length_++] = c;
    } else {
      set_overflow();
    }
  }
  /// What is left, to be filled by another SeqBuf and committed; empty after an overflow.
  SeqBuf rest() {
    return length_ < size_ ? SeqBuf(buffer_ + length_, size_ - length_) : SeqBuf(nullptr, 0);
  }
  /// Takes over what `nested`, made by rest(), holds.
  void commit(const SeqBuf& nested) {
    if (nested.size_ == 0) return;
    length_ += nested.used();
    if (nested.overflowed()) set_overflow();
  }

 private:
  char* buffer_;
  u64 size_;
  u64 length_ = 0;  // size_ + 1: overflowed
};

}  // namespace uscx::sched::ext
