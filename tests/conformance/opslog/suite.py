# SPDX-License-Identifier: GPL-2.0-only
"""The callbacks that tasks saw on the real kernel, against those they see here.

opslog.bpf.c, a scheduler that records each of its callbacks, runs unmodified in
the situations of scenarios.json; what it recorded is put into the form of the
files that were measured (merge.py's), and compared with what is marked stable
there, task by task. Both come from ../shared/{real-kernel,reference/real-kernel}/opslog.
ledger.tsv says which sequences differ, and why: a line of it whose sequence is
equal is a failure.

In the environment: OPSLOG_MEASURED is a directory of other measured files (run.sh
with its OUT, for modes that are not recorded there), OPSLOG_SHOW prints both
sequences where they differ, OPSLOG_KEEP is where the workloads are left.
"""
import fnmatch
import functools
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
SHARED = pathlib.Path(__file__).resolve().parents[4] / "shared"
SECONDS = 300

CALLBACKS = [
    "none", "select_cpu", "enqueue", "dequeue", "dispatch", "tick", "runnable", "running", "stopping",
    "quiescent", "yield", "set_weight", "set_cpumask", "update_idle", "cpu_acquire", "cpu_release",
    "init_task", "exit_task", "enable", "disable", "cgroup_init", "cgroup_exit", "cgroup_prep_move",
    "cgroup_move", "cgroup_cancel_move", "cgroup_set_weight", "cgroup_set_bandwidth",
    "cgroup_set_idle", "cpu_online", "cpu_offline", "init", "exit", "dump", "dump_cpu", "dump_task",
    "mark"]
ENQ = {0: "WAKEUP", 1: "RESTORE", 2: "MOVE", 3: "NOCLOCK", 4: "MIGRATING", 5: "DELAYED", 6: "CLASS",
       7: "bit7", 8: "bit8", 16: "HEAD", 17: "REPLENISH", 18: "MIGRATED", 19: "INITIAL",
       20: "CPU_SELECTED", 32: "PREEMPT", 33: "IMMED", 40: "REENQ", 41: "LAST", 56: "(CLEAR_OPSS)",
       57: "(DSQ_PRIQ)", 58: "(NESTED)", 59: "(GDSQ_FALLBACK)", 60: "(IGNORE_CAPS)"}
DEQ = {0: "SLEEP", 1: "SAVE", 2: "MOVE", 3: "NOCLOCK", 4: "MIGRATING", 5: "DELAYED", 6: "CLASS",
       7: "bit7", 8: "bit8", 16: "SPECIAL", 20: "THROTTLE", 32: "CORE_SCHED_EXEC", 33: "SCHED_CHANGE"}
WAKE = {1: "EXEC", 2: "FORK", 3: "TTWU", 4: "SYNC", 5: "MIGRATED", 6: "CURRENT_CPU", 7: "RQ_SELECTED"}
STATES = ["NONE", "INIT_BEGIN", "INIT", "READY", "ENABLED", "DEAD", "6", "7"]
FLAGS = {0: "Q", 1: "C", 2: "R", 3: "S", 5: "I", 6: "P"}
REENQ = ["", "KFUNC", "IMMED", "PREEMPTED", "CAP", "5", "6", "7"]
RELEASE = ["RT", "DL", "STOP", "UNKNOWN"]
VARIANTS = {"idle": 1, "hotplug": 2, "release": 4, "reenq": 8}


# --- what the scheduler recorded, in words ------------------------------------------------------

def bits(value, names, prefix):
    words = [prefix + name for bit, name in names.items() if value >> bit & 1]
    rest = value & ~sum(1 << bit for bit in names)
    if rest or not words:
        words.append(hex(rest) if rest else "0")
    return "|".join(words)


def slice_class(ns):
    names = {0: "0", 20_000_000: "DFL", 5_000_000: "BYPASS", 2**64 - 1: "INF"}
    return names.get(ns, "part" if ns < 20_000_000 else "more")


def entity_flags(value):
    letters = "".join(letter for bit, letter in FLAGS.items() if value >> bit & 1)
    if value >> 12 & 7:
        letters += " REENQ:" + REENQ[value >> 12 & 7]
    state = STATES[value >> 8 & 7]
    return letters or "-" if state == "ENABLED" else f"{state} {letters or '-'}"


