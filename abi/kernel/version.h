// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which kernel has what.
 *
 *   SINCE(7, 3)  the first version that has the declaration
 *   UNTIL(7, 3)  the first version that no longer has it
 *
 * stand after a struct member, after the closing brace of a type, or before a function or variable.
 * Enums and enumerators carry no attribute: ENUM_SINCE(NAME, 7, 3) and VALUE_SINCE(NAME, 7, 3)
 * beside them say it instead; ENUM_NAMED_SINCE(NAME, 7, 3) is for an enum that had no name before.
 * An enum called uapi_* never has one.
 *
 * A member that a version lacks is left out and the others stay where they are. That is right for
 * what programs reach by CO-RE and wrong for what is passed by position; such a type (and a
 * function whose prototype changed, and an enumerator whose value changed) is spelt twice: NAME is
 * the newest form, NAME___until_7_3 the one of versions before 7.3.
 */
#if defined(ABI_EMIT_BTF)
#define SINCE(major, minor) __attribute__((btf_decl_tag("since:" #major "." #minor)))
#define UNTIL(major, minor) __attribute__((btf_decl_tag("until:" #major "." #minor)))
#define VALUE_SINCE(name, major, minor) char uscx_value_##name SINCE(major, minor)
#define VALUE_UNTIL(name, major, minor) char uscx_value_##name UNTIL(major, minor)
#define ENUM_SINCE(name, major, minor) char uscx_enum_##name SINCE(major, minor)
#define ENUM_UNTIL(name, major, minor) char uscx_enum_##name UNTIL(major, minor)
#define ENUM_NAMED_SINCE(name, major, minor) char uscx_named_##name SINCE(major, minor)
#else
#define SINCE(major, minor)
#define UNTIL(major, minor)
#define VALUE_SINCE(name, major, minor) struct uscx_value_##name
#define VALUE_UNTIL(name, major, minor) struct uscx_value_##name
#define ENUM_SINCE(name, major, minor) struct uscx_enum_##name
#define ENUM_UNTIL(name, major, minor) struct uscx_enum_##name
#define ENUM_NAMED_SINCE(name, major, minor) struct uscx_named_##name
#endif

/*
 * KFUNC: callable from programs. KERNEL_FUNC: only its name and prototype matter (fentry targets,
 * argument annotations). The BTF needs parameter names, which clang records for definitions only;
 * and BPF has no definition with more than five parameters, so KERNEL_FUNC_WIDE goes without the
 * names.
 */
#if defined(ABI_EMIT_BTF)
#define KERNEL_FUNC(ret, name, ...) \
  ret name(__VA_ARGS__) {           \
    __builtin_unreachable();        \
  }
#define KFUNC(ret, name, ...) \
  __attribute__((btf_decl_tag("bpf_kfunc"))) KERNEL_FUNC(ret, name, __VA_ARGS__)
#define KFUNC_FASTCALL(ret, name, ...) \
  __attribute__((btf_decl_tag("bpf_fastcall"))) KFUNC(ret, name, __VA_ARGS__)
#define KERNEL_FUNC_WIDE(ret, name, ...) ret (*uscx_func_##name)(__VA_ARGS__);
#define PERCPU_VAR(type, name) __attribute__((section(".data..percpu"))) type name = {}
#elif defined(__cplusplus)
#define KERNEL_FUNC(ret, name, ...)
#define KERNEL_FUNC_WIDE(ret, name, ...)
#define KFUNC(ret, name, ...) /* bpf_res_spin_lock() would hide the struct */
#define KFUNC_FASTCALL(ret, name, ...)
#define PERCPU_VAR(type, name)
#else
#define KERNEL_FUNC(ret, name, ...)
#define KERNEL_FUNC_WIDE(ret, name, ...)
#if defined(BPF_NO_KFUNC_PROTOTYPES) /* as with bpftool's vmlinux.h: the program declares its own \
                                      */
#define KFUNC(ret, name, ...)
#else
#define KFUNC(ret, name, ...) \
  extern ret name(__VA_ARGS__) __attribute__((weak)) __attribute__((section(".ksyms")));
#endif
#define KFUNC_FASTCALL(ret, name, ...) KFUNC(ret, name, __VA_ARGS__)
#define PERCPU_VAR(type, name)
#endif

/* A pointer into the arena, as the kernel's BTF marks it. */
#if defined(ABI_EMIT_BTF)
#define __arena_ptr __attribute__((btf_type_tag("address_space(1)")))
#elif defined(__BPF_FEATURE_ADDR_SPACE_CAST) && !defined(__cplusplus)
#define __arena_ptr __attribute__((address_space(1)))
#else
#define __arena_ptr
#endif
