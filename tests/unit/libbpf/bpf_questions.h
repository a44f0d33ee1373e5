/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Asks bpf(2) what it answers to many small questions, a line each: "question = 0" for success (or
 * a small number where it is one), "question = -EXXX" else. The same text runs on a real kernel. */
void ask_bpf_questions(FILE* out);

#ifdef __cplusplus
}
#endif
