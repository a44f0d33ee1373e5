# SPDX-License-Identifier: GPL-2.0-only
"""As suite opslog, under policies that nobody else recorded: policies.patch, to opslog's files.

IMMED, slices of no whole ticks, iterators in both directions, PREEMPT, HEAD, moves between DSQs by
vtime, a DSQ for each CPU, insertion into the global DSQ from dispatch, re-enqueueing (the words are
in each file's head). measured/ has what the real kernel did, of at least 8 runs in two boots where
not said otherwise: the sections that are stable; record.sh makes them. ledger.tsv: what differs.
"""
import importlib.util
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


def opslog():
    spec = importlib.util.spec_from_file_location("opslog", HERE.parent / "opslog" / "suite.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(context):
    return opslog().compared(context, HERE / "measured", "opslog-policies.bpf.o", HERE / "ledger.tsv")