def eight(value):
    return value.to_bytes(8, "little").split(b"\0")[0].decode() or "/"


def argument(r, who):
    a, b, c, name = r["a"], r["b"], r["c"], r["name"]
    return {
        "select_cpu": lambda: f"prev={a} wake={bits(b, WAKE, 'WAKE_')} -> {c & 0xffffffff}"
                              + (" idle" if c >> 32 else ""),
        "enqueue": lambda: bits(a, ENQ, "ENQ_"),
        "runnable": lambda: bits(a, ENQ, "ENQ_"),
        "dequeue": lambda: bits(a, DEQ, "DEQ_"),
        "quiescent": lambda: bits(a, DEQ, "DEQ_"),
        "dispatch": lambda: f"cpu={a} prev={who if c else '-'}" + (" moved" if b else ""),
        "stopping": lambda: f"runnable={a}",
        "yield": lambda: f"to={a}",
        "set_weight": lambda: f"weight={a}",
        "set_cpumask": lambda: f"new={a:#x} cpus_ptr={b:#x}",
        "update_idle": lambda: f"cpu={a} idle={b}",
        "cpu_acquire": lambda: f"cpu={a}",
        "cpu_release": lambda: f"cpu={a} reason={RELEASE[b & 3]} next={name} reenqueued={c}",
        "init_task": lambda: f"fork={a}",
        "exit_task": lambda: f"cancelled={a}",
        "cgroup_init": lambda: f"cgrp={name} weight={a} period={b} quota={signed(c)}",
        "cgroup_exit": lambda: f"cgrp={name}",
        "cgroup_prep_move": lambda: f"{eight(a)} => {eight(b)}",
        "cgroup_move": lambda: f"{eight(a)} => {eight(b)}",
        "cgroup_cancel_move": lambda: f"{eight(a)} => {eight(b)}",
        "cgroup_set_weight": lambda: f"cgrp={name} weight={a}",
        "cgroup_set_bandwidth": lambda: f"cgrp={name} period={a} quota={signed(b)} burst={c}",
        "cgroup_set_idle": lambda: f"cgrp={name} idle={a}",
        "cpu_online": lambda: f"cpu={a}",
        "cpu_offline": lambda: f"cpu={a}",
        "exit": lambda: f"kind={a} code={b:#x}",
        "dump": lambda: f"kind={a}",
        "dump_cpu": lambda: f"cpu={a} idle={b}",
    }.get(CALLBACKS[r["cb"]], lambda: "")()


def signed(value):
    return value - 2**64 if value >= 2**63 else value


def sequences(records):
    """{task: its records in words, in order}; "(no task)" for callbacks without one."""
    names = {r["pid"]: r["name"] for r in records if r["pid"]}
    main = next((r["cur"] for r in records
                 if CALLBACKS[r["cb"]] == "init_task" and r["a"] and r["cur"] not in names), 0)
    out = {}
    for r in records:
        who = names.get(r["pid"], "(no task)")
        line = {"cb": CALLBACKS[r["cb"]], "arg": argument(r, who), "cpu": str(r["cpu"]),
                "other": r["cur"] not in (*names, main, 0)}
        if r["pid"]:
            flags = entity_flags(r["flags"])
            weight = "" if r["weight"] == 100 else f" w{r['weight']}"
            line["where"] = f"{r['cpu']}/{r['tcpu']} {slice_class(r['slice'])} {flags}{weight}"
        else:
            line["where"] = str(r["cpu"])
        out.setdefault(who, []).append(line)
    return out


# --- the forms that the measured files have -----------------------------------------------------

