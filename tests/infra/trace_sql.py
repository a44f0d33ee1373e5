#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""trace_sql USCX SCHEDULER [RUN-OPTION]...

Perfetto's trace processor answers for a trace what the report says: the CPU time of each group of
threads and the latencies of wakeups, by SQL. The processor is trace_processor_shell, in the PATH or
named by $USCX_TRACE_PROCESSOR. Prints a line for each number, and "N passed, N failed" last; exits
with 77 where there is no processor.
"""
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

# One statement: the shell prints each one's rows apart.
QUERY = """
WITH
  mark AS (
    SELECT MIN(s.ts) AS begin_ns, MAX(s.ts) AS end_ns
    FROM slice s JOIN track t ON s.track_id = t.id WHERE t.name = 'run'),
  ran AS (
    SELECT t.name AS name,
      MAX(s.ts, (SELECT begin_ns FROM mark)) AS from_ns,
      MIN(IIF(s.dur < 0, (SELECT end_ns FROM mark), s.ts + s.dur), (SELECT end_ns FROM mark)) AS to_ns
    FROM sched s JOIN thread t USING (utid) WHERE t.tid != 0),
  wakeup AS (
    SELECT e.ts AS ts, EXTRACT_ARG(e.arg_set_id, 'pid') AS tid
    FROM ftrace_event e WHERE e.name = 'sched_wakeup'),
  goes_on AS (
    SELECT s.ts AS ts, t.tid AS tid
    FROM slice s JOIN thread_track tt ON s.track_id = tt.id JOIN thread t USING (utid)
    WHERE s.name = 'executes' AND s.ts >= (SELECT begin_ns FROM mark)),
  latency AS (
    SELECT g.ts - (SELECT MAX(w.ts) FROM wakeup w WHERE w.tid = g.tid AND w.ts <= g.ts) AS ns
    FROM goes_on g),
  ranked AS (
    SELECT ns, ROW_NUMBER() OVER (ORDER BY ns) AS place, COUNT(*) OVER () AS nr FROM latency)
SELECT 'cpu_ns' AS kind, name, SUM(to_ns - from_ns) AS value
  FROM ran WHERE to_ns > from_ns GROUP BY name
UNION ALL SELECT 'latency', 'count', COUNT(*) FROM latency
UNION ALL SELECT 'latency', 'max', MAX(ns) FROM latency
UNION ALL SELECT 'latency', 'p50', MIN(ns) FROM ranked WHERE place * 100 >= nr * 50
UNION ALL SELECT 'latency', 'p90', MIN(ns) FROM ranked WHERE place * 100 >= nr * 90
UNION ALL SELECT 'latency', 'p99', MIN(ns) FROM ranked WHERE place * 100 >= nr * 99;
"""
BUCKETS_AN_OCTAVE = 64  # of the report's histogram, which gives the upper edge of a bucket


def ask(processor, trace, directory):
    query = os.path.join(directory, "query.sql")
    with open(query, "w") as out:
        out.write(QUERY)
    done = subprocess.run([processor, "-q", query, trace], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{processor}: exit status {done.returncode}\n{done.stderr}")
    rows = csv.reader(io.StringIO(done.stdout[done.stdout.index('"kind"'):]))
    next(rows)
    return {(row[0], row[1]): int(row[2]) for row in rows if len(row) == 3}


def same(key, asked, said):
    if key[1] not in ("p50", "p90", "p99"):
        return asked == said
    return asked <= said <= asked + asked // BUCKETS_AN_OCTAVE + 1


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    processor = os.environ.get("USCX_TRACE_PROCESSOR") or shutil.which("trace_processor_shell")
    if not processor:
        print("no trace_processor_shell: nothing was asked")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        trace = os.path.join(directory, "out.pftrace")
        report = os.path.join(directory, "report.json")
        subprocess.run([sys.argv[1], "run", *sys.argv[2:], "--trace", trace, "--json", report, "--quiet"],
                       check=True, stdin=subprocess.DEVNULL, timeout=600)
        asked = ask(processor, trace, directory)
        with open(report) as file:
            report = json.load(file)
    said = {("cpu_ns", name): group["cpu_ns"] for name, group in report["groups"].items()}
    said.update({("latency", name): value for name, value in report["wakeup_latency_ns"].items()
                 if ("latency", name) in asked})
    counts = {True: 0, False: 0}
    for key, value in said.items():
        good = same(key, asked.get(key, 0), value)
        counts[good] += 1
        print(f"{'ok' if good else 'FAIL'} {' '.join(key)}: the trace {asked.get(key, 0)}, the report {value}")
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 0 if counts[True] and not counts[False] else 1


if __name__ == "__main__":
    sys.exit(main())
