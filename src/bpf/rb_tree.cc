// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/rb_tree.h"

#include "base/assert.h"

namespace uscx::bpf::rb {
namespace {

constexpr unsigned long kBlack = 1;  // in the low bit of the parent word; red is 0

Node* parent_of(const Node* n) {
  return reinterpret_cast<Node*>(n->__rb_parent_color & ~3UL);
}
bool is_red(const Node* n) {
  return n != nullptr && (n->__rb_parent_color & kBlack) == 0;
}
void set_parent(Node* n, Node* parent) {
  n->__rb_parent_color = reinterpret_cast<unsigned long>(parent) | (n->__rb_parent_color & kBlack);
}
void set_black(Node* n) {
  n->__rb_parent_color |= kBlack;
}
void set_red(Node* n) {
  n->__rb_parent_color &= ~kBlack;
}
void copy_color(Node* to, const Node* from) {
  to->__rb_parent_color = (to->__rb_parent_color & ~kBlack) | (from->__rb_parent_color & kBlack);
}

void replace_child(Root& root, Node* parent, Node* old_child, Node* new_child) {
  if (parent == nullptr) {
    root.rb_node = new_child;
  } else if (parent->rb_left == old_child) {
    parent->rb_left = new_child;
  } else {
    parent->rb_right = new_child;
  }
}

/// Turns `n` down to the left (or right): its other child takes its place.
void rotate(Root& root, Node* n, bool left) {
  Node* up = left ? n->rb_right : n->rb_left;
  Node* middle = left ? up->rb_left : up->rb_right;
  Node* parent = parent_of(n);
  (left ? n->rb_right : n->rb_left) = middle;
  if (middle != nullptr) set_parent(middle, n);
  (left ? up->rb_left : up->rb_right) = n;
  set_parent(up, parent);
  replace_child(root, parent, n, up);
  set_parent(n, up);
}

/// `n` (may be null) below `parent` is one black short.
void erase_fixup(Root& root, Node* n, Node* parent) {
  while (parent != nullptr && !is_red(n)) {
    const bool left = parent->rb_left == n;
    Node* sibling = left ? parent->rb_right : parent->rb_left;
    if (is_red(sibling)) {
      set_black(sibling);
      set_red(parent);
      rotate(root, parent, left);
      sibling = left ? parent->rb_right : parent->rb_left;
    }
    Node* near = left ? sibling->rb_left : sibling->rb_right;
    Node* far = left ? sibling->rb_right : sibling->rb_left;
    if (!is_red(near) && !is_red(far)) {
      set_red(sibling);
      n = parent;
      parent = parent_of(n);
      continue;
    }
    if (!is_red(far)) {
      set_black(near);
      set_red(sibling);
      rotate(root, sibling, !left);
      sibling = left ? parent->rb_right : parent->rb_left;
      far = left ? sibling->rb_right : sibling->rb_left;
    }
    copy_color(sibling, parent);
    set_black(parent);
    set_black(far);
    rotate(root, parent, left);
    return;
  }
  if (n != nullptr) set_black(n);
}

}  // namespace

void insert(Root& root, Node& node, Node* parent, Node** link) {
  Node* n = &node;
  n->__rb_parent_color = reinterpret_cast<unsigned long>(parent);  // red
  n->rb_left = n->rb_right = nullptr;
  *link = n;
  while (is_red(parent_of(n))) {
    Node* p = parent_of(n);
    Node* grand = parent_of(p);
    const bool left = grand->rb_left == p;
    Node* uncle = left ? grand->rb_right : grand->rb_left;
    if (is_red(uncle)) {
      set_black(p);
      set_black(uncle);
      set_red(grand);
      n = grand;
      continue;
    }
    if (n == (left ? p->rb_right : p->rb_left)) {
      rotate(root, p, left);
      p = n;
    }
    set_black(p);
    set_red(grand);
    rotate(root, grand, !left);
    break;
  }
  set_black(root.rb_node);
}

void erase(Root& root, Node& node) {
  Node* n = &node;
  USCX_ASSERT(linked(node));
  Node* child;
  Node* parent;
  bool lost_black;
  if (n->rb_left != nullptr && n->rb_right != nullptr) {
    Node* next = n->rb_right;  // takes n's place
    while (next->rb_left != nullptr) next = next->rb_left;
    child = next->rb_right;
    lost_black = !is_red(next);
    parent = parent_of(next);
    if (parent == n) {
      parent = next;
    } else {
      parent->rb_left = child;
      if (child != nullptr) set_parent(child, parent);
      next->rb_right = n->rb_right;
      set_parent(next->rb_right, next);
    }
    next->rb_left = n->rb_left;
    set_parent(next->rb_left, next);
    replace_child(root, parent_of(n), n, next);
    next->__rb_parent_color = n->__rb_parent_color;
  } else {
    child = n->rb_left != nullptr ? n->rb_left : n->rb_right;
    parent = parent_of(n);
    lost_black = !is_red(n);
    replace_child(root, parent, n, child);
    if (child != nullptr) set_parent(child, parent);
  }
  if (lost_black) erase_fixup(root, child, parent);
  clear(node);
}

Node* next(const Node& node) {
  const Node* n = &node;
  if (n->rb_right != nullptr) {
    Node* p = n->rb_right;
    while (p->rb_left != nullptr) p = p->rb_left;
    return p;
  }
  Node* p = parent_of(n);
  while (p != nullptr && n == p->rb_right) {
    n = p;
    p = parent_of(p);
  }
  return p;
}

Node* prev(const Node& node) {
  const Node* n = &node;
  if (n->rb_left != nullptr) {
    Node* p = n->rb_left;
    while (p->rb_right != nullptr) p = p->rb_right;
    return p;
  }
  Node* p = parent_of(n);
  while (p != nullptr && n == p->rb_left) {
    n = p;
    p = parent_of(p);
  }
  return p;
}

}  // namespace uscx::bpf::rb