def words(lines, ticks, loose=False):
    """As merge.py's norm(): without ticks (or with), without the preemptions by other classes."""
    kept = []
    for line in lines:
        if line["cb"] == "tick" and not ticks:
            continue
        before = kept[-1] if kept else None
        if before and line["cb"] == "running" and line["other"] and before["cb"] == "stopping" \
                and before["arg"] == "runnable=1" and before["cpu"] == line["cpu"]:
            kept.pop()
            continue
        kept.append(line)
    out = []
    for line in kept:
        text = line["cb"] + (" " + line["arg"] if line["arg"] else "")
        if line["cb"] == "tick":
            text = "tick" if loose else "tick, once or more"
            if out and out[-1] == text:
                continue
        elif loose:
            text = loosened(text)
        else:
            text += f"  [{line['where']}]"
        out.append(text)
    return out


def without_helpers_cpu(lines):
    """Where a scheduler comes or goes, kernel threads do it, on whatever CPU: not compared."""
    return [re.sub(r"  \[\w\]$", "", re.sub(r"  \[\w/", "  [", s)) for s in lines]


def loosened(text):
    return re.sub(r"\b(cpu|prev)=\d+|-> \d+", r"\1=N", text)


def renamed(lines):
    """CPUs by letters, in the order in which they appear."""
    seen = {}

    def cpu(number):
        return seen.setdefault(number, chr(65 + len(seen)))

    out = []
    for s in lines:
        s = re.sub(r"\[(\d+)/(\d+) ", lambda m: f"[{cpu(m.group(1))}/{cpu(m.group(2))} ", s)
        s = re.sub(r"\[(\d+)\]$", lambda m: f"[{cpu(m.group(1))}]", s)
        s = re.sub(r"(\bcpu=|\bprev=|-> )(\d+)", lambda m: m.group(1) + cpu(m.group(2)), s)
        out.append(s)
    return out


def cycles(lines):
    """What is repeated at once, in twos: once, with a star."""
    out = []
    for s in lines:
        out.append(s)
        if len(out) >= 4 and out[-2:] == out[-4:-2] and s.startswith("running"):
            del out[-2:]
            if not out[-1].endswith("*"):
                out[-1] += " *"
        elif len(out) >= 4 and out[-3].endswith(" *") and out[-2] == out[-4] \
                and out[-1] == out[-3][:-2]:
            del out[-2:]
    return out


def scheduler_changes(path):
    """Whether a scheduler comes or goes in a measured situation."""
    if path.name.startswith(("attach_", "detach_", "error", "hotplug_")):
        return True
    return any(line.startswith("note ") and "the scheduler exited" in line
               for line in path.read_text().splitlines())


def without_ticks(lines):
    return [s for s in lines if not s.startswith("tick")]


def in_form(form, scenario, lines):
    """Our lines in the form that `form`, a section's title, says."""
    ticks = scenario in ("spin1", "spin2")
    if "ticks vary" in form:
        return words(lines, False)
    if "cpus are named" in form:
        return renamed(words(lines, ticks))
    if '"*"' in form:
        return cycles(words(lines, ticks))
    if "in callbacks and flags" in form:
        return words(lines, ticks, loose=True)
    return words(lines, ticks)


def measured(path):
    """{task: (title, lines)} of the stable sections of a file."""
    out, current = {}, None
    for line in path.read_text().splitlines():
        title = re.match(r"== (.*?): (stable.*)", line)
        if title:
            current = out.setdefault(title.group(1), (title.group(2), []))[1]
        elif not line or line.startswith("=="):
            current = None
        elif current is not None:
            current.append(re.sub(r"^ *\d+ ", "", line))
    for task, (title, lines) in out.items():
        if "ticks vary" in title:
            lines = without_ticks(lines)
        if "in callbacks and flags" in title:
            lines = [loosened(s.split("   ~ ")[0].split("  [")[0]) for s in lines]
        out[task] = (title, lines)
    return out


# --- the situations -----------------------------------------------------------------------------

