// SPDX-License-Identifier: GPL-2.0-only
// A red-black tree of intrusive nodes in Linux's rb_node layout (parent and colour share a word).
#pragma once

#include "abi/abi.h"
#include "base/types.h"

namespace uscx::bpf::rb {

using Node = abi::rb_node;
using Root = abi::rb_root;

/// A node that is in no tree points at itself. Linux: RB_CLEAR_NODE.
inline void clear(Node& n) {
  n.__rb_parent_color = reinterpret_cast<unsigned long>(&n);
  n.rb_left = n.rb_right = nullptr;
}
inline bool linked(const Node& n) {
  return n.__rb_parent_color != reinterpret_cast<unsigned long>(&n);
}
inline bool empty(const Root& root) {
  return root.rb_node == nullptr;
}

/// Links `n` below `parent` (null: as the root) at `*link`, and restores the balance.
void insert(Root& root, Node& n, Node* parent, Node** link);
void erase(Root& root, Node& n);
/// The node after `n` (before, for prev) in order, or null.
Node* next(const Node& n);
Node* prev(const Node& n);

/// Adds `n`; among equals it comes last. `less(a, b)`: a goes before b. Linux: rb_add.
template <class Less>
void add(Root& root, Node& n, Less less) {
  Node** link = &root.rb_node;
  Node* parent = nullptr;
  while (*link != nullptr) {
    parent = *link;
    link = less(n, *parent) ? &parent->rb_left : &parent->rb_right;
  }
  insert(root, n, parent, link);
}

}  // namespace uscx::bpf::rb
