// SPDX-License-Identifier: GPL-2.0-only
// The built-in BTF against real kernels', where the environment names one:
//   USCX_VMLINUX_BTF_7_3=/sys/kernel/btf/vmlinux
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "btf/btf.h"
#include "btf/compare.h"
#include "btf/profile.h"

namespace uscx::btf {
namespace {

class RealKernel : public testing::TestWithParam<KernelVersion> {};

TEST_P(RealKernel, HasTheSameDeclarations) {
  const std::string variable =
      fmt::format("USCX_VMLINUX_BTF_{}_{}", GetParam().major, GetParam().minor);
  const char* path = std::getenv(variable.c_str());
  if (path == nullptr)
    GTEST_SKIP() << variable << " does not name that kernel's BTF: nothing was compared";
  std::ifstream in(path, std::ios::binary);
  ASSERT_TRUE(in) << path;
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto kernel = Btf::parse(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(kernel) << kernel.error().message;
  const auto ours = Btf::parse(builtin_btf(GetParam()));
  ASSERT_TRUE(ours) << ours.error().message;
  for (const std::string& line : compare_with_kernel(*ours, *kernel)) ADD_FAILURE() << line;
}

INSTANTIATE_TEST_SUITE_P(Versions, RealKernel,
                         testing::ValuesIn(known_versions().begin(), known_versions().end()),
                         [](const auto& v) {
                           return fmt::format("v{}_{}", v.param.major, v.param.minor);
                         });

}  // namespace
}  // namespace uscx::btf
