// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs on objects of programs' own types, and on the lists and trees they make of them.
#include "bpf/bpf.h"
#include "bpf/graph.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

constexpr u64 kInvalid = static_cast<u64>(-s64{EINVAL});

AllocatedObjects& objects_of(KfuncCall& call) {
  return call.bpf.impl().objects;
}

template <bool percpu>
u64 obj_new(KfuncCall& call) {
  const u64 object =
      objects_of(call).make(call.program.btf, static_cast<u32>(call.args[0]), percpu);
  if (!object) call.fault("argument 1 is not a struct of the program's BTF");
  return object;
}

u64 obj_drop(KfuncCall& call) {
  if (!objects_of(call).drop(call.args[0])) call.fault("argument 1 is not an allocated object");
  return 0;
}

u64 refcount_acquire(KfuncCall& call) {
  return objects_of(call).acquire(call.args[0]) ? call.args[0] : 0;
}

/// A node that is being added, with its object; null after a fault, or after the object of a linked
/// node lost the reference that was to be given away.
template <class Node>
Node* fresh_node(KfuncCall& call, u32 i) {
  auto* node = call.memory<Node>(i, true);
  if (!node) return nullptr;
  AllocatedObjects& objects = objects_of(call);
  const u64 object = objects.around(call.args[i]);
  if (!object) {
    call.fault("the node is not in an allocated object");
    return nullptr;
  }
  if (node->owner == 0) return node;
  objects.drop(object);
  return nullptr;
}

u64 list_add_after(KfuncCall& call, ListLinks* (*prev_of)(KfuncCall&, ListLinks&)) {
  auto* head = call.memory<ListLinks>(0, true);
  if (!head) return 0;
  list_empty(*head);  // makes a fresh head usable
  ListLinks* prev = prev_of(call, *head);
  const bool foreign = prev && prev != head &&
                       reinterpret_cast<ListNode*>(prev)->owner != reinterpret_cast<u64>(head);
  auto* node = fresh_node<ListNode>(call, 1);
  if (!node || !prev) return kInvalid;
  if (foreign) {
    objects_of(call).drop(objects_of(call).around(call.args[1]));
    return kInvalid;
  }
  list_link(*head, *node, *prev);
  return 0;
}

u64 list_push_front(KfuncCall& call) {
  return list_add_after(call, [](KfuncCall&, ListLinks& head) { return &head; });
}
u64 list_push_back(KfuncCall& call) {
  return list_add_after(call, [](KfuncCall&, ListLinks& head) { return head.prev; });
}
u64 list_add(KfuncCall& call) {
  return list_add_after(call, [](KfuncCall& c, ListLinks&) {
    auto* prev = c.memory<ListNode>(2, true);
    return prev ? &prev->links : nullptr;
  });
}

/// Unlinks the node that `which` chooses, if it is on the list of R1; the node or 0.
u64 list_take(KfuncCall& call, ListLinks* (*which)(KfuncCall&, ListLinks&)) {
  auto* head = call.memory<ListLinks>(0, true);
  if (!head || list_empty(*head)) return 0;
  auto* node = reinterpret_cast<ListNode*>(which(call, *head));
  if (!node || node->owner != reinterpret_cast<u64>(head)) return 0;
  list_unlink(*node);
  return reinterpret_cast<u64>(node);
}

u64 list_pop_front(KfuncCall& call) {
  return list_take(call, [](KfuncCall&, ListLinks& head) { return head.next; });
}
u64 list_pop_back(KfuncCall& call) {
  return list_take(call, [](KfuncCall&, ListLinks& head) { return head.prev; });
}
u64 list_del(KfuncCall& call) {
  return list_take(call, [](KfuncCall& c, ListLinks&) {
    auto* node = c.memory<ListNode>(1, true);
    return node ? &node->links : nullptr;
  });
}

u64 list_front(KfuncCall& call) {
  auto* head = call.memory<ListLinks>(0, true);
  return head && !list_empty(*head) ? reinterpret_cast<u64>(head->next) : 0;
}
u64 list_back(KfuncCall& call) {
  auto* head = call.memory<ListLinks>(0, true);
  return head && !list_empty(*head) ? reinterpret_cast<u64>(head->prev) : 0;
}
u64 list_is_empty(KfuncCall& call) {
  auto* head = call.memory<ListLinks>(0, true);
  return head && list_empty(*head);
}

/// Is the node of R2 on the list of R1, at the end that `end` names?
u64 list_is_at(KfuncCall& call, ListLinks* ListLinks::* end) {
  auto* head = call.memory<ListLinks>(0, true);
  auto* node = head ? call.memory<ListNode>(1, true) : nullptr;
  return node && node->owner == reinterpret_cast<u64>(head) && head->*end == &node->links;
}
u64 list_is_first(KfuncCall& call) {
  return list_is_at(call, &ListLinks::next);
}
u64 list_is_last(KfuncCall& call) {
  return list_is_at(call, &ListLinks::prev);
}

