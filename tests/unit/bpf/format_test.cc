// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/format.h"

#include <gtest/gtest.h>

#include <cstring>

namespace uscx::bpf {
namespace {

class Format : public testing::Test {
 protected:
  Format() : window(std::move(AddressWindow::create().value())) { window->activate(); }

  std::string of(std::string_view fmt, std::vector<u64> args = {}) {
    auto text = format_message(*window, fmt, args);
    return text ? *text : "error " + std::to_string(text.error().value);
  }
  u64 text(const char* s) {
    auto* memory = static_cast<char*>(window->allocate(std::strlen(s) + 1, kProgramMemory));
    std::strcpy(memory, s);
    return reinterpret_cast<u64>(memory);
  }
  std::unique_ptr<AddressWindow> window;
};

TEST_F(Format, Integers) {
  EXPECT_EQ(of("%d", {0xffffffffffffffff}), "-1");
  EXPECT_EQ(of("%d", {0x1'0000'0002}), "2");
  EXPECT_EQ(of("%u", {0xffffffffffffffff}), "4294967295");
  EXPECT_EQ(of("%lld", {0xffffffffffffffff}), "-1");
  EXPECT_EQ(of("%ld", {0x8000000000000000}), "-9223372036854775808");
  EXPECT_EQ(of("%llu", {0xffffffffffffffff}), "18446744073709551615");
  EXPECT_EQ(of("%x %X %llx", {0xab, 0xab, 0xffffffffffffffff}), "ab AB ffffffffffffffff");
  EXPECT_EQ(of("%i", {7}), "7");
}

TEST_F(Format, FlagsAndWidths) {
  EXPECT_EQ(of("[%5d]", {42}), "[   42]");
  EXPECT_EQ(of("[%-5d]", {42}), "[42   ]");
  EXPECT_EQ(of("[%05d]", {42}), "[00042]");
  EXPECT_EQ(of("[%+d]", {42}), "[+42]");
  EXPECT_EQ(of("[%016llx]", {0xabc}), "[0000000000000abc]");
  EXPECT_EQ(of("[%-6s]", {text("ab")}), "[ab    ]");
  EXPECT_EQ(of("[%6s]", {text("ab")}), "[    ab]");
}

TEST_F(Format, TextAndCharacters) {
  EXPECT_EQ(of("100%% %s:%c\n", {text("x"), 'y'}), "100% x:y\n");
  EXPECT_EQ(of("%s", {0}), "");         // null is unreadable
  EXPECT_EQ(of("%s|", {0x1234}), "|");  // so is anything outside the window
  EXPECT_EQ(of("caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST_F(Format, StringsShareThe512BytesOfTheKernel) {
  const std::string text600(600, 'a');
  EXPECT_EQ(of("%s", {text(text600.c_str())}), std::string(511, 'a'));
  EXPECT_EQ(of("%s%% %d", {text(text600.c_str()), 1}), "error " + std::to_string(ENOSPC));
}

TEST_F(Format, Pointers) {
  EXPECT_EQ(of("%p", {0}), "0000000000000000");
  EXPECT_EQ(of("%px", {0xabcd}), "000000000000abcd");
  const std::string hashed = of("%p", {AddressWindow::kBase});
  EXPECT_EQ(hashed.substr(0, 8), "00000000");
  EXPECT_NE(hashed, of("%px", {AddressWindow::kBase}));
  EXPECT_EQ(hashed, of("%p", {AddressWindow::kBase}));
}

TEST_F(Format, Refuses) {
  const std::string einval = "error " + std::to_string(EINVAL);
  EXPECT_EQ(of("%d"), einval);  // no argument for it
  EXPECT_EQ(of("%n", {1}), einval);
  EXPECT_EQ(of("%f", {1}), einval);
  EXPECT_EQ(of("%", {1}), einval);
  EXPECT_EQ(of("%.3s", {1}), einval);
  EXPECT_EQ(of("%hd", {1}), einval);
  EXPECT_EQ(of("%sx", {text("a")}), einval);
  EXPECT_EQ(of("%pz", {1}), einval);
  EXPECT_EQ(of("\x01"), einval);
}

}  // namespace
}  // namespace uscx::bpf
