// SPDX-License-Identifier: GPL-2.0-only
// Is everything that holds for an explored state true of another one as well?
#pragma once

#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

struct Verifier;

enum class Exactness : u8 {
  kNotExact,     // imprecise scalars need not be compared
  kExact,        // the same but for ids: an endless loop
  kRangeWithin,  // all scalars are compared, by inclusion: a loop that converged
};
/// Linux: states_equal.
bool states_equal(Verifier& v, const VerifierState& old, const VerifierState& cur, Exactness exact);

}  // namespace uscx::bpf::verifier
