// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace uscx::bpf {

class Bpf;

/// The struct_ops types of Linux that exist here for the verifier alone.
void register_unserved_struct_ops(Bpf& bpf);

}  // namespace uscx::bpf