class Situations:
    """scenarios.json, as workload files."""

    def __init__(self, path):
        self.data = json.loads(path.read_text())
        self.by_name = {}
        for s in self.data["scenarios"]:
            s = {**self.data["templates"].get(s.get("of"), {}), **s,
                 "tasks": {**self.data["templates"].get(s.get("of"), {}).get("tasks", {}),
                           **s.get("tasks", {})}}
            for state in s.get("in", [None]):
                self.by_name[s["name"] + (f"_{state}" if state else "")] = self.placed(s, state)

    def placed(self, s, state):
        """A scenario in one of the states that its task may be in."""
        text = json.dumps(s).replace("{with}", s.get("with", ""))
        s = json.loads(text)
        if state:
            place = self.data["states"][state]
            s["tasks"] = {**place["tasks"], **s["tasks"]}
            s["main"] = s.get("before", []) + place["enter"] + s["act"] + place["leave"] \
                + s.get("after", [])
        return s

    def events(self, listed):
        out = []
        for event in listed:
            (kind, what), = event.items()
            if kind == "spawn":
                out += self.spawn(what)
            elif kind in self.data["macros"]:
                out += self.events(self.data["macros"][kind])
            else:
                out.append(event)
        return out

    def spawn(self, what):
        task = what["task"]
        policy = {"task": task, "policy": what.get("policy", "SCHED_EXT")}
        asks = [] if policy["policy"] == "SCHED_OTHER" else [{"setscheduler": policy}]
        return [{"fork": task}, {"sleep": 2000},
                {"await_state": {"task": task, "state": "sleeping"}},
                {"setaffinity": {"task": task, "cpus": what["cpus"]}}, *asks,
                {"pipe_write": f"go_{task}"}]

    def workload(self, name):
        s = self.by_name[name]
        starts = [] if s.get("detached") else [{"await_scheduler": "enabled"}]
        # Most situations share one attached scheduler there: what enabling left to RCU is over.
        main = [*starts, {"sleep": 50_000}, {"scheduler": "set armed=1"}, *self.events(s["main"]),
                {"sleep": 2000}, {"scheduler": "set armed=0"}]
        # A task of the standing kind, as the kernel's threads are, that wakes every 4 s on cpu 1.
        main.insert(0, {"setaffinity": {"task": "standing", "cpus": [1]}})
        main.insert(0, {"fork": "standing"})
        tasks = {"main": self.task("main", main, 1),
                 "standing": {**self.task("standing", [{"sleep": 4_000_000}], 0), "loop": -1}}
        for task, body in s["tasks"].items():
            begin = [] if task == "t_c" else [{"pipe_read": f"go_{task}"}]
            tasks[task] = self.task(task, begin + self.data["bodies"][body], 0)
        return {"tasks": tasks}

    @staticmethod
    def task(name, events, instances):
        out = {"comm": name, "instance": instances, "loop": 1}
        out.update({"inherit": True} if name == "t_c" else {"cpus": [0]})
        for number, event in enumerate(events):
            (kind, what), = event.items()
            out[f"{kind}{number}"] = what
        return out


def settings(mode, variant):
    """What opslog.c's load() does to the object."""
    number = sum(VARIANTS[v] for v in variant)
    flags = ["SCX_OPS_SWITCH_PARTIAL"]
    absent = []
    if "idle" in variant:
        flags.append("SCX_OPS_KEEP_BUILTIN_IDLE")
    else:
        absent.append("update_idle")
    if "hotplug" not in variant:
        absent += ["cpu_online", "cpu_offline"]
    if "release" not in variant:
        absent += ["cpu_acquire", "cpu_release"]
    if mode == "4":
        absent += ["select_cpu", "enqueue", "dispatch", "dequeue"]
    if mode == "5":
        absent.append("select_cpu")
    if mode == "6":
        flags += ["SCX_OPS_ENQ_LAST", "SCX_OPS_ENQ_EXITING"]
    return [f"mode={mode}", f"variant={number}", f"opslog_ops.flags={'|'.join(flags)}",
            *(f"opslog_ops.{op}=NULL" for op in absent)]


