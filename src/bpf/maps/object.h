// SPDX-License-Identifier: GPL-2.0-only
// The struct bpf_map that a map's address points at, as the kernel's BTF lays it out.
#pragma once

#include "base/types.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf {

class Map;

/// Bytes of a map's object: of struct bpf_map, or of the struct around it that programs know.
u32 map_object_size(const btf::Btf& vmlinux, u32 map_type);
/// Fills in what programs may read of it and what a map of ours has; the rest stays zero. Again
/// whenever one of these changes.
void fill_map_object(const btf::Btf& vmlinux, const Map& map);

}  // namespace uscx::bpf
