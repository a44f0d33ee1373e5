#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""trace_sql USCX SCHEDULER [RUN-OPTION]...

Perfetto's trace processor answers for a trace what the report says: the CPU time of each group of
threads and the latencies of wakeups, by SQL. The processor is trace_processor_shell, in the PATH or
named by $USCX_TRACE_PROCESSOR. Without one the same SQL is asked of tables made here from what
Perfetto's Python package (`pip install perfetto protobuf`) decodes. Prints a line for each number,
and "N passed, N failed" last; exits with 77 where there is neither.
"""
import csv
import io
import json
import os
import re
import shutil
import sqlite3
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
    WHERE s.name = 'executes'
      AND s.ts BETWEEN (SELECT begin_ns FROM mark) AND (SELECT end_ns FROM mark)),
  woken AS (
    SELECT g.ts AS ts,
      (SELECT MAX(w.ts) FROM wakeup w WHERE w.tid = g.tid AND w.ts <= g.ts) AS since FROM goes_on g),
  latency AS (SELECT ts - since AS ns FROM woken WHERE since >= (SELECT begin_ns FROM mark)),
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
    return by_group({(row[0], row[1]): int(row[2]) for row in rows if len(row) == 3})


def tables_of(packets):
    """The tables that QUERY reads, as the trace processor has them."""
    db = sqlite3.connect(":memory:")
    db.executescript("""
        CREATE TABLE slice(ts, name, track_id); CREATE TABLE track(id, name);
        CREATE TABLE thread(utid, tid, name); CREATE TABLE thread_track(id, utid);
        CREATE TABLE sched(ts, dur, utid); CREATE TABLE ftrace_event(ts, name, arg_set_id);
        ALTER TABLE slice ADD COLUMN dur;""")
    names, events, arguments, interned, on = {}, [], [], {}, {}
    db.create_function("EXTRACT_ARG", 2, lambda number, key: arguments[number][key])
    for packet in packets:
        interned.update({entry.iid: entry.name for entry in packet.interned_data.event_names})
        names.update({thread.tid: thread.name for thread in packet.process_tree.threads})
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            db.execute("INSERT INTO track VALUES (?, ?)", (str(track.uuid), track.name))
            if track.HasField("thread"):
                db.execute("INSERT INTO thread_track VALUES (?, ?)", (str(track.uuid), track.thread.tid))
        if packet.HasField("track_event") and packet.track_event.type == packet.track_event.TYPE_INSTANT:
            event = packet.track_event
            db.execute("INSERT INTO slice VALUES (?, ?, ?, 0)",
                       (packet.timestamp, event.name or interned.get(event.name_iid), str(event.track_uuid)))
        events += [(event.timestamp, packet.ftrace_events.cpu, event) for event in packet.ftrace_events.event]
    for ts, cpu, event in sorted(events, key=lambda e: e[0]):
        if event.HasField("sched_switch"):
            names.setdefault(event.sched_switch.next_pid, event.sched_switch.next_comm)
            if cpu in on:
                db.execute("INSERT INTO sched VALUES (?, ?, ?)", (on[cpu][0], ts - on[cpu][0], on[cpu][1]))
            on[cpu] = (ts, event.sched_switch.next_pid)
        elif event.HasField("sched_wakeup"):
            arguments.append({"pid": event.sched_wakeup.pid})
            db.execute("INSERT INTO ftrace_event VALUES (?, 'sched_wakeup', ?)", (ts, len(arguments) - 1))
    db.executemany("INSERT INTO sched VALUES (?, -1, ?)", on.values())
    db.executemany("INSERT INTO thread VALUES (?, ?, ?)", [(tid, tid, name) for tid, name in names.items()])
    return db


def ask_tables(proto, trace):
    with open(trace, "rb") as file:
        packets = proto.Trace.FromString(file.read()).packet
    return by_group({(kind, name): value for kind, name, value in tables_of(packets).execute(QUERY)})


def perfetto_proto():
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2
        return perfetto_trace_pb2
    except ImportError:
        return None


def by_group(asked):
    """The same with threads "sleeper-2" and so on as one group, as the report has them."""
    out = {}
    for (kind, name), value in asked.items():
        key = (kind, re.sub(r"-\d+$", "", name) if kind == "cpu_ns" else name)
        out[key] = out.get(key, 0) + value
    return out


def same(key, asked, said):
    if key[1] not in ("p50", "p90", "p99"):
        return asked == said
    return asked <= said <= asked + asked // BUCKETS_AN_OCTAVE + 1


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    processor = os.environ.get("USCX_TRACE_PROCESSOR") or shutil.which("trace_processor_shell")
    proto = None if processor else perfetto_proto()
    if not processor and not proto:
        print("neither trace_processor_shell nor Perfetto's Python package: nothing was asked")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        trace = os.path.join(directory, "out.pftrace")
        report = os.path.join(directory, "report.json")
        subprocess.run([sys.argv[1], "run", *sys.argv[2:], "--trace", trace, "--json", report, "--quiet"],
                       check=True, stdin=subprocess.DEVNULL, timeout=600)
        asked = ask(processor, trace, directory) if processor else ask_tables(proto, trace)
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
