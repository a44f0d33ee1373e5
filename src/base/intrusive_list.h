// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>

#include "base/assert.h"

namespace uscx {

/// The link of an intrusive list: a member (or base) of the object. Unlinked when next is null.
struct ListNode {
  ListNode* next = nullptr;
  ListNode* prev = nullptr;
  bool linked() const { return next != nullptr; }
};

/// Doubly linked intrusive list of T through member `Link`; owns nothing, allocates nothing.
/// Like Linux's list_head, but an unlinked node knows that it is.
template <class T, ListNode T::* Link>
class IntrusiveList {
 public:
  IntrusiveList() { clear_head(); }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next == &head_; }
  std::size_t size() const { return size_; }

  void push_back(T& t) { insert_between(t, head_.prev, &head_); }
  void push_front(T& t) { insert_between(t, &head_, head_.next); }
  /// Inserts `t` just before `pos`, which is on this list.
  void insert_before(T& pos, T& t) {
    ListNode* n = &(pos.*Link);
    insert_between(t, n->prev, n);
  }
  void erase(T& t) {
    ListNode* n = &(t.*Link);
    USCX_ASSERT(n->linked() && size_ > 0);
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = nullptr;
    --size_;
  }
  T* front() const { return empty() ? nullptr : owner(head_.next); }
  T* back() const { return empty() ? nullptr : owner(head_.prev); }
  T* next(const T& t) const { return at((t.*Link).next); }
  T* prev(const T& t) const { return at((t.*Link).prev); }
  T* pop_front() {
    T* t = front();
    if (t) erase(*t);
    return t;
  }

 private:
  void clear_head() { head_.next = head_.prev = &head_; }
  T* at(ListNode* n) const { return n == &head_ ? nullptr : owner(n); }
  static T* owner(ListNode* n) {
    // The offset of Link within T; T need not be standard layout, only have no virtual bases.
    alignas(T) static char probe[sizeof(T)];
    const auto* base = reinterpret_cast<const T*>(probe);
    const auto offset = reinterpret_cast<const char*>(&(base->*Link)) - probe;
    return reinterpret_cast<T*>(reinterpret_cast<char*>(n) - offset);
  }
  void insert_between(T& t, ListNode* before, ListNode* after) {
    ListNode* n = &(t.*Link);
    USCX_ASSERT(!n->linked());
    n->prev = before;
    n->next = after;
    before->next = n;
    after->prev = n;
    ++size_;
  }

  ListNode head_;
  std::size_t size_ = 0;
};

}  // namespace uscx
