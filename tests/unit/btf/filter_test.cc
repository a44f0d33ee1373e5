// SPDX-License-Identifier: GPL-2.0-only
#include "btf/filter.h"

#include <gtest/gtest.h>

#include "btf/builder.h"

namespace uscx::btf {
namespace {

/// One struct with three spellings and a function using it, as the header would declare them.
Btf three_spellings() {
  Builder b;
  const u32 integer = b.add_int("int", 4, kSigned);
  const u32 newest = b.add_struct(
      "args", 12, {{"a", integer, 0, 0}, {"b", integer, 32, 0}, {"c", integer, 64, 0}});
  b.add_struct("args___until_7_3", 8, {{"a", integer, 0, 0}, {"b", integer, 32, 0}});
  b.add_struct("args___until_6_18", 4, {{"a", integer, 0, 0}});
  const u32 pointer = b.add_ptr(newest);
  b.add_func("use", b.add_func_proto(0, {{"args", pointer}}));
  return std::move(*Btf::parse(b.finish()));
}

Btf filtered(const Btf& all, KernelVersion version) {
  const auto bytes = filter(all, version);
  EXPECT_TRUE(bytes) << bytes.error().message;
  auto btf = Btf::parse(*bytes);
  EXPECT_TRUE(btf) << btf.error().message;
  return std::move(*btf);
}

TEST(Filter, TakesTheSpellingOfTheVersion) {
  const Btf all = three_spellings();
  const std::pair<KernelVersion, u32> expected[] = {{{6, 12}, 4}, {{6, 17}, 4}, {{6, 18}, 8},
                                                    {{7, 2}, 8},  {{7, 3}, 12}, {{8, 0}, 12}};
  for (const auto& [version, size] : expected) {
    const Btf btf = filtered(all, version);
    const auto args = btf.find("args", Kind::kStruct);
    ASSERT_TRUE(args) << version.to_string();
    EXPECT_EQ(btf.size_of(*args), size) << version.to_string();
    EXPECT_EQ(btf.find_composite("args"), args);
    const auto param = btf.func_proto(*btf.find("use", Kind::kFunc))->params[0];
    EXPECT_EQ(btf.type(param.type).type, *args);
  }
}

TEST(Filter, MembersGoWithoutMovingOthers) {
  Builder b;
  const u32 integer = b.add_int("int", 4, kSigned);
  const u32 s =
      b.add_struct("s", 12, {{"a", integer, 0, 0}, {"b", integer, 32, 0}, {"c", integer, 64, 0}});
  b.add_decl_tag("since:7.3", s, 1);
  b.add_decl_tag("until:7.3", s, 0);
  b.add_var("uscx_root_s", s);
  const Btf all = std::move(*Btf::parse(b.finish()));
  const Btf old = filtered(all, {7, 2}), now = filtered(all, {7, 3});
  const u32 id = *old.find("s", Kind::kStruct);
  EXPECT_EQ(old.size_of(id), 12u);
  ASSERT_EQ(old.members(id).size(), 2u);
  EXPECT_EQ(old.members(id)[0].name, "a");
  EXPECT_EQ(old.members(id)[1].bit_offset, 64u);
  EXPECT_EQ(now.members(*now.find("s", Kind::kStruct))[0].name, "b");
}

TEST(Filter, UseOfSomethingTheVersionLacksIsAnError) {
  Builder b;
  const u32 integer = b.add_int("int", 4, kSigned);
  const u32 late = b.add_struct("late", 4, {{"a", integer, 0, 0}});
  b.add_decl_tag("since:7.3", late);
  b.add_var("uscx_root_user", b.add_struct("user", 4, {{"late", late, 0, 0}}));
  const Btf all = std::move(*Btf::parse(b.finish()));
  EXPECT_TRUE(filter(all, {7, 3}));
  const auto bytes = filter(all, {7, 2});
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().message, "STRUCT user uses STRUCT late, which Linux 7.2 does not have");
}

TEST(Filter, MalformedVersionIsAnError) {
  Builder b;
  const u32 integer = b.add_int("int", 4, kSigned);
  const u32 s = b.add_struct("s", 4, {{"a", integer, 0, 0}});
  b.add_decl_tag("since:soon", s);
  b.add_var("uscx_root_s", s);
  EXPECT_FALSE(filter(*Btf::parse(b.finish()), {7, 3}));
}

TEST(Filter, EnumeratorsFollowTheirVariables) {
  Builder b;
  const u32 e = b.add_enum("e", 4, false, {{"A", 1}, {"B", 2}, {"C___until_7_3", 3}, {"C", 4}});
  const u32 character = b.add_int("char", 1);
  b.add_var("uscx_root_e", e);
  b.add_decl_tag("since:7.3", b.add_var("uscx_value_B", character));
  const Btf all = std::move(*Btf::parse(b.finish()));
  const Btf old = filtered(all, {7, 2}), now = filtered(all, {7, 3});
  EXPECT_EQ(old.enumerators(*old.find("e", Kind::kEnum)).size(), 2u);
  EXPECT_EQ(old.find_enumerator("C"), 3u);
  EXPECT_EQ(now.find_enumerator("C"), 4u);
  EXPECT_EQ(now.find_enumerator("B"), 2u);
}

}  // namespace
}  // namespace uscx::btf
