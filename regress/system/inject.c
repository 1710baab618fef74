/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * inject pid
 * inject -n [uid]
 *
 * Have a process make system calls, whatever its program: one that runs, or a
 * new one that is not confined at all.  Its filters and privileges are its own,
 * so what comes of a call is what would come of it if the process were taken
 * over.  x86-64 only.
 *
 * Standard input has a call per line, "how number [argument ...]": how is call
 * or int80, and an argument a number, "=" and the number of an earlier line,
 * whose result it is, or a pointer to what is written into memory before: "x:"
 * and bytes in hexadecimal digits, "z:" and how many zero bytes, "v:" and a
 * length, an iovec of so many.  "mem argument" writes one that stays for a
 * while; its result is the pointer.  "segv" has it touch what is not there.
 * Standard output answers each line with "= result", "killed signal", followed
 * by "core" if it left one, "exited status", or "trapped", if the filter of a
 * build for developers has it handle the call; "ready" comes first.
 */

#define LINES_MAX  64
#define ROOM	   8192	 /* of memory arguments */
#define BELOW	   16384 /* the stack's end */
#define REDZONE	   256
#define ERESTART_1 512 /* ERESTARTSYS, which user space never sees */
#define ERESTART_2 516 /* ERESTART_RESTARTBLOCK */

static pid_t pid;
static struct user_regs_struct saved;
static long text; /* at the system call instruction */
static uint64_t room, next_room;
static uint64_t kept; /* bytes of the lines "mem" */
static long long result[LINES_MAX];
static int nresults;
static uint64_t held_signals; /* bit n: signal n came meanwhile */

/* It is no more; say how it ended. */
static void
ended(int status)
{
	if (WIFEXITED(status))
		printf("exited %d\n", WEXITSTATUS(status));
	else
		printf("killed %d%s\n", WTERMSIG(status),
		    WCOREDUMP(status) ? " core" : "");
	exit(0);
}

static int
wait_stop(void)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid)
		err(1, "waitpid");
	if (!WIFSTOPPED(status))
		ended(status);
	return (status);
}

/* A process that it has made: nobody needs it. */
static void
end_child(void)
{
	unsigned long child = 0;

	if (ptrace(PTRACE_GETEVENTMSG, pid, 0, &child) == -1)
		err(1, "PTRACE_GETEVENTMSG");
	if (child == 0)
		return;
	(void)kill((pid_t)child, SIGKILL);
	(void)waitpid((pid_t)child, NULL, __WALL);
}

/* Its filter lets it handle the call by itself: nothing more is to be seen. */
static void __attribute__((__noreturn__)) let_handle(void)
{
	printf("trapped\n");
	if (fflush(stdout) == EOF ||
	    ptrace(PTRACE_DETACH, pid, 0, SIGSYS) == -1)
		err(1, "PTRACE_DETACH");
	exit(0);
}

/* Run until it enters or leaves a system call; signals have to wait. */
static void
run_to_call(void)
{
	int event, status;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) == -1)
			err(1, "PTRACE_SYSCALL");
		status = wait_stop();
		event = status >> 16;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return;
		if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
		    event == PTRACE_EVENT_CLONE)
			end_child();
		else if (event == 0 && WSTOPSIG(status) == SIGSYS)
			let_handle();
		else if (event == 0 && WSTOPSIG(status) < 64)
			held_signals |= 1ULL << WSTOPSIG(status);
	}
}

static void
put(uint64_t address, const void *data, size_t len)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd == -1 || pwrite(fd, data, len, (off_t)address) != (ssize_t)len)
		err(1, "%s", path);
	close(fd);
}

static uint64_t
put_next(const void *data, size_t len)
{
	uint64_t address = next_room;

	if (len > ROOM || address + len > room + BELOW - REDZONE)
		errx(1, "too many bytes");
	put(address, data, len);
	next_room = (address + len + 15) & ~15ULL;
	return (address);
}

static uint64_t
put_hex(const char *digits)
{
	unsigned char bytes[ROOM];
	size_t n, len = strlen(digits) / 2;
	unsigned int byte;

	if (len > sizeof(bytes))
		errx(1, "too many bytes");
	for (n = 0; n < len; n++) {
		if (sscanf(digits + 2 * n, "%2x", &byte) != 1)
			errx(1, "%s", digits);
		bytes[n] = (unsigned char)byte;
	}
	return (put_next(bytes, len));
}

