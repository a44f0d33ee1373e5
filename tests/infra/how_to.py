#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""how_to.py USCX BUILD SCHEDULER

Does what the pages docs/how-to-*.md say: their diffs are applied to a copy of the tree, and the files they touch
still compile (-fsyntax-only, by BUILD/compile_commands.json); their workloads run.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fenced(text, language):
    return [m.group(1) for m in re.finditer(rf"^```{language}\n(.*?)^```", text, re.S | re.M)]


def compile_touched(diff, tree, commands):
    """None, or the compiler's words."""
    for name in re.findall(r"^\+\+\+ b/(.*\.cc)$", diff, re.M):
        entry = next((c for c in commands if c["file"] == os.path.join(ROOT, name)), None)
        # A new file is compiled as its neighbours are.
        entry = entry or next((c for c in commands if os.path.dirname(c["file"]) == os.path.dirname(os.path.join(ROOT, name))), None)
        if entry is None:
            return f"{name} is not part of the build"
        command = entry["command"].replace(entry["file"], f"{tree}/{name}")
        # The copy's headers first; no precompiled header, which has the originals; no output.
        command = re.sub(r"-include \S*cmake_pch\S*|-Winvalid-pch| -o \S+", "", command)
        command = command.replace(f"-I{ROOT}/src", f"-I{tree}/src").replace(f"-I{ROOT} ", f"-I{tree} ").replace(f"-I{ROOT}/abi", f"-I{tree}/abi")
        done = subprocess.run(command + " -fsyntax-only", shell=True, cwd=entry["directory"], capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr.strip()[:800]
    return None


def apply_diffs(path, text, commands):
    for diff in fenced(text, "diff"):
        with tempfile.TemporaryDirectory() as tree:
            for part in ("abi", "src"):
                shutil.copytree(os.path.join(ROOT, part), os.path.join(tree, part))
            done = subprocess.run(["patch", "-p1", "-s", "-d", tree], input=diff, capture_output=True, text=True)
            if done.returncode != 0:
                return f"does not apply: {done.stdout.strip()}"
            problem = compile_touched(diff, tree, commands)
            if problem:
                return problem
    return None


def run_workloads(text, uscx, scheduler):
    for workload in fenced(text, "json"):
        with tempfile.NamedTemporaryFile(suffix=".json", mode="w") as file:
            file.write(workload)
            file.flush()
            done = subprocess.run([uscx, "run", scheduler, "--workload", file.name, "--duration", "500ms"], capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr.strip()[-400:]
    return None


def main():
    uscx, build, scheduler = sys.argv[1:]
    with open(os.path.join(build, "compile_commands.json")) as file:
        commands = json.load(file)
    pages = sorted(glob.glob(os.path.join(ROOT, "docs/how-to-*.md")))
    failed = 0
    for page in pages:
        with open(page) as file:
            text = file.read()
        proofs = len(fenced(text, "diff")) + len(fenced(text, "json"))
        problem = apply_diffs(page, text, commands) or run_workloads(text, uscx, scheduler)
        if not proofs:
            problem = "nothing on this page can be done"
        print(("FAIL " if problem else "PASS ") + os.path.relpath(page, ROOT) + (f": {problem}" if problem else ""))
        failed += problem is not None
    print(f"{len(pages) - failed} pages hold, {failed} do not")
    sys.exit(1 if failed or not pages else 0)


if __name__ == "__main__":
    main()
