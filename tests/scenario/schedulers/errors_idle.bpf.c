// SPDX-License-Identifier: GPL-2.0-only
/* errors.bpf.c with idle tracking of its own. */
#define ERRORS_IDLE
#include "errors.bpf.c"
