// SPDX-License-Identifier: GPL-2.0-only
#pragma once

struct bpf_object;
struct bpf_program;

namespace uscx::cli {

/// Takes every program but `wanted` out of the object's struct_ops tables. libbpf loads what a
/// table names, whatever bpf_program__set_autoload() said; this is how one is loaded alone.
void mask_other_struct_ops(bpf_object* object, const bpf_program* wanted);

}  // namespace uscx::cli
