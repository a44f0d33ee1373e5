# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's BPF selftests: each annotated program, loaded by itself through libbpf and the front
door; its verdict, messages, return value and what it wrote to its streams compared with the
annotations.

What is left out stands in ledger.tsv by name and reason. floor.json has what must agree at least,
in per cent: it is raised as the verifier grows, and a run that falls below it fails.
"""
import collections
import csv
import json
import subprocess

KINDS = ("verdict", "messages", "retval", "streams")


class Row:
    """One program's line of the runner."""

    def __init__(self, fields):
        self.file, self.program, self.expected, words = fields[:4]
        self.note = fields[4] if len(fields) > 4 else ""
        self.words = dict(zip(KINDS, words.split()))

    @property
    def name(self):
        return f"{self.file}/{self.program}"

    def agrees(self):
        return "differs" not in self.words.values()


class Ledger:
    """What is not compared: whole programs, or one of the KINDS of a program."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as lines:
            rows = csv.reader((l for l in lines if not l.startswith("#")), delimiter="\t")
            self.lines = {(row[0], row[1], row[3] if len(row) > 3 else ""): row[2]
                          for row in rows if row}

    def reason(self, row, kind=""):
        """Why it is left out, or None; the program may be * for all of a file."""
        return (self.lines.get((row.file, row.program, kind)) or
                self.lines.get((row.file, "*", kind)))

    def strike(self, row):
        """Takes out of the row what is not compared; yields why."""
        for kind in KINDS:
            reason = self.reason(row, kind)
            if reason and row.words[kind] == "differs":
                row.words[kind] = "-"
                yield f"{kind} alone: {reason}"


def run(context):
    objects = sorted((context.kernels / "7.3" / "bpf").glob("*.bpf.o"))
    runner = context.uscx.parent / "conformance_verifier"
    if not objects:
        raise context.CannotRun("the selftests are not built: tools/kernel-bpf-tests.sh "
                                f"{context.kernels} 7.3")
    if not runner.exists():
        raise context.CannotRun(f"{runner} is not built")
    directory = objects[0].parent
    command = [runner, "--vmlinux", directory / "vmlinux.btf", "--module", directory, "--jobs",
               str(context.jobs), *objects]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode:
        raise context.CannotRun(f"{runner.name} failed: {done.stderr.strip()[-500:]}")
    # The program names of a line may hold anything but tabs.
    return [Row(line.split("\t")) for line in done.stdout.splitlines() if line.count("\t") >= 3]


def cases(context):
    ledger = Ledger(context.directory / "ledger.tsv")
    context.rows = run(context)
    context.counted, context.left_out = [], collections.Counter()
    found = []
    for row in sorted(context.rows, key=lambda r: (r.file, r.program)):
        reason = ledger.reason(row)
        if row.expected == "left-out":
            reason = row.note
        else:
            context.left_out.update(ledger.strike(row))

        def check(row=row, reason=reason):
            if reason:
                raise context.Skip(reason)
            if not row.agrees():
                bad = ", ".join(k for k in KINDS if row.words[k] == "differs")
                raise context.Failure(f"{bad} ({row.expected} expected): {row.note}")

        if reason:
            context.left_out[reason] += 1
        else:
            context.counted.append(row)
        found.append(context.Case(row.name, check))
    return found


def share(rows, kind):
    """agreed, asked"""
    words = [row.words[kind] for row in rows if row.words[kind] != "-"]
    return words.count("agrees"), len(words)


def summary(context):
    """Prints agreed/total per file and in sum; true where every floor is met."""
    files = collections.defaultdict(list)
    for row in context.counted:
        files[row.file].append(row)
    print(f"{'file':40} " + " ".join(f"{kind:>11}" for kind in KINDS))

    def line(name, rows):
        print(f"{name:40} " + " ".join("%11s" % ("%d/%d" % share(rows, k)) for k in KINDS))

    for name in sorted(files):
        line(name, files[name])
    line("all", context.counted)
    for reason, count in sorted(context.left_out.items(), key=lambda i: (-i[1], i[0])):
        print(f"left out: {count:4} {reason}")
    with open(context.directory / "floor.json", encoding="utf-8") as text:
        floor = json.load(text)
    met = len(context.counted) >= floor["counted"]
    print(f"counted: {len(context.counted)} programs of {len(context.rows)} "
          f"(at least {floor['counted']})")
    for kind in KINDS:
        agreed, asked = share(context.counted, kind)
        percent = 100.0 * agreed / asked if asked else 0.0
        met = met and asked > 0 and percent >= floor[kind]
        print(f"{kind}: {agreed}/{asked} = {percent:.1f} % (at least {floor[kind]})")
    return met