static uint64_t
put_zeros(size_t len)
{
	static const char zeros[ROOM];

	return (put_next(zeros, len));
}

static uint64_t
put_iovec(size_t len)
{
	uint64_t iovec[2];

	iovec[0] = put_zeros(len);
	iovec[1] = len;
	return (put_next(iovec, sizeof(iovec)));
}

static uint64_t
argument(const char *word)
{
	if (strncmp(word, "x:", 2) == 0)
		return (put_hex(word + 2));
	if (strncmp(word, "z:", 2) == 0)
		return (put_zeros(strtoul(word + 2, NULL, 0)));
	if (strncmp(word, "v:", 2) == 0)
		return (put_iovec(strtoul(word + 2, NULL, 0)));
	if (word[0] == '=')
		return ((uint64_t)result[atoi(word + 1) % LINES_MAX]);
	return ((uint64_t)strtoll(word, NULL, 0));
}

/* The instruction by which system calls are made. */
static void
instruction(int int80)
{
	long word = text;

	if (int80)
		word = (text & ~0xffffL) | 0x80cd;
	if (ptrace(PTRACE_POKETEXT, pid, saved.rip - 2, word) == -1)
		err(1, "PTRACE_POKETEXT");
}

static void
set_registers(const struct user_regs_struct *regs)
{
	if (ptrace(PTRACE_SETREGS, pid, 0, regs) == -1)
		err(1, "PTRACE_SETREGS");
}

/* Does the signal of a filter wait for it?  It comes after the call has been
 * left, which has its number for a result then. */
static int
is_doomed(void)
{
	char line[128], path[64];
	uint64_t pending = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (file == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "SigPnd:", 7) == 0)
			pending = strtoull(line + 7, NULL, 16);
	fclose(file);
	return ((pending & (1ULL << (SIGSYS - 1))) != 0);
}

static long long
call(int int80, uint64_t number, const uint64_t args[6])
{
	struct user_regs_struct regs = saved;

	regs.rip = saved.rip - 2;
	regs.rax = number;
	regs.orig_rax = (unsigned long long)-1; /* nothing to begin again */
	regs.rdi = args[int80 ? 4 : 0];
	regs.rsi = args[int80 ? 3 : 1];
	regs.rdx = args[2];
	if (int80) {
		regs.rbx = args[0];
		regs.rcx = args[1];
		regs.rbp = args[5];
	} else {
		regs.r10 = args[3];
		regs.r8 = args[4];
		regs.r9 = args[5];
	}
	set_registers(&regs);
	if (int80)
		instruction(1);
	run_to_call(); /* enters */
	run_to_call(); /* leaves */
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == -1)
		err(1, "PTRACE_GETREGS");
	if (int80)
		instruction(0);
	if (is_doomed())
		run_to_call(); /* which it does not live to see */
	return ((long long)regs.rax);
}

/* Does not return. */
static void
touch_nothing(void)
{
	struct user_regs_struct regs = saved;
	int status, sig = 0;

	regs.rip = 0;
	regs.orig_rax = (unsigned long long)-1;
	set_registers(&regs);
	for (;;) {
		if (ptrace(PTRACE_CONT, pid, 0, sig) == -1)
			err(1, "PTRACE_CONT");
		status = wait_stop();
		sig = WSTOPSIG(status) == SIGSEGV ? SIGSEGV : 0;
	}
}

static void
answer(long long value)
{
	result[nresults % LINES_MAX] = value;
	printf("= %lld\n", value);
	nresults++;
}

/* Write an argument where that of no call will be. */
static void
keep(void)
{
	const char *word = strtok(NULL, " \n");
	uint64_t address;

	if (kept > ROOM / 2)
		kept = 0;
	next_room = room + ROOM + kept;
	address = argument(word == NULL ? "z:8" : word);
	kept = next_room - room - ROOM;
	answer((long long)address);
}

