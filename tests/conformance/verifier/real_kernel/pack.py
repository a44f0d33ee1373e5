#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""pack.py KERNEL < LINES > DATA: the lines of random_verdicts, made compact.

First the kinds of verdict, most frequent first: ERRNO <tab> CATEGORY <tab> REASON; after a line
"--", for each seed from 0 the index of its kind.
"""
import collections
import sys
import textwrap

lines = [line.rstrip("\r\n") for line in sys.stdin if line.count("\t") == 2]
kinds = [kind for kind, _ in collections.Counter(lines).most_common()]
index = {kind: str(i) for i, kind in enumerate(kinds)}
print(f"# What Linux {sys.argv[1]} says of generate_program(0) .. ({len(lines) - 1}); made by pack.py")
print("\n".join(kinds))
print("--")
print(textwrap.fill(" ".join(index[line] for line in lines), 118))
