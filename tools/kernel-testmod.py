#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""kernel-testmod.py TEST_KMODS OUT.c OUT.tsv: what the kernel's bpf_testmod module offers to programs.

OUT.c, compiled for BPF, describes it in BTF: its structs, and each function as a struct
uscx_func_NAME whose first member has the result's type (uscx_void: none) and whose others are the
parameters; conformance_verifier makes FUNCs of them. OUT.tsv has the kfuncs: name, flags, set.
"""
import pathlib
import re
import sys

HEAD = """#include "vmlinux.h"
#define __user
#define __percpu
#define TP_PROTO(...) __VA_ARGS__
#include "bpf_testmod.h"
#include "bpf_testmod_kfunc.h"
"""


def split_params(text):
    text = " ".join(text.split())
    return [] if text in ("", "void") else [p.strip() for p in text.split(",")]


def function_struct(name, result, params):
    """The C text that stands for one function."""
    result = re.sub(r"\b(noinline|static|__weak|__bpf_kfunc|inline)\b", "", result).strip()
    members = ["char uscx_void;" if result == "void" else f"{result} uscx_result;"]
    members += [p + ";" for p in params]
    return f"struct uscx_func_{name} {{ {' '.join(members)} }} uscx_root_{name};\n"


def functions(text):
    """name -> (result, params) of every function defined in the module."""
    pattern = re.compile(r"^((?:noinline|static|__weak|__bpf_kfunc|struct|int|void|u64|s64|long)\b"
                         r"[\w\s\*]*?[\s\*])(bpf_\w+)\(([^(){}]*)\)\s*\{", re.M)
    return {m[2]: (m[1], split_params(m[3])) for m in pattern.finditer(text)}


def main():
    kmods, out_c, out_tsv = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    text = re.sub(r"/\*.*?\*/", "", (kmods / "bpf_testmod.c").read_text(), flags=re.S)
    events = re.sub(r"/\*.*?\*/", "", (kmods / "bpf_testmod-events.h").read_text(), flags=re.S)
    header = (kmods / "bpf_testmod.h").read_text()

    code = [HEAD]
    # Compilers keep a struct whole only where something is of its type.
    code += [f"struct {name} uscx_root_struct_{name};\n"
             for name in re.findall(r"^struct (\w+) \{", header, re.M)]
    code += [m[0] + "\n" for m in re.finditer(
        r"^(?:struct|union) bpf_testmod_\w+ \{[^{}]*\};", text, re.M)]
    defined = functions(text)
    for name, (result, params) in sorted(defined.items()):
        if "__int128" in result or "**" in result:
            continue
        code.append(function_struct(name, result, params))
    # A public prototype of an implicit-argument kfunc lacks its last parameter.
    kfuncs = re.findall(r"BTF_ID_FLAGS\(func, (\w+)(?:, ([\w |]+))?\)", text)
    sets = re.split(r"BTF_KFUNCS_START\((\w+)\)", text)
    with open(out_tsv, "w", encoding="utf-8") as tsv:
        for set_name, body in zip(sets[1::2], sets[2::2]):
            body = body.split("BTF_KFUNCS_END")[0]
            for name, flags in re.findall(r"BTF_ID_FLAGS\(func, (\w+)(?:, ([\w |]+))?\)", body):
                tsv.write(f"{name}\t{flags.replace(' ', '') or '0'}\t{set_name}\n")
    assert kfuncs
    # struct_ops types: the tables' value types.
    for name in re.findall(r"^struct (bpf_testmod\w*ops\w*) \{", header, re.M):
        code.append(f"struct bpf_struct_ops_{name} {{ struct bpf_struct_ops_common_value common; "
                    f"struct {name} data __attribute__((aligned(64))); }} uscx_root_{name};\n")
    # Tracepoints: a typedef each, and the function that names its arguments.
    for kind, name, proto in re.findall(
            r"^(TRACE_EVENT|DECLARE_TRACE|BPF_TESTMOD_DECLARE_TRACE)\((\w+),\s*TP_PROTO\(([^()]*)\)",
            events, re.M):
        name += "" if kind == "TRACE_EVENT" else "_tp"
        params = ["void *__data"] + split_params(proto)
        code.append(f"typedef void (*btf_trace_{name})({', '.join(params)});\n"
                    f"btf_trace_{name} uscx_root_trace_{name};\n")
        code.append(function_struct(f"__bpf_trace_{name}", "void", params))
    pathlib.Path(out_c).write_text("".join(code), encoding="utf-8")


if __name__ == "__main__":
    main()