class Runner:
    """Runs a situation once, whatever number of sequences is compared with it."""

    def __init__(self, context, situations, program):
        self.context = context
        self.situations = situations
        self.program = program
        self.lock = threading.Lock()
        self.locks = {}

    def sequences(self, version, name, mode):
        with self.lock:
            lock = self.locks.setdefault((version, name, mode), threading.Lock())
        with lock:
            return self.run(version, name, mode)

    @functools.lru_cache(maxsize=None)
    def run(self, version, name, mode):
        scenario = self.situations.by_name[name]
        with tempfile.TemporaryDirectory() as directory:
            workload = pathlib.Path(os.environ.get("OPSLOG_KEEP", directory)) / f"{name}.json"
            workload.write_text(json.dumps(self.situations.workload(name), indent=1))
            out = pathlib.Path(directory) / "report.json"
            command = [self.context.uscx, "run", objects(self.context) / version / self.program,
                       "--kernel", version, "--machine", HERE / "machine.json",
                       "--workload", workload, "--duration", "30s" if mode == "6" else "1s", "-q",
                       "--get", "recs", "--get", "nr", "--json", out]
            for s in settings(mode, scenario.get("variant", [])):
                command += ["--set", s]
            command = [str(word) for word in command]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=SECONDS, errors="replace", check=False)
            if done.returncode not in (0, 3) or not out.exists():
                raise self.context.Failure(
                    f"uscx exited with {done.returncode}: {done.stderr.strip()[-400:]}\n"
                    f"     replay: {shlex.join(command)}")
            variables = json.loads(out.read_text())["variables"]
        return sequences(variables["recs"][:variables["nr"]])


def difference(ours, theirs):
    for number, (a, b) in enumerate(zip(ours, theirs), 1):
        if a != b:
            return f"line {number} is {a!r}, on the real kernel {b!r}"
    if len(ours) > len(theirs):
        return f"line {len(theirs) + 1} is one more: {ours[len(theirs)]!r}"
    return f"line {len(ours) + 1} is missing: {theirs[len(ours)]!r}"


def read_ledger(path):
    """[(kernel, pattern of a case's name, why)]"""
    lines = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 3 or not all(fields):
            raise ValueError(f"{path}:{number}: three fields are wanted")
        lines += [(kernel, fields[1], fields[2]) for kernel in fields[0].split(",")]
    return lines


def checked(context, runner, version, path, task, section, excuse):
    name, mode = path.name.split(".")[:2]

    def run():
        title, theirs = section
        if name not in runner.situations.by_name:
            problem = "no scenario says this situation"
        else:
            lines = runner.sequences(version, name, mode).get(task, [])
            ours = in_form(title, name, lines)
            if scheduler_changes(path):
                ours, theirs = without_helpers_cpu(ours), without_helpers_cpu(theirs)
            problem = None if ours == theirs else difference(ours, theirs)
            if problem and os.environ.get("OPSLOG_SHOW"):
                problem += "\n" + "\n".join(f"  {s}" for s in ours) + "\n--\n" \
                    + "\n".join(f"  {s}" for s in theirs)
        if excuse and not problem:
            raise context.Failure("is equal: its line can go from ledger.tsv")
        if excuse:
            raise context.Skip(excuse)
        if problem:
            raise context.Failure(problem)
    return run


def objects(context):
    """Where tools/opslog-object.sh puts the compiled scheduler: beside the kernel's own."""
    return context.kernels.parent / "opslog"


def compared(context, files, program, ledger):
    """A case for each stable sequence below `files`, which has a directory for each kernel."""
    if not files.is_dir():
        raise context.CannotRun(f"did not run: {files} is not there")
    versions = [v for v in ("7.2", "7.3") if (objects(context) / v / program).exists()]
    if not versions:
        raise context.CannotRun(f"did not run: no {program} in {objects(context)}; "
                                f"tools/opslog-object.sh {objects(context)} builds it")
    runner = Runner(context, Situations(HERE / "scenarios.json"), program)
    lines = read_ledger(ledger)
    out = []
    for version in versions:
        for path in sorted((files / version).glob("*.txt")):
            for task, section in measured(path).items():
                case = f"{path.stem} {task}"
                excuse = next((why for kernel, pattern, why in lines
                               if kernel == version and fnmatch.fnmatch(case, pattern)), None)
                out.append(context.Case(f"{version} {case}",
                                        checked(context, runner, version, path, task, section, excuse)))
    return out


def cases(context):
    files = pathlib.Path(os.environ.get("OPSLOG_MEASURED", SHARED / "reference/real-kernel/opslog"))
    return compared(context, files, "opslog.bpf.o", context.directory / "ledger.tsv")
