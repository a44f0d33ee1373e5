// SPDX-License-Identifier: GPL-2.0-only
// Programs that nobody verified, made ready to run: for tests of what the engines catch.
#pragma once

#include "bpf/verifier/verifier.h"

namespace uscx::bpf::verifier {

/// What verify() gives of a program that is safe, whether it is or not; without a proof.
VerifyResult resolve_only(const VerifyInput& input);

}  // namespace uscx::bpf::verifier