/* The line's call; an error of the tool's own is its end. */
static void
obey(char *line)
{
	uint64_t args[7] = { 0 };
	char *how, *word;
	int n = 0;

	how = strtok(line, " \n");
	if (how == NULL)
		return;
	if (strcmp(how, "segv") == 0)
		touch_nothing();
	if (strcmp(how, "mem") == 0) {
		keep();
		return;
	}
	next_room = room;
	while ((word = strtok(NULL, " \n")) != NULL && n < 7)
		args[n++] = argument(word);
	answer(call(strcmp(how, "int80") == 0, args[0], args + 1));
}

/* Stop it while it waits in a system call: we need the instruction. */
static void
attach(void)
{
	const struct timespec moment = { 0, 1000000 };
	int tries;

	if (ptrace(PTRACE_SEIZE, pid, 0,
		PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
		    PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
		    PTRACE_O_TRACEEXEC) == -1)
		err(1, "PTRACE_SEIZE %d", pid);
	for (tries = 0; tries < 5000; tries++) {
		if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == -1)
			err(1, "PTRACE_INTERRUPT");
		(void)wait_stop();
		if (ptrace(PTRACE_GETREGS, pid, 0, &saved) == -1)
			err(1, "PTRACE_GETREGS");
		errno = 0;
		text = ptrace(PTRACE_PEEKTEXT, pid, saved.rip - 2, 0);
		if (errno == 0 && (text & 0xffff) == 0x050f)
			break;
		if (ptrace(PTRACE_CONT, pid, 0, 0) == -1)
			err(1, "PTRACE_CONT");
		(void)nanosleep(&moment, NULL);
	}
	if (tries == 5000)
		errx(1, "%d waits for nothing", pid);
	room = (saved.rsp - BELOW) & ~15ULL;
}

/* As it was; what it waited for has been interrupted. */
static void
detach(void)
{
	long long left = -(long long)saved.rax;
	int sig;

	if (left >= ERESTART_1 && left <= ERESTART_2)
		saved.rax = (unsigned long long)-EINTR;
	saved.orig_rax = (unsigned long long)-1;
	set_registers(&saved);
	for (sig = 1; sig < 64; sig++)
		if (held_signals & (1ULL << sig))
			(void)kill(pid, sig);
	if (ptrace(PTRACE_DETACH, pid, 0, 0) == -1)
		err(1, "PTRACE_DETACH");
}

/* A terminal of its own, as standard input. */
static void
take_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int slave;

	if (master == -1 || grantpt(master) == -1 || unlockpt(master) == -1 ||
	    setsid() == -1)
		err(1, "terminal");
	slave = open(ptsname(master), O_RDWR);
	if (slave == -1 || dup2(slave, 0) == -1)
		err(1, "terminal");
}

/* A process that may do all that the user may, with a terminal and a socket,
 * descriptor 3, and no limit to what it may leave behind. */
static void
new_process(uid_t uid)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int pair[2], ready[2];
	char byte;

	if (pipe(ready) == -1 || (pid = fork()) == -1)
		err(1, "fork");
	if (pid != 0) {
		close(ready[1]);
		(void)!read(ready[0], &byte, 1);
		return;
	}
	take_terminal();
	(void)setrlimit(RLIMIT_CORE, &all);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    dup2(pair[0], 10) == -1 || dup2(ready[1], 11) == -1 ||
	    dup2(10, 3) == -1)
		_exit(1);
	if (uid != 0 &&
	    (setgroups(0, NULL) == -1 || setresgid(uid, uid, uid) == -1 ||
		setresuid(uid, uid, uid) == -1 ||
		prctl(PR_SET_DUMPABLE, 1) == -1))
		_exit(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)write(11, "", 1);
	for (;;)
		pause();
}

int
main(int argc, char *argv[])
{
	static char line[4 * ROOM];
	int own = argc > 1 && strcmp(argv[1], "-n") == 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || argc > 3)
		errx(2, "usage: inject pid | inject -n [uid]");
	if (own)
		new_process(argc == 3 ? (uid_t)atoi(argv[2]) : 0);
	else
		pid = atoi(argv[1]);
	attach();
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	if (own)
		(void)kill(pid, SIGKILL);
	else
		detach();
	return (0);
}
