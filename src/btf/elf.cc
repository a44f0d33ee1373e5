// SPDX-License-Identifier: GPL-2.0-only
#include "btf/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <optional>

namespace uscx::btf {
namespace {

template <class T>
std::optional<T> read_at(std::span<const std::byte> file, u64 offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

std::optional<std::span<const std::byte>> contents(std::span<const std::byte> file,
                                                   const Elf64_Shdr& s) {
  if (s.sh_type == SHT_NOBITS) return std::span<const std::byte>{};
  if (s.sh_offset > file.size() || file.size() - s.sh_offset < s.sh_size) return std::nullopt;
  return file.subspan(s.sh_offset, s.sh_size);
}

bool is_named(std::span<const std::byte> names, u32 offset, std::string_view name) {
  if (offset >= names.size() || names.size() - offset <= name.size()) return false;
  return std::memcmp(names.data() + offset, name.data(), name.size()) == 0 &&
         names[offset + name.size()] == std::byte{0};
}

}  // namespace

OrError<std::span<const std::byte>> elf_section(std::span<const std::byte> file,
                                                std::string_view name) {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
    return error("not an ELF file");
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) {
    return error("not a little-endian 64-bit ELF file");
  }
  if (header->e_shentsize != sizeof(Elf64_Shdr))
    return error("ELF file without usable section headers");
  const auto section = [&](u32 index) {
    const u64 offset = header->e_shoff + u64{index} * sizeof(Elf64_Shdr);
    return offset < header->e_shoff ? std::nullopt : read_at<Elf64_Shdr>(file, offset);
  };
  const auto names_header = section(header->e_shstrndx);
  const auto names = names_header ? contents(file, *names_header) : std::nullopt;
  if (!names) return error("ELF file without section names");
  for (u32 i = 0; i < header->e_shnum; ++i) {
    const auto s = section(i);
    if (!s) return error("ELF section header out of range");
    if (!is_named(*names, s->sh_name, name)) continue;
    const auto bytes = contents(file, *s);
    if (!bytes) return error(fmt::format("ELF section {} out of range", name));
    return *bytes;
  }
  return error(fmt::format("no section {}", name));
}

}  // namespace uscx::btf
