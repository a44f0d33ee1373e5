// SPDX-License-Identifier: GPL-2.0-only
#include "base/hash.h"

#include <cstring>

namespace uscx {

namespace {

template <class Add>
void each_word(const void* data, std::size_t size, Add add) {
  const auto* p = static_cast<const unsigned char*>(data);
  add(u64{size});
  for (; size >= 8; p += 8, size -= 8) {
    u64 word;
    std::memcpy(&word, p, 8);
    add(word);
  }
  if (size > 0) {
    u64 word = 0;
    std::memcpy(&word, p, size);
    add(word);
  }
}

}  // namespace

void StreamHash::add_bytes(const void* data, std::size_t size) {
  each_word(data, size, [this](u64 word) { add(word); });
}

void EventHash::add_bytes(const void* data, std::size_t size) {
  each_word(data, size, [this](u64 word) { add(word); });
}

}  // namespace uscx
