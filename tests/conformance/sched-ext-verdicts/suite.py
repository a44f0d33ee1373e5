# SPDX-License-Identifier: GPL-2.0-only
"""What the real kernel says of every sched_ext program: ours must say the same.

VERSION.tsv has, for a real kernel of that version, a line for each program that libbpf loads from an
object: GROUP, OBJECT, PROGRAM, ERRNO (0: loaded) and the last line of the verifier's log. A group is
a place below the kernels' directory. Objects that are not there are named, and not counted.
"""
import collections
import csv
import subprocess

GROUPS = {"tools-7.2": "7.2", "self-7.2": "7.2/selftests", "tools-7.3": "7.3",
          "self-7.3": "7.3/selftests", "clang19-7.2": "7.2/bpf/clang19",
          "clang19-7.3": "7.3/bpf/clang19", "crates": "scx-crates"}
KERNELS = ("7.2", "7.3")


def read_verdicts(path):
    """group -> {(object, program): (errno, last line)}"""
    found = collections.defaultdict(dict)
    with open(path, encoding="utf-8") as lines:
        for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if not row[0].startswith("#"):
                found[row[0]][row[1], row[2]] = (int(row[3]), row[4] if len(row) > 4 else "")
    return found


def ours(context, runner, kernel, objects):
    """(object, program) -> (errno, last line)"""
    command = [runner, "--kernel", kernel, "--jobs", str(context.jobs), *objects]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    found = {}
    for line in done.stdout.splitlines():
        fields = line.split("\t")
        if len(fields) < 5:
            continue
        word, _, reason = fields[4].partition(" ")
        number = word.removeprefix("load=")
        found[fields[0], fields[1]] = (int(number) if number.isdigit() else -1, reason or fields[4])
    return found


def cases(context):
    runner = context.uscx.parent / "conformance_verifier"
    if not runner.exists():
        raise context.CannotRun(f"{runner} is not built")
    found = []
    for kernel in KERNELS:
        data = context.directory / f"{kernel}.tsv"
        if not data.exists():
            continue
        for group, wanted in read_verdicts(data).items():
            place = context.kernels / GROUPS[group]
            names = sorted({name for name, _ in wanted})
            objects = [place / f"{n}.bpf.o" for n in names if (place / f"{n}.bpf.o").exists()]
            here = ours(context, runner, kernel, objects) if objects else {}
            for (name, program), (errno, line) in sorted(wanted.items()):
                def check(key=(name, program), errno=errno, line=line, here=here, place=place):
                    if key not in here:
                        raise context.Skip(f"{place.name}/{key[0]}.bpf.o is not built")
                    got, reason = here[key]
                    if (got == 0) != (errno == 0):
                        raise context.Failure(f"Linux: {errno} {line}; here: {got} {reason}")
                    if errno and "invalid mem access" in line and line != reason:
                        raise context.Failure(f"Linux: {line}; here: {reason}")
                found.append(context.Case(f"{kernel} {group} {name}/{program}", check))
    if not found:
        raise context.CannotRun("no recorded verdicts")
    return found
