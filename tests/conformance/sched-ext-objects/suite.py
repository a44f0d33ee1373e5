# SPDX-License-Identifier: GPL-2.0-only
"""The kernel tree's own compiled schedulers, unmodified, with a generic loader as their user half.

cases.json says how each is run and what must come out, ledger.tsv which cases
cannot be yet, and why. Every object has a case; a case is skipped only with a
line of the ledger, and a line of the ledger whose case passes is a failure.
"""
import fnmatch
import itertools
import json
import re
import shlex
import subprocess
import tempfile

SECONDS = 300


def lookup(value, pointer):
    """All values at a JSON pointer; a step with * is every element whose key matches."""
    values = [value]
    for step in pointer.strip("/").split("/"):
        found = []
        for v in values:
            if isinstance(v, list):
                found += v if step == "*" else [v[int(step)]] if int(step) < len(v) else []
            elif isinstance(v, dict):
                found += [v[k] for k in v if fnmatch.fnmatch(k, step)]
        values = found
    return values


def differs(value, want, variables):
    """How `value` is not as wanted, or None."""
    if not isinstance(want, dict):
        return None if value == want and isinstance(value, bool) == isinstance(want, bool) \
            else f"is {value!r}, not {want!r}"
    if "matches" in want and not re.search(want["matches"], str(value)):
        return f"is {value!r}, which does not match {want['matches']!r}"
    if "text" in want and str(value) != want["text"]:
        return f"is {value!r}, not {want['text']}"
    if "min" in want and (value is None or value < want["min"]):
        return f"is {value!r}, less than {want['min']}"
    if "same" in want and value != variables.get(want["same"]):
        return f"is {value!r}, but {want['same']} is {variables.get(want['same'])!r}"
    return None


def problem_of(report, case):
    variables = report.get("variables", {})
    for name, want in case.get("variables", {}).items():
        if name not in variables:
            return f"variable {name} was not reported"
        problem = differs(variables[name], want, variables)
        if problem:
            return f"variable {name} {problem}"
    for pointer, want in case["report"].items():
        values = lookup(report, pointer)
        if not values:
            return f"{pointer} is not in the report"
        for value in values:
            problem = differs(value, want, variables)
            if problem:
                return f"{pointer} {problem}"
    return None


def expand(value, names):
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: names.get(m.group(1), m.group(0)), value)
    if isinstance(value, list):
        return [expand(v, names) for v in value]
    if isinstance(value, dict):
        return {k: expand(v, names) for k, v in value.items()}
    return value


def expanded(file, versions):
    """(kernel built for, name, case) of every case, for each combination of its matrix."""
    for case in file["cases"]:
        case = {**file["default"], "args": [], "status": 0, "report": {}, **case}
        matrix = case.get("matrix", {})
        for values in itertools.product(*matrix.values()):
            one = expand(case, dict(zip(matrix, values)))
            name = one["of"] + (f" ({one['as']})" if "as" in one else "")
            for version in one.get("on", versions):
                yield version, name, one


def read_ledger(path):
    """{(kernel, case name): why it is skipped}"""
    lines = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4 or not all(fields):
            raise ValueError(f"{path}:{number}: four fields are wanted")
        for kernel in fields[0].split(","):
            lines[kernel, fields[1]] = f"until {fields[2]}: {fields[3]}"
    return lines


def command_of(context, version, case):
    if case.get("verb") == "verify":
        return [str(word) for word in (context.uscx, "verify", *case["args"], "--kernel", version,
                                       context.kernels / version / f"{case['of']}.bpf.o")]
    workload = case["workload"]
    if workload.endswith(".json"):
        workload = context.directory / "workloads" / workload
    command = [context.uscx, "run", context.kernels / version / f"{case['of']}.bpf.o",
               "--kernel", case.get("profile", version),
               "--machine", case["machine"].replace("{here}", str(context.directory / "workloads")),
               "--workload", workload, "--duration", case["duration"], "-q", *case["args"]]
    if "log" in case:
        command.append("--dmesg")
    for name in case.get("variables", {}):
        command += ["--get", name]
    return [str(word) for word in command]


def run_once(context, version, case):
    """How the case fails, or None."""
    command = command_of(context, version, case)
    reports = case.get("verb") != "verify"
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        try:
            done = subprocess.run(command + (["--json", out.name] if reports else []), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=SECONDS, text=True,
                                  errors="replace", check=False)
        except subprocess.TimeoutExpired:
            return f"still running after {SECONDS} s"
        text = out.read()
    # No excuse for that.
    if done.returncode not in range(5) or "Sanitizer:" in done.stderr:
        raise context.Failure(f"crashed ({done.returncode})\n     replay: {shlex.join(command)}")
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode != case["status"]:
        problem = f"exit status {done.returncode}, not {case['status']}: {last}"
    elif not re.search(case.get("log", ""), done.stdout):
        problem = f"{'the kernel log' if reports else 'it'} does not say {case['log']!r}"
    elif not reports:
        problem = None
    else:
        problem = problem_of(json.loads(text), case) if text else "no report was written"
    return f"{problem}\n     replay: {shlex.join(command)}" if problem else None


def checked(context, version, name, case, excuse):
    def run():
        problem = run_once(context, version, case)
        if excuse and not problem:
            raise context.Failure("passes: its line can go from ledger.tsv")
        if excuse:
            raise context.Skip(excuse)
        if problem:
            raise context.Failure(problem)

    profile = case.get("profile", version)
    return context.Case(f"{version} {name}" + (f" on {profile}" if profile != version else ""), run)


def only_skipped(context, version, name, excuse):
    def run():
        raise context.Skip(excuse)

    return context.Case(f"{version} {name}", run)


def without_case(context, version, name):
    def run():
        raise context.Failure("no case in cases.json")

    return context.Case(f"{version} {name}", run)


def cases(context):
    if not context.uscx.exists():
        raise context.CannotRun(f"there is no {context.uscx}; make build first")
    # Beside the kernels lie the objects of others (scx-crates).
    versions = sorted(path.name for path in context.kernels.glob("[0-9]*") if path.is_dir())
    if not versions:
        raise context.CannotRun(f"{context.kernels} is empty; make kernel-schedulers first")
    ledger = read_ledger(context.directory / "ledger.tsv")
    file = json.loads((context.directory / "cases.json").read_text())
    found, objects, named = [], set(), set()
    for version, name, case in expanded(file, versions):
        excuse = ledger.get((version, name)) if "profile" not in case else None
        if excuse:
            named.add((version, name))
        objects.add((version, case["of"]))
        found.append(checked(context, version, name, case, excuse))
    # What no case can say yet is a line of the ledger alone.
    for key, excuse in ledger.items():
        if key not in named:
            found.append(only_skipped(context, *key, excuse))
    for version in versions:
        directory = context.kernels / version
        for path in sorted([*directory.glob("*.bpf.o"), *directory.glob("selftests/*.bpf.o")]):
            name = str(path.relative_to(context.kernels / version))[:-len(".bpf.o")]
            if (version, name) not in objects:
                found.append(without_case(context, version, name))
    return found
