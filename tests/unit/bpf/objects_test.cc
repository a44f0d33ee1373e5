// SPDX-License-Identifier: GPL-2.0-only
// bpf_obj_new and its lists and trees. Expectations: progs/linked_list.c, rbtree.c,
// refcounted_kptr.c of the kernel's selftests, and kernel/bpf/helpers.c where they are silent.
#include <gtest/gtest.h>

#include "bpf/graph.h"
#include "bpf/impl.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

/// struct node { struct bpf_list_node l; struct bpf_rb_node r; struct bpf_refcount ref; long key; }
class Objects : public testing::Test {
 protected:
  // Small programs that show the engine's side; the verifier has tests of its own.
  Objects() { kernel.bpf->impl().verify_programs = false; }

  static constexpr s16 kTree = 24, kKey = 64;
  static constexpr s32 kLess = 68;  // where the tree test's callback begins

  void SetUp() override {
    btf::Builder types;
    const u32 integer = types.add_int("int", 4, btf::kSigned);
    const u32 word = types.add_int("long", 8, btf::kSigned);
    const u32 list = types.add_struct("bpf_list_node", 24, {{"x", word, 0}});
    const u32 tree = types.add_struct("bpf_rb_node", 32, {{"x", word, 0}});
    const u32 count = types.add_struct("bpf_refcount", 4, {{"x", integer, 0}});
    node = types.add_struct(
        "node", 72, {{"l", list, 0}, {"r", tree, 192}, {"ref", count, 448}, {"key", word, 512}});
    const u32 head = types.add_struct("bpf_list_head", 16, {{"x", word, 0}});
    const u32 root = types.add_struct("bpf_rb_root", 16, {{"x", word, 0}});
    const u32 value = types.add_struct("value", 32, {{"head", head, 0}, {"root", root, 128}});
    function = types.add_func("f", types.add_func_proto(integer, {}), btf::kGlobal);
    user.prog_btf = user.load_btf(types.finish());
    ASSERT_GE(user.prog_btf, 0);
    map = user.create_with_btf(uapi::kMapArray, 4, 32, 1, 0, user.prog_btf, integer, value);
    ASSERT_GE(map, 0);
    user.functions = {{0, function}};
  }
  u32 kfunc(const char* name) { return *kernel.bpf->vmlinux().find(name, btf::Kind::kFunc); }
  ToyKernel kernel;
  BpfUser user{kernel};
  long map = -1;
  u32 node = 0, function = 0;
};

TEST_F(Objects, AllocatedObjectsAreCounted) {
  AllocatedObjects& objects = kernel.bpf->impl().objects;
  auto btf = *kernel.bpf->impl().fds.get<BtfObject>(static_cast<int>(user.prog_btf));
  const u64 object = objects.make(btf, node, false);
  ASSERT_NE(object, 0u);
  EXPECT_EQ(*reinterpret_cast<u32*>(object + 56), 1u) << "bpf_refcount begins at 1";
  EXPECT_TRUE(objects.acquire(object));
  EXPECT_TRUE(objects.drop(object));
  EXPECT_TRUE(objects.contains(object));
  EXPECT_TRUE(objects.drop(object));
  EXPECT_FALSE(objects.drop(object));
  EXPECT_EQ(objects.make(btf, 1, false), 0u) << "an int is no struct";
  const u64 percpu = objects.make(btf, node, true);
  EXPECT_EQ(objects.on_cpu(percpu, 2), percpu + 2 * 72);
  objects.drop(percpu);
}

TEST_F(Objects, ListFirstInFirstOut) {
  // Two nodes with keys 1, 2 pushed to the back; what pop_front gives first is returned and
  // dropped.
  Code code;
  for (s32 key : {1, 2}) {
    code.mov(1, static_cast<s32>(node)).mov(2, 0).kfunc(kfunc("bpf_obj_new_impl"));
    code.jump_if_not_zero(0, 2).mov(0, -1).exit();
    code.store64_imm(0, kKey, key).copy(2, 0);
    code.map_value(1, map, 0).mov(3, 0).mov(4, 0).kfunc(kfunc("bpf_list_push_back_impl"));
  }
  code.map_value(1, map, 0).kfunc(kfunc("bpf_list_pop_front"));
  code.jump_if_not_zero(0, 2).mov(0, -2).exit();
  code.load64(6, 0, kKey).copy(1, 0).mov(2, 0).kfunc(kfunc("bpf_obj_drop_impl"));
  code.copy(0, 6).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 1u) << user.log;
  EXPECT_TRUE(kernel.host.faults.empty());
  // The other one is still on the list, and goes with the map's value.
  auto held = *kernel.bpf->impl().fds.get<Map>(static_cast<int>(map));
  auto& head = *reinterpret_cast<ListLinks*>(held->direct_address());
  ASSERT_FALSE(list_empty(head));
  const u64 left = kernel.bpf->impl().objects.around(reinterpret_cast<u64>(head.next));
  EXPECT_NE(left, 0u);
  free_fields(*kernel.bpf, held->spec().fields, held->direct_address());
  EXPECT_FALSE(kernel.bpf->impl().objects.contains(left));
  EXPECT_TRUE(list_empty(head));
}

TEST_F(Objects, TreeIsInOrder) {
  // Keys 5, 3, 4; the leftmost is returned.
  Code code;
  for (s32 key : {5, 3, 4}) {
    code.mov(1, static_cast<s32>(node)).mov(2, 0).kfunc(kfunc("bpf_obj_new_impl"));
    code.jump_if_not_zero(0, 2).mov(0, -1).exit();
    code.store64_imm(0, kKey, key).copy(2, 0).add(2, kTree);
    const auto at = static_cast<s32>(static_cast<const std::vector<Insn>&>(code).size());
    code.map_value(1, map, 16).function(3, kLess - at - 4).mov(4, 0).mov(5, 0);
    code.kfunc(kfunc("bpf_rbtree_add_impl"));
  }
  code.map_value(1, map, 16).kfunc(kfunc("bpf_rbtree_first"));
  code.jump_if_not_zero(0, 2).mov(0, -2).exit();
  code.load64(6, 0, kKey - kTree);
  code.map_value(1, map, 16).copy(2, 0).kfunc(kfunc("bpf_rbtree_remove"));
  code.jump_if_not_zero(0, 2).mov(0, -3).exit();
  code.copy(1, 0).add(1, -kTree).mov(2, 0).kfunc(kfunc("bpf_obj_drop_impl"));
  code.copy(0, 6).exit();
  ASSERT_EQ(static_cast<const std::vector<Insn>&>(code).size(), static_cast<std::size_t>(kLess));
  // less(a, b): a->key < b->key
  code.load64(1, 1, kKey - kTree).load64(2, 2, kKey - kTree).mov(0, 1);
  code.raw(0xad, 1, 2, 1, 0).mov(0, 0).exit();
  const long fd = user.load_syscall(code);
  EXPECT_EQ(user.run(fd), 3u) << user.log;
  EXPECT_TRUE(kernel.host.faults.empty());
  auto held = *kernel.bpf->impl().fds.get<Map>(static_cast<int>(map));
  auto& root = *reinterpret_cast<TreeRoot*>(held->direct_address() + 16);
  ASSERT_NE(root.leftmost, nullptr);
  EXPECT_EQ(*reinterpret_cast<s64*>(reinterpret_cast<u64>(root.leftmost) + kKey - kTree), 4);
  EXPECT_EQ(rb::next(*rb::next(*root.leftmost)), nullptr) << "two are left";
}

}  // namespace
}  // namespace uscx::bpf::test
