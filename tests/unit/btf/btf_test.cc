// SPDX-License-Identifier: GPL-2.0-only
#include "btf/btf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "btf/builder.h"

namespace uscx::btf {
namespace {

/// struct outer { int a; union { struct inner { u64 x, y[4]; } in; int alias; }; const char *name;
/// u32 lo:3, hi:5; };
struct Sample {
  Builder b;
  u32 int_id = b.add_int("int", 4, kSigned);
  u32 char_id = b.add_int("char", 1, kChar);
  u32 u64_id = b.add_int("unsigned long long", 8);
  u32 array_id = b.add_array(u64_id, int_id, 4);
  u32 inner_id = b.add_struct("inner", 40, {{"x", u64_id, 0, 0}, {"y", array_id, 64, 0}});
  u32 union_id =
      b.add_composite(Kind::kUnion, "", 40, {{"in", inner_id, 0, 0}, {"alias", int_id, 0, 0}});
  u32 const_char_id = b.add_const(char_id);
  u32 pointer_id = b.add_ptr(const_char_id);
  u32 outer_id = b.add_struct("outer", 64,
                              {{"a", int_id, 0, 0},
                               {"", union_id, 64, 0},
                               {"name", pointer_id, 384, 0},
                               {"lo", int_id, 448, 3},
                               {"hi", int_id, 451, 5}});
  u32 typedef_id = b.add_typedef("outer_t", outer_id);
  u32 proto_id = b.add_func_proto(int_id, {{"o", pointer_id}, {"n", int_id}});
  u32 func_id = b.add_func("frob", proto_id);
  u32 tag_id = b.add_decl_tag("bpf_kfunc", func_id);
  u32 member_tag_id = b.add_decl_tag("since:7.3", outer_id, 2);
  u32 enum_id = b.add_enum("color", 4, true, {{"RED", static_cast<u64>(-1)}, {"BLUE", 7}});
  u32 enum64_id = b.add_enum("big", 8, false, {{"HUGE_ONE", 1ULL << 63}});

