// SPDX-License-Identifier: GPL-2.0-only
// Faults that tests plant in the verifier, to see that runs of what it then accepts show them. Each
// is one place that asks planted(); nothing but a test sets Claims::planted.
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::bpf::verifier {

struct Verifier;

enum class PlantedFault : u8 {
  kNone,
  kSumNarrow,             // the range of a sum lacks its last value
  kAndForgetsBit,         // the lowest unknown bit of an AND is held to be zero
  kShiftUnsigned,         // an arithmetic shift is taken for a logical one
  kSubregNotExtended,     // a 32-bit operation is taken for one of 64 bits
  kJumpOffByOne,          // > is taken for >=
  kLinkWithoutDelta,      // what is learnt of x holds for x + 1 without the 1
  kNullUnchecked,         // a helper's result is held not to be null
  kReleasedWhereNotNull,  // a reference counts as given back on both sides of its null check
  kReleaseKeepsPointer,   // pointers to an object that was given back stay valid
  kSectionLeft,           // a program may end inside an RCU or a preempt section
  kValueBoundLoose,       // eight bytes behind a map's value may be accessed
  kSpillSurvives,         // a spilled number stays known where a byte of its slot is overwritten
  kHelperWriteUnseen,     // what a helper writes to the stack is not seen
  kCallKeepsRegisters,    // R1-R5 stay known over a call of a helper
  kFetchUnseen,           // what an atomic operation fetches is not seen
  kLoadTooNarrow,         // a load is held to give half of its bytes
  kPacketRangeLong,       // a comparison with the packet's end shows one more byte
  kPruneAnyNumber,        // states are equal whatever their numbers
  kIterNoElement,         // the way on with an iterator's element is not walked
  kLoopEnds,              // a state seen before on the same path ends it: a loop
  kCount,
};

/// "sum_narrow", ...: for the command lines that replay a run.
std::string_view to_string(PlantedFault fault);

/// Does the verification have this fault?
bool planted(const Verifier& v, PlantedFault fault);

}  // namespace uscx::bpf::verifier
