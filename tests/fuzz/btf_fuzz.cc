// SPDX-License-Identifier: GPL-2.0-only
// The BTF reader eats arbitrary bytes: whatever parses must be usable through every accessor.
// With clang: -fsanitize=fuzzer,address. Otherwise (USCX_FUZZ_MAIN) a fixed series of mutations of
// the built-in BTF runs as a test.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "btf/btf.h"
#include "btf/filter.h"
#include "btf/profile.h"

namespace {

using namespace uscx;

/// Calls everything that takes an id; the results only have to exist.
size_t walk(const btf::Btf& btf) {
  size_t seen = 0;
  for (u32 id = 0; id < btf.type_count(); ++id) {
    seen += btf.spell(id).size() + btf.resolve(id) + btf.size_of(id).value_or(0);
    for (const btf::Member& m : btf.members(id)) {
      seen += m.name.size();
      if (!m.name.empty()) seen += btf.find_member_path(id, m.name).has_value();
    }
    for (const btf::Enumerator& e : btf.enumerators(id)) seen += e.value & 1;
    for (const btf::SecVar& v : btf.section_vars(id)) seen += btf.name(v.type).size();
    if (const auto proto = btf.func_proto(id)) seen += proto->params.size();
    seen += btf.decl_tags(id).size() + btf.decl_tags(id, 0).size();
    if (!btf.name(id).empty() && btf.kind(id) != btf::Kind::kDeclTag) {
      if (!btf.find(btf.name(id), btf.kind(id))) std::abort();
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto btf = uscx::btf::Btf::parse(std::as_bytes(std::span(data, size)));
  if (!btf) {
    if (btf.error().message.empty() || btf.error().message.find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  volatile size_t sink = walk(*btf);
  static_cast<void>(sink);
  const auto filtered = uscx::btf::filter(*btf, uscx::btf::kDefaultVersion);
  if (filtered && !uscx::btf::Btf::parse(*filtered)) std::abort();  // what we write, we can read
  return 0;
}

#ifdef USCX_FUZZ_MAIN
namespace {

/// xorshift64*: the same series everywhere.
struct Random {
  u64 state;
  u64 next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dULL;
  }
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }
};

void mutate(std::vector<uint8_t>& bytes, Random& random) {
  static constexpr u32 kInteresting[] = {0,          1,          2,      0x7fffffff,
                                         0x80000000, 0xffffffff, 0xffff, 0x04000001};
  const size_t edits = 1 + random.below(4);
  for (size_t i = 0; i < edits && bytes.size() >= 8; ++i) {
    const size_t at = random.below(bytes.size() - 4);
    switch (random.below(4)) {
      case 0:
        bytes[at] ^= static_cast<uint8_t>(1u << random.below(8));
        break;
      case 1:
        std::memcpy(&bytes[at & ~size_t{3}], &kInteresting[random.below(std::size(kInteresting))],
                    4);
        break;
      case 2: {
        const u32 id = static_cast<u32>(random.below(2000));
        std::memcpy(&bytes[at & ~size_t{3}], &id, 4);
        break;
      }
      default:
        if (random.below(8) == 0) bytes.resize(at);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 150;
  for (const btf::KernelVersion version : btf::known_versions()) {
    const auto blob = btf::builtin_btf(version);
    const auto* bytes = reinterpret_cast<const uint8_t*>(blob.data());
    const std::vector<uint8_t> original(bytes, bytes + blob.size());
    LLVMFuzzerTestOneInput(original.data(), original.size());
    Random random{0x9e3779b97f4a7c15ULL};
    for (int i = 0; i < rounds; ++i) {
      std::vector<uint8_t> mutant = original;
      mutate(mutant, random);
      LLVMFuzzerTestOneInput(mutant.data(), mutant.size());
    }
  }
  std::printf("btf_fuzz: %d mutations of each built-in BTF\n", rounds);
  return 0;
}
#endif
