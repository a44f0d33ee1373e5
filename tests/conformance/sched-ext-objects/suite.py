# SPDX-License-Identifier: GPL-2.0-only
"""The compiled schedulers of the kernel tree, run plainly and unmodified.

expected.tsv says for each object what the real kernel did with it, loaded as a
plain loader loads it: it stayed, it was refused, or it was thrown out, and in
which words.
"""
import shlex
import subprocess

RUN = ["--machine", "1n2l4c2t", "--workload", "spin-sleep", "--duration", "3s"]
SECONDS = 120


def rows(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 6:
            raise ValueError(f"{path}:{number}: {len(fields)} fields, not 6")
        yield fields


def case(context, built_for, profile, name, status, words, arguments):
    obj = context.kernels / built_for / f"{name}.bpf.o"

    def run():
        if status == "-":
            raise context.Skip(words)
        command = [context.uscx, "run", obj, "--kernel", profile, *RUN, *shlex.split(arguments)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=SECONDS, text=True, errors="replace")
        except subprocess.TimeoutExpired:
            raise context.Failure(f"still running after {SECONDS} s") from None
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode != int(status):
            raise context.Failure(f"exit status {done.returncode}, not {status}: {last}")
        if words not in done.stdout + done.stderr:
            raise context.Failure(f"does not say \"{words}\": {last}")

    label = f"{built_for}/{name}"
    if profile != built_for:
        label += f" on {profile}"
    if arguments:
        label += f" ({arguments})"
    return context.Case(label, run)


def cases(context):
    if not context.uscx.exists():
        raise context.CannotRun(f"there is no {context.uscx}; make build first")
    found, seen = [], set()
    for built_for, profile, name, status, words, arguments in rows(context.directory / "expected.tsv"):
        for version in built_for.split(","):
            if not (context.kernels / version).is_dir():
                raise context.CannotRun(
                    f"there is no {context.kernels / version}; make kernel-schedulers first")
            if not (context.kernels / version / f"{name}.bpf.o").exists():
                raise context.CannotRun(f"{version} has no {name}.bpf.o")
            seen.add((version, name))
            found.append(case(context, version, version if profile == "own" else profile,
                              name, status, words, arguments))
    # An object nobody expects anything of is not passed over in silence.
    for version in sorted({v for v, _ in seen}):
        for path in sorted((context.kernels / version).glob("**/*.bpf.o")):
            name = str(path.relative_to(context.kernels / version))[:-len(".bpf.o")]
            if (version, name) not in seen:
                found.append(case(context, version, version, name, "-",
                                  "not in expected.tsv", ""))
    return found
