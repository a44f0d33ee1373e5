// SPDX-License-Identifier: GPL-2.0-only
// Real libbpf loads real objects through our bpf(2).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdlib>
#include <filesystem>

#include "user_half.h"

namespace uscx::bpf::test {
namespace {

std::string libbpf_text;

int collect(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG && !std::getenv("USCX_LIBBPF_DEBUG")) return 0;
  char line[65536];
  const int n = std::vsnprintf(line, sizeof(line), format, args);
  libbpf_text += line;
  return n;
}

class Objects : public testing::Test {
 protected:
  static btf::KernelVersion version() {
    const char* text = std::getenv("USCX_TEST_KERNEL");
    return text ? btf::parse_version(text).value() : btf::kDefaultVersion;
  }
  Objects() : kernel(version()), half(kernel) {
    kernel.register_missing_kfuncs();
    libbpf_text.clear();
    libbpf_set_print(collect);
  }
  ToyKernel kernel;
  UserHalf half;
};

/// Opens, loads, attaches and detaches; empty where all went well.
std::string load_and_attach(ToyKernel& kernel, const std::string& path) {
  bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
  if (!object) return "open failed\n" + libbpf_text;
  std::string problem;
  if (bpf_object__load(object)) {
    problem = "load failed\n" + libbpf_text;
  } else {
    bpf_map* map;
    bpf_object__for_each_map(map, object) {
      if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS || !problem.empty()) continue;
      bpf_link* link = bpf_map__attach_struct_ops(map);
      if (!link) {
        problem = "attach failed\n" + libbpf_text;
        break;
      }
      auto registered = [&] {
        std::size_t n = 0;
        for (auto& [name, ops] : kernel.ops) n += ops->registered.size();
        return n;
      };
      if (registered() != 1) problem = "nothing was registered\n";
      bpf_link__destroy(link);
      kernel.bpf->reap_closed_fds();
      if (registered() != 0) problem = "still registered after the link's last close\n";
    }
  }
  bpf_object__close(object);
  return problem;
}

TEST_F(Objects, LoadAttachAndDetach) {
  const char* list = std::getenv("USCX_TEST_OBJECTS");
  if (!list) {
    GTEST_SKIP() << "USCX_TEST_OBJECTS names no directory (or object) to load";
  }
  int loaded = 0;
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(list)) {
    for (const auto& entry : std::filesystem::directory_iterator(list)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".bpf.o")) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
  } else {
    paths.emplace_back(list);
  }
  for (const auto& path : paths) {
    libbpf_text.clear();
    const std::string problem = load_and_attach(kernel, path.string());
    EXPECT_EQ(problem, "") << path;
    if (problem.empty()) ++loaded;
  }
  std::printf("%d of %zu objects loaded and attached\n", loaded, paths.size());
  for (const auto& [name, count] : kernel.bpf->unserved()) {
    std::printf("not served: %s (%llu)\n", name.c_str(), static_cast<unsigned long long>(count));
  }
}

}  // namespace
}  // namespace uscx::bpf::test
