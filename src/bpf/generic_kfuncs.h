// SPDX-License-Identifier: GPL-2.0-only
// The sets of kfuncs that have nothing to do with scheduling, one function a file.
#pragma once

namespace uscx::bpf {

class Bpf;

/// Resilient spin locks, interrupt flags, streams, iteration over bits.
void add_lock_kfuncs(Bpf& bpf);
/// bpf_strlen and its like.
void add_string_kfuncs(Bpf& bpf);

}  // namespace uscx::bpf
