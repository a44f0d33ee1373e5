// SPDX-License-Identifier: GPL-2.0-only
// What the kernel expects of programs without saying so at the program: in prog_tests/NAME.c.
#include <string_view>

#include "conformance/verifier/expectations.h"

namespace uscx::conformance {

namespace {

struct Refusal {
  std::string_view file, program, message;
};
constexpr std::string_view kConntrack = "test_bpf_nf_fail";  // prog_tests/bpf_nf.c
constexpr Refusal kRefusals[] = {
    {kConntrack, "alloc_release",
     "kernel function bpf_ct_release R1 expected pointer to STRUCT nf_conn but"},
    {kConntrack, "insert_insert",
     "kernel function bpf_ct_insert_entry R1 expected pointer to STRUCT nf_conn___init but"},
    {kConntrack, "lookup_insert",
     "kernel function bpf_ct_insert_entry R1 expected pointer to STRUCT nf_conn___init but"},
    {kConntrack, "set_timeout_after_insert",
     "kernel function bpf_ct_set_timeout R1 expected pointer to STRUCT nf_conn___init but"},
    {kConntrack, "set_status_after_insert",
     "kernel function bpf_ct_set_status R1 expected pointer to STRUCT nf_conn___init but"},
    {kConntrack, "change_timeout_after_alloc",
     "kernel function bpf_ct_change_timeout R1 expected pointer to STRUCT nf_conn but"},
    {kConntrack, "change_status_after_alloc",
     "kernel function bpf_ct_change_status R1 expected pointer to STRUCT nf_conn but"},
    {kConntrack, "write_not_allowlisted_field", "no write support to nf_conn at off"},
};

/// pkt_v4 of network_helpers.c: IP and TCP headers with next to nothing in them.
constexpr u8 kPacketV4[] = {0,    0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0,     // Ethernet
                            0x05, 0, 0, 123, 0, 0, 0, 0, 0, 6, 0, 0, 0,    0,     // IP
                            0,    0, 0, 0,   0, 0,                                //
                            0,    0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0,  // TCP
                            0,    0, 0, 123, 0};

struct Result {
  std::string_view file, program;
  s32 value;
};
constexpr std::string_view kExceptions = "exceptions";  // prog_tests/exceptions.c
constexpr Result kResults[] = {
    {kExceptions, "exception_throw_always_1", 64},
    {kExceptions, "exception_throw_always_2", 32},
    {kExceptions, "exception_throw_unwind_1", 16},
    {kExceptions, "exception_throw_unwind_2", 32},
    {kExceptions, "exception_throw_default", 0},
    {kExceptions, "exception_throw_default_value", 5},
    {kExceptions, "exception_tail_call", 24},
    {kExceptions, "exception_ext", 0},
    {kExceptions, "exception_ext_mod_cb_runtime", 35},
    {kExceptions, "exception_throw_subprog", 1},
    {kExceptions, "exception_throw_subprog_stack_cb", 0x1234},
    {kExceptions, "exception_assert_nz_gfunc", 1},
    {kExceptions, "exception_assert_zero_gfunc", 1},
    {kExceptions, "exception_assert_neg_gfunc", 1},
    {kExceptions, "exception_assert_pos_gfunc", 1},
    {kExceptions, "exception_assert_negeq_gfunc", 1},
    {kExceptions, "exception_assert_poseq_gfunc", 1},
    {kExceptions, "exception_assert_nz_gfunc_with", 1},
    {kExceptions, "exception_assert_zero_gfunc_with", 1},
    {kExceptions, "exception_assert_neg_gfunc_with", 1},
    {kExceptions, "exception_assert_pos_gfunc_with", 1},
    {kExceptions, "exception_assert_negeq_gfunc_with", 1},
    {kExceptions, "exception_assert_poseq_gfunc_with", 1},
    {kExceptions, "exception_bad_assert_nz_gfunc", 0},
    {kExceptions, "exception_bad_assert_zero_gfunc", 0},
    {kExceptions, "exception_bad_assert_neg_gfunc", 0},
    {kExceptions, "exception_bad_assert_pos_gfunc", 0},
    {kExceptions, "exception_bad_assert_negeq_gfunc", 0},
    {kExceptions, "exception_bad_assert_poseq_gfunc", 0},
    {kExceptions, "exception_bad_assert_nz_gfunc_with", 100},
    {kExceptions, "exception_bad_assert_zero_gfunc_with", 105},
    {kExceptions, "exception_bad_assert_neg_gfunc_with", 200},
    {kExceptions, "exception_bad_assert_pos_gfunc_with", 0},
    {kExceptions, "exception_bad_assert_negeq_gfunc_with", 101},
    {kExceptions, "exception_bad_assert_poseq_gfunc_with", 99},
    {kExceptions, "exception_assert_range", 1},
    {kExceptions, "exception_assert_range_with", 1},
    {kExceptions, "exception_bad_assert_range", 0},
    {kExceptions, "exception_bad_assert_range_with", 10},
    {kExceptions, "exception_throw_from_void_global", 11},
};

}  // namespace

void expect_from_elsewhere(std::string_view file, Expectations& spec) {
  for (const Refusal& refusal : kRefusals) {
    if (refusal.file != file || refusal.program != spec.program) continue;
    spec.annotated = spec.privileged = spec.fails = true;
    spec.messages.push_back({std::string(refusal.message), false, false});
  }
  for (const Result& result : kResults) {
    if (result.file != file || result.program != spec.program) continue;
    spec.annotated = spec.privileged = true;
    spec.retval = result.value;
    spec.packet.assign(std::begin(kPacketV4), std::end(kPacketV4));
  }
  // What it tail calls is loaded with each of them.
  if (file == kExceptions && spec.program == "exception_tail_call_target") spec.auxiliary = true;
}

}  // namespace uscx::conformance
