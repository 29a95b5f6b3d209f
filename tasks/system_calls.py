"""The system calls that a command in the sandbox has to do without, as a filter for seccomp(2).

They lead deep into the kernel, and no honest program here needs them: file systems and namespaces, other processes'
memory, keys, io_uring, BPF, performance counters, modules, and memory that no process maps and nobody can count. A
refused call fails as on a kernel that lacks it (ENOSYS), so programs that can do without it do: the C library starts
threads by `clone` where there is no `clone3`, whose flags a filter cannot read. A process that calls as another
architecture, by other numbers, is killed.

The numbers are those of the kernel: arch/x86/entry/syscalls/syscall_64.tbl and, for aarch64, include/uapi/asm-generic/
unistd.h; the program is classic BPF over `struct seccomp_data` as in Documentation/userspace-api/seccomp_filter.rst.
"""

import errno
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager

REFUSED = {
    "x86_64": {
        "acct": 163, "add_key": 248, "bpf": 321, "chroot": 161, "delete_module": 176, "fanotify_init": 300,
        "finit_module": 313, "init_module": 175, "ioperm": 173, "iopl": 172, "kcmp": 312, "kexec_file_load": 320,
        "kexec_load": 246, "keyctl": 250, "memfd_create": 319, "mount": 165, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "perf_event_open": 298, "pivot_root": 155, "process_vm_readv": 310,
        "process_vm_writev": 311, "ptrace": 101, "quotactl": 179, "reboot": 169, "request_key": 249, "setns": 308,
        "shmget": 29, "swapoff": 168, "swapon": 167, "syslog": 103, "umount2": 166, "unshare": 272, "userfaultfd": 323,
    },
    "aarch64": {
        "acct": 89, "add_key": 217, "bpf": 280, "chroot": 51, "delete_module": 106, "fanotify_init": 262,
        "finit_module": 273, "init_module": 105, "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219,
        "memfd_create": 279, "mount": 40, "name_to_handle_at": 264, "open_by_handle_at": 265, "perf_event_open": 241,
        "pivot_root": 41, "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117, "quotactl": 60,
        "reboot": 142, "request_key": 218, "setns": 268, "shmget": 194, "swapoff": 225, "swapon": 224, "syslog": 116,
        "umount2": 39, "unshare": 97, "userfaultfd": 282,
    },
}  # fmt: skip
"""By architecture; the calls that came later have the same number everywhere."""
REFUSED_EVERYWHERE = {
    "clone3": 435, "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433, "io_uring_enter": 426,
    "io_uring_register": 427, "io_uring_setup": 425, "memfd_secret": 447, "mount_setattr": 442, "move_mount": 429,
    "open_tree": 428, "open_tree_attr": 467, "pidfd_getfd": 438, "process_madvise": 440, "quotactl_fd": 443,
}  # fmt: skip
_CLONE = {"x86_64": 56, "aarch64": 220}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_* of linux/audit.h
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW* of linux/sched.h
_X32 = 0x40000000  # bit of the calls of the x32 ABI
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_NUMBER, _WHICH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _KILL, _NO_SUCH_CALL = 0x7FFF0000, 0x80000000, 0x00050000 | errno.ENOSYS  # linux/seccomp.h


def program(machine: str) -> bytes:
    """The filter for an architecture, an array of `struct sock_filter`; empty where the numbers are not known."""
    if machine not in REFUSED:
        return b""
    numbers = sorted({*REFUSED[machine].values(), *REFUSED_EVERYWHERE.values()})
    lines = [
        (_LOAD, 0, 0, _WHICH),
        (_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        # Jumps skip that many lines: from a refused number to the last line.
        *((_EQUAL, len(numbers) - place + 3, 0, number) for place, number in enumerate(numbers)),
        (_EQUAL, 0, 2, _CLONE[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _NO_SUCH_CALL),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


@contextmanager
def filter_file() -> Generator[int | None]:
    """A descriptor to read this machine's filter from, once; None where there is no filter."""
    lines = program(os.uname().machine)
    if not lines:
        yield None
        return
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, lines)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