  Btf parse() const {
    auto btf = Btf::parse(b.finish());
    EXPECT_TRUE(btf) << btf.error().message;
    return std::move(*btf);
  }
};

std::string error_of(const std::vector<std::byte>& bytes) {
  const auto btf = Btf::parse(bytes);
  return btf ? "" : btf.error().message;
}

TEST(Btf, FindsByNameAndKind) {
  const Sample s;
  const Btf btf = s.parse();
  EXPECT_EQ(btf.type_count(), s.b.last_id() + 1);
  EXPECT_EQ(btf.find("outer", Kind::kStruct), s.outer_id);
  EXPECT_EQ(btf.find("outer", Kind::kUnion), std::nullopt);
  EXPECT_EQ(btf.find("frob", Kind::kFunc), s.func_id);
  EXPECT_EQ(btf.find("nothing", Kind::kFunc), std::nullopt);
  EXPECT_EQ(btf.find_composite("outer_t"), s.outer_id);
  EXPECT_EQ(btf.name(s.outer_id), "outer");
}

TEST(Btf, StaysValidWhenMoved) {
  const Sample s;
  Btf first = s.parse();
  const Btf second = std::move(first);
  EXPECT_EQ(second.name(s.inner_id), "inner");
  EXPECT_EQ(second.find("inner", Kind::kStruct), s.inner_id);
}

TEST(Btf, SizesAndModifiers) {
  const Sample s;
  const Btf btf = s.parse();
  EXPECT_EQ(btf.size_of(s.array_id), 32u);
  EXPECT_EQ(btf.size_of(s.typedef_id), 64u);
  EXPECT_EQ(btf.size_of(s.pointer_id), 8u);
  EXPECT_EQ(btf.size_of(s.func_id), std::nullopt);
  EXPECT_EQ(btf.size_of(0), std::nullopt);
  EXPECT_EQ(btf.resolve(s.typedef_id), s.outer_id);
  EXPECT_EQ(btf.spell(s.pointer_id), "const char *");
}

TEST(Btf, FollowsMemberPaths) {
  const Sample s;
  const Btf btf = s.parse();
  const auto through_anonymous = btf.find_member_path(s.typedef_id, "in.y[2]");
  ASSERT_TRUE(through_anonymous) << through_anonymous.error().message;
  EXPECT_EQ(through_anonymous->byte_offset(), 8u + 8 + 16);
  EXPECT_EQ(through_anonymous->size, 8u);
  const auto bits = btf.find_member_path(s.outer_id, "hi");
  ASSERT_TRUE(bits);
  EXPECT_EQ(bits->bit_offset, 451u);
  EXPECT_EQ(bits->bitfield_size, 5u);
  for (const char* wrong : {"", "b", "in.z", "in.y[4]", "in.y[", "in.y[x]", "in.y[0", "a.b", "a[0]",
                            "in.", ".a", "in..x", "in.y[1]z"}) {
    EXPECT_FALSE(btf.find_member_path(s.outer_id, wrong)) << wrong;
  }
  EXPECT_EQ(btf.find_member_path(s.outer_id, "in.z").error().message,
            "struct outer has no 'in.z': no member 'z' in struct inner");
}

TEST(Btf, PrototypesTagsAndEnumerators) {
  const Sample s;
  const Btf btf = s.parse();
  const auto proto = btf.func_proto(s.func_id);
  ASSERT_TRUE(proto);
  EXPECT_EQ(proto->result, s.int_id);
  ASSERT_EQ(proto->params.size(), 2u);
  EXPECT_EQ(proto->params[1].name, "n");
  EXPECT_FALSE(btf.func_proto(s.outer_id));
  EXPECT_TRUE(btf.has_decl_tag(s.func_id, "bpf_kfunc"));
  EXPECT_EQ(btf.decl_tags(s.outer_id, 2), std::vector<std::string_view>{"since:7.3"});
  EXPECT_TRUE(btf.decl_tags(s.outer_id, 1).empty());
  EXPECT_EQ(btf.find_enumerator("RED"), static_cast<u64>(-1));
  EXPECT_EQ(btf.find_enumerator("HUGE_ONE"), 1ULL << 63);
  EXPECT_EQ(btf.find_enumerator("GREEN"), std::nullopt);
  EXPECT_EQ(btf.member_index(s.outer_id, "name"), 2u);
}

TEST(Btf, EveryTruncationIsAnError) {
  const std::vector<std::byte> whole = Sample().b.finish();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(Btf::parse(std::span(whole).first(length))) << length;
  }
}

TEST(Btf, RefusesWhatContainsItself) {
  Builder direct;
  direct.add_struct("a", 8, {{"b", 2, 0, 0}});
  direct.add_struct("b", 8, {{"a", 1, 0, 0}});
  EXPECT_NE(error_of(direct.finish()).find("contains itself"), std::string::npos);

  Builder typedefs;
  typedefs.add_typedef("t", 2);
  typedefs.add_const(1);
  EXPECT_NE(error_of(typedefs.finish()).find("contains itself"), std::string::npos);

  Builder pointer;  // behind a pointer it is fine
  pointer.add_struct("a", 8, {{"next", 2, 0, 0}});
  pointer.add_ptr(1);
  EXPECT_EQ(error_of(pointer.finish()), "");
}

TEST(Btf, LongChainsDoNotExhaustTheStack) {
  Builder b;
  for (u32 i = 0; i < 200'000; ++i) b.add_const(i + 2);
  b.add_int("int", 4, kSigned);
  const auto btf = Btf::parse(b.finish());
  ASSERT_TRUE(btf) << btf.error().message;
  EXPECT_EQ(btf->size_of(1), 4u);
}

TEST(Btf, RefusesBadReferences) {
  Builder range;
  range.add_ptr(9);
  EXPECT_EQ(error_of(range.finish()), "BTF type 1: refers to type 9 of 2");

  Builder func;
  func.add_func("f", func.add_int("int", 4));
  EXPECT_EQ(error_of(func.finish()), "BTF type 2: FUNC without a FUNC_PROTO");

  Builder member;
  member.add_int("int", 4);
  member.add_struct("s", 4, {{"a", 1, 0, 0}, {"b", 1, 32, 0}});
  EXPECT_EQ(error_of(member.finish()), "BTF type 2: member 1 ends outside");

  Builder of_void;
  of_void.add_array(0, 0, 3);
  EXPECT_EQ(error_of(of_void.finish()), "BTF type 1: array of a type without a size");

  Builder tag;
  tag.add_int("int", 4);
  tag.add_struct("s", 4, {{"a", 1, 0, 0}});
  tag.add_decl_tag("t", 2, 1);
  EXPECT_EQ(error_of(tag.finish()), "BTF type 3: component index out of range");

  Builder unnamed;
  unnamed.add_func("", unnamed.add_func_proto(0, {}));
  EXPECT_EQ(error_of(unnamed.finish()), "BTF type 2: FUNC without a name");

  Builder large;
  large.add_int("int", 4);
  large.add_array(1, 1, 0xffffffff);
  EXPECT_EQ(error_of(large.finish()), "BTF type 2: array too large");
}

TEST(Btf, RefusesBadHeaders) {
  const std::vector<std::byte> good = Sample().b.finish();
  const auto with_word = [&](size_t offset, u32 value) {
    auto bytes = good;
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
    return error_of(bytes);
  };
  EXPECT_EQ(with_word(0, 0x0001eb9e), "BTF: wrong magic number");
  EXPECT_EQ(with_word(0, 0x0002eb9f), "BTF: unsupported version");
  EXPECT_EQ(with_word(0, 0x0101eb9f), "BTF: unsupported flags");
  EXPECT_EQ(with_word(4, 23), "BTF: header length out of range");
  EXPECT_EQ(with_word(8, 4), "BTF: sections overlap or leave a gap");
  EXPECT_EQ(with_word(20, 1), "BTF: sections do not fill the data");
  EXPECT_EQ(with_word(4, 0xffffffff), "BTF: header length out of range");
}

}  // namespace
}  // namespace uscx::btf
