// SPDX-License-Identifier: GPL-2.0-only
// Lists and trees of programs' objects, in memory as Linux lays them out: bpf_list_head,
// bpf_rb_root and their nodes. A node knows the head or root it is linked to.
#pragma once

#include "base/types.h"
#include "bpf/rb_tree.h"

namespace uscx::bpf {

/// Linux: struct bpf_list_node_kern; a head is one without an owner.
struct ListLinks {
  ListLinks* next;
  ListLinks* prev;
};
struct ListNode {
  ListLinks links;
  u64 owner;  // address of the head; 0: unlinked
};
static_assert(sizeof(ListNode) == 24);

/// Linux: struct rb_root_cached and struct bpf_rb_node_kern.
struct TreeRoot {
  rb::Root root;
  rb::Node* leftmost;
};
struct TreeNode {
  rb::Node node;
  u64 owner;  // address of the root; 0: unlinked
};
static_assert(sizeof(TreeRoot) == 16 && sizeof(TreeNode) == 32);

inline void init_list(ListLinks& head) {
  head.next = head.prev = &head;
}
/// A head that a map made is zero until its first use.
inline bool list_empty(ListLinks& head) {
  if (!head.next) init_list(head);
  return head.next == &head;
}
/// Links after `prev`, which is `head` or on its list.
inline void list_link(ListLinks& head, ListNode& node, ListLinks& prev) {
  node.links.prev = &prev;
  node.links.next = prev.next;
  prev.next->prev = &node.links;
  prev.next = &node.links;
  node.owner = reinterpret_cast<u64>(&head);
}
inline void list_unlink(ListNode& node) {
  node.links.prev->next = node.links.next;
  node.links.next->prev = node.links.prev;
  init_list(node.links);
  node.owner = 0;
}

inline void tree_unlink(TreeRoot& root, TreeNode& node) {
  if (root.leftmost == &node.node) root.leftmost = rb::next(node.node);
  rb::erase(root.root, node.node);
  rb::clear(node.node);
  node.owner = 0;
}

}  // namespace uscx::bpf
