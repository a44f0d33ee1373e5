#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""pack.py KERNEL [FIRST] < LINES > DATA: the lines of random_verdicts FIRST COUNT, made compact.

First the kinds of verdict, most frequent first: ERRNO <tab> CATEGORY <tab> REASON; after a line
"-- FIRST", for each seed from FIRST (0) the index of its kind.
"""
import collections
import sys
import textwrap

first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
lines = [line.rstrip("\r\n") for line in sys.stdin if line.count("\t") == 2]
kinds = [kind for kind, _ in collections.Counter(lines).most_common()]
index = {kind: str(i) for i, kind in enumerate(kinds)}
print(f"# What Linux {sys.argv[1]} says of generate_program({first}) .. ({first + len(lines) - 1}); made by pack.py")
print("\n".join(kinds))
print(f"-- {first}" if first else "--")
print(textwrap.fill(" ".join(index[line] for line in lines), 118))
