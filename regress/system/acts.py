# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What a process of mt-gcpd that has been taken over might try, as the system
calls that it would make (x86-64), for inject.c."""

import socket
import struct

AT_FDCWD = -100
O_PATH = 0x200000
SIGCHLD = 17
CALLS = dict(
    open=2, stat=4, lstat=6, mmap=9, mprotect=10, ioctl=16, access=21,
    shmget=29, dup=32, dup2=33, getpid=39, socket=41, connect=42, accept=43,
    sendto=44, sendmsg=46, bind=49, listen=50, socketpair=53, setsockopt=54,
    clone=56, fork=57, vfork=58, execve=59, kill=62, rename=82, mkdir=83,
    creat=85, link=86, unlink=87, symlink=88, readlink=89, chmod=90, chown=92,
    setrlimit=160, ptrace=101, setuid=105, setgid=106, setreuid=113,
    setregid=114, setgroups=116, setresuid=117, setresgid=119, setfsuid=122,
    capset=126, rt_sigqueueinfo=129, personality=135, pivot_root=155,
    prctl=157, chroot=161, mount=165, umount2=166, reboot=169,
    init_module=175, delete_module=176, tkill=200, tgkill=234, mq_open=240,
    kexec_load=246, add_key=248, request_key=249, keyctl=250,
    inotify_init1=294, openat=257, newfstatat=262, unshare=272, setns=308,
    pipe2=293, perf_event_open=298, fanotify_init=300, prlimit64=302,
    name_to_handle_at=303, process_vm_readv=310, process_vm_writev=311,
    kcmp=312, finit_module=313, seccomp=317, memfd_create=319, bpf=321,
    execveat=322, userfaultfd=323, pkey_mprotect=329, statx=332,
    pidfd_send_signal=424, io_uring_setup=425, open_tree=428, fsopen=430,
    pidfd_open=434, clone3=435, openat2=437, pidfd_getfd=438,
    landlock_create_ruleset=444, memfd_secret=447, swapon=167)


def data(*values):
    """Bytes, as an argument in memory."""
    return "x:" + b"".join(
        one if isinstance(one, bytes) else one.encode() + b"\0"
        for one in values).hex()


def numbers(layout, *values):
    return data(struct.pack("=" + layout, *values))


def word(*values):
    return b"".join(struct.pack("=Q", one) for one in values).hex()


def call(name, *args):
    return " ".join(["call", str(CALLS[name]), *map(str, args)])


class Act:
    """Calls, of which the last one is the act and the others lead up to it;
    what is in braces depends on the process, and "<0>" is what the first of them
    returned, as bytes.  may: roles whose business it is.
    errnos: refusals beyond the usual ones.  reaches: with what error it comes
    back where nothing refuses it, if it cannot be let succeed."""

    def __init__(self, name, *calls, may=(), errnos=(), reaches=None):
        self.name = name
        self.calls = calls
        self.may = may
        self.errnos = errnos
        self.reaches = reaches


def ipv4(port):
    return (struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
            + socket.inet_aton("127.0.0.1") + bytes(8))


def tcp(protocol=0):
    return call("socket", socket.AF_INET, socket.SOCK_STREAM, protocol)


ANYWHERE = data(ipv4(0))
PATH = data("/")
PARENT = ("parent",)
WEB = ("prober", "actuator", "reporter")
FORK = (11,)  # EAGAIN, which says that there are too many processes
# A filter that lets all through, and a control message with descriptor 0.
ALL_OF_IT = numbers("HBBI", 6, 0, 0, 0x7fff0000)
DESCRIPTOR = numbers("QiiiI", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, 0, 0)

FILES = [
    Act("open", call("open", PATH, 0), may=PARENT),
    Act("openat", call("openat", AT_FDCWD, PATH, 0), may=PARENT),
    Act("openat2", call("openat2", AT_FDCWD, PATH, numbers("QQQ", 0, 0, 0),
                        24)),
    Act("open O_PATH", call("openat", AT_FDCWD, PATH, O_PATH), may=PARENT),
    Act("open to write", call("openat", AT_FDCWD, "{file}", 0o1102, 0o600),
        may=PARENT),
    Act("creat", call("creat", "{file}", 0o600)),
    Act("stat", call("stat", PATH, "z:144"), may=PARENT),
    Act("lstat", call("lstat", PATH, "z:144"), may=PARENT),
    Act("newfstatat", call("newfstatat", AT_FDCWD, PATH, "z:144", 0),
        may=PARENT),
    Act("statx", call("statx", AT_FDCWD, PATH, 0, 0xfff, "z:256"),
        may=PARENT),
    Act("access", call("access", PATH, 0), may=PARENT),
    Act("readlink", call("readlink", data("/proc/self"), "z:64", 64),
        may=PARENT),
    Act("mkdir", call("mkdir", "{new}", 0o700), may=PARENT),
    Act("symlink", call("symlink", PATH, "{new}")),
    Act("link", call("link", "{there}", "{new}")),
    Act("chmod", call("chmod", "{there}", 0o600), may=PARENT),
    Act("chown", call("chown", "{there}", "{uid}", -1), may=PARENT),
    Act("unlink", call("unlink", "{there}"), may=PARENT),
    Act("rename", call("rename", "{there}", "{new}"), may=PARENT),
    Act("name_to_handle_at", call("name_to_handle_at", AT_FDCWD, PATH,
                                  numbers("II128s", 128, 0, b""), "z:8", 0)),
    Act("memfd_create", call("memfd_create", data("x"), 0)),
    Act("memfd_secret", call("memfd_secret", 0)),
    Act("inotify_init1", call("inotify_init1", 0)),
    Act("fanotify_init", call("fanotify_init", 0, 0)),
    Act("mq_open", call("mq_open", data("no-such"), 0, 0, 0), reaches=2),
    Act("shmget", call("shmget", 0x6d74, 4096, 0), reaches=2),
    Act("pipe2", call("pipe2", "z:8", 0)),
    Act("dup", call("dup", "{fd}")),
]

PROCESSES = [
    Act("execve", call("execve", data("/bin/true"), 0, 0)),
    Act("execveat", call("execveat", AT_FDCWD, data("/bin/true"), 0, 0, 0)),
    Act("fork", call("fork"), errnos=FORK),
    Act("vfork", call("vfork"), errnos=FORK),
    Act("clone", call("clone", SIGCHLD), errnos=FORK),
    Act("clone that shares memory", call("clone", 0x111, "z:4096"), errnos=FORK),
    Act("clone3", call("clone3", numbers("8Q", 0, 0, 0, 0, SIGCHLD, 0, 0, 0),
                       64), errnos=FORK),
    Act("ptrace a sibling", call("ptrace", 0x4206, "{sibling}", 0, 0)),
    Act("ptrace the parent", call("ptrace", 0x4206, "{parent}", 0, 0)),
    Act("be traced", call("ptrace", 0, 0, 0, 0), reaches=1),
    Act("kill a sibling", call("kill", "{sibling}", 0)),
    Act("kill the parent", call("kill", "{parent}", 0)),
    Act("kill all", call("kill", -1, 0)),
    Act("tkill", call("tkill", "{sibling}", 0)),
    Act("tgkill", call("tgkill", "{sibling}", "{sibling}", 0)),
    Act("rt_sigqueueinfo", call("rt_sigqueueinfo", "{sibling}", 0,
                                numbers("iii116s", 0, 0, -1, b""))),
    Act("pidfd_open", call("pidfd_open", "{sibling}", 0)),
    Act("pidfd_send_signal", call("pidfd_open", "{sibling}", 0),
        call("pidfd_send_signal", "=0", 0, 0, 0)),
    Act("pidfd_getfd", call("pidfd_open", "{sibling}", 0),
        call("pidfd_getfd", "=0", 0, 0)),
    Act("process_vm_readv", call("process_vm_readv", "{sibling}", "v:64", 1,
                                 "{remote}", 1, 0)),
    Act("process_vm_writev", call("process_vm_writev", "{sibling}", "v:1", 1,
                                  "{remote_byte}", 1, 0)),
    Act("read /proc/pid/mem", call("openat", AT_FDCWD, "{mem}", 0)),
    Act("kcmp", call("kcmp", "{self}", "{sibling}", 1, 0, 0)),
    Act("prlimit64 of a sibling", call("prlimit64", "{sibling}", 4, 0,
                                       "z:16")),
    Act("raise the core limit", call("setrlimit", 4, numbers("qq", -1, -1))),
    Act("become dumpable", call("prctl", 4, 1, 0, 0, 0)),
    Act("prctl PR_SET_PTRACER", call("prctl", 0x59616d61, -1, 0, 0, 0),
        reaches=22),
    Act("prctl PR_SET_MM", call("prctl", 35, 1, 0, 0, 0), reaches=22),
]

SOCKETS = [
    Act("AF_UNIX", call("socket", socket.AF_UNIX, 1, 0), may=PARENT),
    Act("AF_UNIX datagrams", call("socket", socket.AF_UNIX, 2, 0),
        may=PARENT),
    Act("AF_NETLINK", call("socket", socket.AF_NETLINK, 3, 0)),
    Act("AF_PACKET", call("socket", socket.AF_PACKET, 3, 0)),
    Act("AF_VSOCK", call("socket", 40, 1, 0)),
    Act("AF_ALG", call("socket", 38, 5, 0)),
    Act("raw IPv4", call("socket", socket.AF_INET, 3, 1)),
    Act("raw IPv6", call("socket", socket.AF_INET6, 3, 58)),
    Act("ping", call("socket", socket.AF_INET, 2, 1)),
    Act("UDP", call("socket", socket.AF_INET, 2, 0), may=("resolver",)),
    Act("UDP over IPv6", call("socket", socket.AF_INET6, 2, 0),
        may=("resolver",)),
    Act("UDP-Lite", call("socket", socket.AF_INET, 2, 136)),
    Act("TCP", tcp(), may=("resolver",) + WEB),
    Act("TCP over IPv6", call("socket", socket.AF_INET6, 1, 0),
        may=("resolver",) + WEB),
    Act("IPPROTO_MPTCP", tcp(262)),
    Act("SCTP", tcp(132)),
    Act("SCTP one to many", call("socket", socket.AF_INET, 5, 132)),
    Act("connect to another port", tcp(), call("connect", "=0", "{port}",
                                               16)),
    Act("MSG_FASTOPEN to another port", tcp(), call(
        "sendto", "=0", data("x"), 1, 0x20000000, "{port}", 16)),
    Act("sendmsg MSG_FASTOPEN", tcp(), "mem {port}", "mem x:78",
        "mem x:<2>" + word(1), call(
            "sendmsg", "=0", "x:<1>" + word(16) + "<3>" + word(1, 0, 0, 0),
            0x20000000)),
    Act("TCP_FASTOPEN_CONNECT", tcp(), call(
        "setsockopt", "=0", 6, 30, numbers("i", 1), 4)),
    Act("SO_REUSEPORT", tcp(), call(
        "setsockopt", "=0", 1, 15, numbers("i", 1), 4)),
    Act("TCP_ULP", tcp(), call("setsockopt", "=0", 6, 31, data("tls"), 3),
        reaches=107),
    Act("TCP_REPAIR", tcp(), call(
        "setsockopt", "=0", 6, 19, numbers("i", 1), 4)),
    Act("SO_ATTACH_FILTER", "mem " + ALL_OF_IT, call(
        "setsockopt", "{fd}", 1, 26, "x:" + word(1) + "<0>", 16)),
    Act("a message to an address", tcp(), call(
        "sendto", "=0", data("x"), 1, 0x4000, "{port}", 16), reaches=32),
    Act("bind TCP", tcp(), call("bind", "=0", ANYWHERE, 16)),
    Act("listen without bind", tcp(), call("listen", "=0", 1)),
    Act("bind what there is", call("bind", "{fd}", numbers("H", 1), 2)),
    Act("listen on what there is", call("listen", "{fd}", 1), reaches=22),
    Act("accept on what there is", call("accept", "{fd}", 0, 0), reaches=22),
    Act("connect what there is", call("connect", "{fd}", numbers("H", 1), 2),
        may=("resolver",) + PARENT + WEB, reaches=22),
    Act("pass a descriptor", "mem x:78", "mem x:<0>" + word(1),
        "mem " + DESCRIPTOR, call(
            "sendmsg", "{fd}", "x:" + word(0, 0) + "<1>" + word(1) + "<2>"
            + word(24, 0), 0x4040)),
    Act("socketpair", call("socketpair", socket.AF_UNIX, 1, 0, "z:8")),
]

MEMORY = [
    Act("map an executable page", call("mmap", 0, 4096, 5, 0x22, -1, 0)),
    Act("map a page to write and execute", call("mmap", 0, 4096, 7, 0x22, -1,
                                                0)),
    Act("share a page", call("mmap", 0, 4096, 3, 0x21, -1, 0)),
    Act("map a fixed page", call("mmap", 0x10000000, 4096, 3, 0x32, -1, 0)),
    Act("make a page executable", call("mmap", 0, 4096, 3, 0x22, -1, 0),
        call("mprotect", "=0", 4096, 5)),
    Act("the same with a key", call("mmap", 0, 4096, 3, 0x22, -1, 0),
        call("pkey_mprotect", "=0", 4096, 5, -1)),
    Act("personality", call("personality", 0xffffffff)),
    Act("READ_IMPLIES_EXEC", call("personality", 0x0400000)),
    Act("userfaultfd", call("userfaultfd", 1)),
]

KERNEL = [
    Act("io_uring_setup", call("io_uring_setup", 8, "z:120")),
    Act("bpf", call("bpf", 0, numbers("IIII56s", 2, 4, 4, 1, b""), 72)),
    Act("perf_event_open", call(
        "perf_event_open", numbers("IIQ96s", 1, 112, 0, b""), 0, -1, -1, 0)),
    Act("keyctl", call("keyctl", 0, -3, 1)),
    Act("add_key", call("add_key", data("user"), data("x"), data("y"), 1,
                        -2)),
    Act("request_key", call("request_key", data("user"), data("x"), 0, 0),
        reaches=126),
    Act("unshare a user namespace", call("unshare", 0x10000000)),
    Act("unshare", call("unshare", 0x04000000)),
    Act("setns", call("setns", -1, 0), reaches=9),
    Act("mount", call("mount", data("none"), "{dir}", data("tmpfs"), 0, 0)),
    Act("umount2", call("umount2", "{dir}", 0), reaches=22),
    Act("fsopen", call("fsopen", data("tmpfs"), 0)),
    Act("open_tree", call("open_tree", AT_FDCWD, PATH, 0)),
    Act("pivot_root", call("pivot_root", "{dir}", "{dir}"), reaches=22),
    Act("chroot", call("chroot", data("."))),
    Act("setuid", call("setuid", 0)),
    Act("setreuid", call("setreuid", 0, 0)),
    Act("setresuid", call("setresuid", 0, 0, 0)),
    Act("setfsuid", call("setfsuid", 0)),
    Act("setgid", call("setgid", 0)),
    Act("setregid", call("setregid", 0, 0)),
    Act("setresgid", call("setresgid", 0, 0, 0)),
    Act("setgroups", call("setgroups", 1, numbers("I", 0))),
    Act("capset", call("capset", numbers("II", 0x20080522, 0),
                       numbers("IIIIII", 1, 1, 0, 0, 0, 0))),
    Act("another filter", "mem " + ALL_OF_IT, call(
        "seccomp", 1, 0, "x:" + word(1) + "<0>")),
    Act("landlock_create_ruleset", call("landlock_create_ruleset", 0, 0, 1)),
    Act("init_module", call("init_module", 0, 0, PATH), reaches=8),
    Act("finit_module", call("finit_module", -1, PATH, 0), reaches=9),
    Act("delete_module", call("delete_module", data("no_such"), 0x800),
        reaches=2),
    Act("kexec_load", call("kexec_load", 0, 1000, 0, 0), reaches=22),
    Act("reboot", call("reboot", 0, 0, 0, 0), reaches=22),
    Act("swapon", call("swapon", data("/nothing"), 0), reaches=2),
    Act("TIOCSTI", call("ioctl", "{tty}", 0x5412, data("x"))),
    Act("int 0x80", "int80 20"),
    Act("x32", call("getpid").replace("39", str(0x40000000 + 39))),
    Act("leave a core", "segv"),
]

ACTS = FILES + PROCESSES + SOCKETS + MEMORY + KERNEL
