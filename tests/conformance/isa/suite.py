# SPDX-License-Identifier: GPL-2.0-only
"""The public BPF ISA conformance suite, through the verifier's checks of form and each engine.

Its cases (*.data) are read from the directory in $USCX_ISA_SUITE.
"""
import os
import pathlib
import subprocess


def cases(context):
    runner = context.uscx.parent / "conformance_isa"
    directory = pathlib.Path(
        os.environ.get("USCX_ISA_SUITE", context.directory.parents[3] / "shared/conformance/isa"))
    if not directory.is_dir():
        raise context.CannotRun(f"{directory} is not there: the suite did not run")
    if not runner.exists():
        raise context.CannotRun(f"{runner} is not built")
    output = subprocess.run([runner, directory], capture_output=True, text=True, check=False)

    def check(word, why):
        if word == "FAIL":
            raise context.Failure(why)
        if word == "SKIP":
            raise context.Skip(why)

    found = []
    for line in output.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASS", "FAIL", "SKIP"):
            name, _, why = rest.partition(": ")
            found.append(context.Case(name, lambda word=word, why=why: check(word, why)))
    return found