u64 rbtree_add(KfuncCall& call) {
  auto* root = call.memory<TreeRoot>(0, true);
  auto* node = root ? fresh_node<TreeNode>(call, 1) : nullptr;
  if (!node) return kInvalid;
  rb::Node** link = &root->root.rb_node;
  rb::Node* parent = nullptr;
  bool leftmost = true;
  while (*link) {
    parent = *link;
    const u64 less = call.call_back(
        call.args[2], {reinterpret_cast<u64>(node), reinterpret_cast<u64>(parent), 0, 0, 0});
    if (call.faulted()) return 0;
    link = less ? &parent->rb_left : &parent->rb_right;
    leftmost &= less != 0;
  }
  rb::insert(root->root, node->node, parent, link);
  if (leftmost) root->leftmost = &node->node;
  node->owner = reinterpret_cast<u64>(root);
  return 0;
}

/// The node of R2 if it is in the tree of R1, else null.
TreeNode* tree_node(KfuncCall& call) {
  auto* root = call.memory<TreeRoot>(0, true);
  auto* node = root ? call.memory<TreeNode>(1, true) : nullptr;
  return node && node->owner == reinterpret_cast<u64>(root) ? node : nullptr;
}

u64 rbtree_remove(KfuncCall& call) {
  TreeNode* node = tree_node(call);
  if (!node) return 0;
  tree_unlink(*call.memory<TreeRoot>(0, true), *node);
  return reinterpret_cast<u64>(node);
}
u64 rbtree_first(KfuncCall& call) {
  auto* root = call.memory<TreeRoot>(0, true);
  return root ? reinterpret_cast<u64>(root->leftmost) : 0;
}
u64 rbtree_root(KfuncCall& call) {
  auto* root = call.memory<TreeRoot>(0, true);
  return root ? reinterpret_cast<u64>(root->root.rb_node) : 0;
}
u64 rbtree_left(KfuncCall& call) {
  TreeNode* node = tree_node(call);
  return node ? reinterpret_cast<u64>(node->node.rb_left) : 0;
}
u64 rbtree_right(KfuncCall& call) {
  TreeNode* node = tree_node(call);
  return node ? reinterpret_cast<u64>(node->node.rb_right) : 0;
}

}  // namespace

void add_object_kfuncs(Bpf& bpf) {
  constexpr std::string_view kSet = "generic_btf_ids";
  auto add = [&](std::string_view name, u32 flags, KfuncFn fn) {
    bpf.kfuncs().add({name, flags, std::move(fn), kSet});
  };
  // Each under two names: since 7.2 programs need not pass what the verifier fills in.
  auto add_both = [&](std::string_view name, std::string_view impl, u32 flags, KfuncFn fn) {
    add(name, flags | kKfImplicitArgs, fn);
    add(impl, flags, std::move(fn));
  };
  add_both("bpf_obj_new", "bpf_obj_new_impl", kKfAcquire | kKfRetNull, obj_new<false>);
  add_both("bpf_percpu_obj_new", "bpf_percpu_obj_new_impl", kKfAcquire | kKfRetNull, obj_new<true>);
  add_both("bpf_obj_drop", "bpf_obj_drop_impl", kKfRelease, obj_drop);
  add_both("bpf_percpu_obj_drop", "bpf_percpu_obj_drop_impl", kKfRelease, obj_drop);
  add_both("bpf_refcount_acquire", "bpf_refcount_acquire_impl", kKfAcquire | kKfRetNull | kKfRcu,
           refcount_acquire);
  add_both("bpf_list_push_front", "bpf_list_push_front_impl", 0, list_push_front);
  add_both("bpf_list_push_back", "bpf_list_push_back_impl", 0, list_push_back);
  add("bpf_list_add", kKfImplicitArgs, list_add);
  add("bpf_list_pop_front", kKfAcquire | kKfRetNull, list_pop_front);
  add("bpf_list_pop_back", kKfAcquire | kKfRetNull, list_pop_back);
  add("bpf_list_del", kKfAcquire | kKfRetNull, list_del);
  add("bpf_list_front", kKfRetNull, list_front);
  add("bpf_list_back", kKfRetNull, list_back);
  add("bpf_list_empty", 0, list_is_empty);
  add("bpf_list_is_first", 0, list_is_first);
  add("bpf_list_is_last", 0, list_is_last);
  add_both("bpf_rbtree_add", "bpf_rbtree_add_impl", 0, rbtree_add);
  add("bpf_rbtree_remove", kKfAcquire | kKfRetNull, rbtree_remove);
  add("bpf_rbtree_first", kKfRetNull, rbtree_first);
  add("bpf_rbtree_root", kKfRetNull, rbtree_root);
  add("bpf_rbtree_left", kKfRetNull, rbtree_left);
  add("bpf_rbtree_right", kKfRetNull, rbtree_right);
}

}  // namespace uscx::bpf
