// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/planted.h"

#include <iterator>

#include "base/assert.h"
#include "bpf/verifier/claims.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

std::string_view to_string(PlantedFault fault) {
  constexpr std::string_view kNames[] = {
      "none",
      "sum_narrow",
      "and_forgets_bit",
      "shift_unsigned",
      "subreg_not_extended",
      "jump_off_by_one",
      "link_without_delta",
      "null_unchecked",
      "released_where_not_null",
      "release_keeps_pointer",
      "section_left",
      "value_bound_loose",
      "spill_survives",
      "helper_write_unseen",
      "call_keeps_registers",
      "fetch_unseen",
      "load_too_narrow",
      "packet_range_long",
      "prune_any_number",
      "iter_no_element",
      "loop_ends",
  };
  static_assert(std::size(kNames) == static_cast<std::size_t>(PlantedFault::kCount));
  USCX_ASSERT(fault < PlantedFault::kCount);
  return kNames[static_cast<std::size_t>(fault)];
}

bool planted(const Verifier& v, PlantedFault fault) {
  return v.in.claims && v.in.claims->planted == fault;
}

}  // namespace uscx::bpf::verifier
