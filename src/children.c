/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "confine.h"
#include "log.h"

/*
 * The children: found, checked, started, watched.  Each is a program of its
 * own and gets one end of a socketpair as descriptor 3, and nothing else.
 */

/* Nothing; a build for developers tells how it filters system calls. */
#ifdef MTGCPD_SECCOMP_TRAP
#define CHILD_ENVIRONMENT                                                      \
	getenv("MTGCPD_SECCOMP") == NULL ? NULL : trap_environment
static char trap_environment[] = "MTGCPD_SECCOMP=trap";
#else
#define CHILD_ENVIRONMENT NULL
#endif

struct child {
	pid_t pid; /* 0: not running */
	struct channel *channel;
	uid_t uid;
	gid_t gid;
};

static struct {
	struct event_base *base;
	const struct conf *conf;
	void (*lost)(enum role, const char *);
	int directory; /* of the child programs */
	char path[PATH_MAX];
	bool drop;
	int listener; /* for the reporter; -1: none */
	struct child child[ROLE_MAX];
} children = { .directory = -1, .listener = -1 };

/* May only root and the caller change this? */
static bool
is_safe(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return (false);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & 022) != 0) {
		errno = EPERM;
		return (false);
	}
	return (true);
}

/*
 * Open the directory of the child programs: "libexec" beside this program, if
 * it is there, as in a build that is run in place, else where they are
 * installed.
 */
static int
open_directory(void)
{
	char self[PATH_MAX];
	ssize_t n;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n == -1)
		return (-1);
	self[n] = '\0';
	if ((size_t)snprintf(children.path, sizeof(children.path), "%s/libexec",
		dirname(self)) >= sizeof(children.path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	children.directory = open(children.path,
	    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (children.directory == -1 && errno == ENOENT) {
		strlcpy(children.path, MTGCPD_LIBEXEC, sizeof(children.path));
		children.directory = open(children.path,
		    O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (children.directory == -1 || !is_safe(children.directory))
		return (-1);
	return (0);
}

static int
find_user(enum role role)
{
	struct child *child = &children.child[role];
	const char *name = children.conf->user[role];
	const struct passwd *pw;

	pw = getpwnam(name);
	if (pw == NULL) {
		log_errorx("no such user: %s (systemd-sysusers(8) or "
			   "useradd(8) makes it)",
		    name);
		return (-1);
	}
	if (pw->pw_uid == 0) {
		log_errorx("user %s: the %s cannot be root", name,
		    role_name(role));
		return (-1);
	}
	child->uid = pw->pw_uid;
	child->gid = pw->pw_gid;
	return (0);
}

/* The empty directory of the children; systemd-tmpfiles(8) may have made it. */
static int
make_chroot(const char *path)
{
	char copy[PATH_MAX];

	strlcpy(copy, path, sizeof(copy));
	(void)mkdir(dirname(copy), 0755);
	if (mkdir(path, 0755) == -1 && errno != EEXIST) {
		log_warn("chroot %s", path);
		return (-1);
	}
	return (0);
}

static void child_exited(evutil_socket_t, short, void *);

/*
 * Find what the children need: their programs, users and chroot directory.
 * lost is called when a child has gone, with how.  conf must outlive the
 * children.  Returns -1, having said why.
 */
int
children_init(struct event_base *base, const struct conf *conf,
    void (*lost)(enum role, const char *))
{
	struct event *sigchld;
	int role;

	children.base = base;
	children.conf = conf;
	children.lost = lost;
	children.drop = geteuid() == 0;
	if (open_directory() == -1) {
		log_warn("the child programs in %s", children.path);
		return (-1);
	}
	for (role = ROLE_RESOLVER; children.drop && role < ROLE_MAX; role++) {
		if (role == ROLE_REPORTER && !conf_reports(conf))
			continue;
		if (find_user((enum role)role) == -1)
			return (-1);
	}
	if (children.drop && make_chroot(conf->chroot) == -1)
		return (-1);
	sigchld = evsignal_new(base, SIGCHLD, child_exited, NULL);
	if (sigchld == NULL || event_add(sigchld, NULL) == -1) {
		log_warnx("evsignal_new");
		return (-1);
	}
	return (0);
}

/* Another configuration, which must outlive the children, is in use now. */
void
children_conf(const struct conf *conf)
{
	children.conf = conf;
}

/*
 * The reporter is to inherit this descriptor, which listens; it is above those
 * that a child gets, and the parent closes it once the reporter runs.  That is
 * why no process has code that receives descriptors.
 */
void
children_listener(int fd)
{
	children.listener = fd;
}

/*
 * In the new process: nothing of the parent's but the channel, and for the
 * reporter its socket.  In a group of its own it is made to go on when the
 * parent dies while it is stopped (that orphans the group, setpgid(2)), and so
 * it finds its channel closed.
 */
static __dead void
child_exec(int program, int channel, enum role role)
{
	char title[32];
	char *argv[] = { title, NULL };
	char *envp[] = { CHILD_ENVIRONMENT, NULL };
	int null, last = IMSG_FD;

	snprintf(title, sizeof(title), "mt-gcpd: %s", role_name(role));
	if (setpgid(0, 0) == -1)
		_exit(127);
	null = open("/dev/null", O_RDWR);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 || dup2(null, STDERR_FILENO) == -1)
		_exit(127);
	if (channel == IMSG_FD) {
		if (fcntl(channel, F_SETFD, 0) == -1)
			_exit(127);
	} else if (dup2(channel, IMSG_FD) == -1)
		_exit(127);
	if (role == ROLE_REPORTER && children.listener != -1) {
		last = LISTEN_FD;
		if (dup2(children.listener, LISTEN_FD) == -1)
			_exit(127);
	}
	if (close_range((unsigned int)last + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		_exit(127);
	fexecve(program, argv, envp);
	_exit(127);
}

/*
 * The program of the role, checked on the descriptor that will be executed,
 * which is above that of the channel.  Returns -1 with errno set.
 */
static int
open_program(enum role role)
{
	char name[32];
	int fd, high;

	snprintf(name, sizeof(name), "mt-gcpd-%s", role_name(role));
	fd = openat(children.directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	high = is_safe(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, IMSG_FD + 7) : -1;
	close(fd);
	return (high);
}

static int
child_fork(enum role role)
{
	struct child *child = &children.child[role];
	int pair[2], program;

	program = open_program(role);
	if (program == -1)
		return (-1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		close(program);
		return (-1);
	}
	child->pid = fork();
	if (child->pid == 0)
		child_exec(program, pair[1], role);
	close(program);
	close(pair[1]);
	if (child->pid == -1) {
		child->pid = 0;
		close(pair[0]);
		return (-1);
	}
	return (pair[0]);
}

/*
 * Have every child program print the libraries that it runs with, on standard
 * output.
 */
void
children_versions(void)
{
	char option[] = "-V";
	char *argv[] = { option, option, NULL };
	char *envp[] = { NULL };
	int program, role;
	pid_t pid;

	if (open_directory() == -1) {
		log_warn("the child programs in %s", children.path);
		return;
	}
	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++) {
		program = open_program((enum role)role);
		pid = program == -1 ? -1 : fork();
		if (pid == 0) {
			fexecve(program, argv, envp);
			_exit(127);
		}
		if (pid == -1)
			log_warn("%s/mt-gcpd-%s", children.path,
			    role_name((enum role)role));
		else
			(void)waitpid(pid, NULL, 0);
		close(program);
	}
}

/* The peer of a channel has closed it, or sent what it may not. */
static void
child_lost(const char *why, void *arg)
{
	struct child *child = arg;
	enum role role = (enum role)(child - children.child);

	if (why != NULL)
		children.lost(role, why);
	/* Else it is about to exit, and child_exited() will say how. */
}

static void
child_hello(enum role role, const uint16_t *ports, size_t nports)
{
	const struct child *child = &children.child[role];
	struct msg_hello hello;
	struct msg_port port;
	size_t i;

	memset(&hello, 0, sizeof(hello));
	strlcpy(hello.version, MTGCPD_VERSION, sizeof(hello.version));
	hello.role = role;
	hello.log_level = children.conf->log_level;
	hello.drop = children.drop;
	hello.listens = role == ROLE_REPORTER && children.listener != -1;
	hello.uid = child->uid;
	hello.gid = child->gid;
	strlcpy(hello.chroot, children.conf->chroot, sizeof(hello.chroot));
	channel_send(child->channel, IMSG_HELLO, 0, &hello, sizeof(hello));
	for (i = 0; i < nports; i++) {
		memset(&port, 0, sizeof(port));
		port.port = ports[i];
		channel_send(child->channel, IMSG_PORT, 0, &port, sizeof(port));
	}
}

/*
 * Start the child of that role, which may connect to these TCP ports only, and
 * greet it; the caller sends what else it needs, and SETUP_END.  handler gets
 * its messages.  Returns its channel; failure is fatal.
 */
struct channel *
child_start(enum role role, const uint16_t *ports, size_t nports,
    channel_handler handler)
{
	struct child *child = &children.child[role];
	struct imsgbuf *buf;
	int fd;

	fd = child_fork(role);
	if (fd == -1)
		fatal("%s/mt-gcpd-%s", children.path, role_name(role));
	buf = imsgbuf_new(fd);
	if (buf == NULL)
		fatal("imsgbuf_new");
	child->channel = channel_new(children.base, buf, ROLE_PARENT, role,
	    handler, child_lost, child);
	if (child->channel == NULL)
		fatal("channel_new");
	child_hello(role, ports, nports);
	return (child->channel);
}

/* The channel of a child, NULL if it does not run. */
struct channel *
child_channel(enum role role)
{
	return (children.child[role].channel);
}

/* Close the channel of a child, which ends it. */
void
child_close(enum role role)
{
	struct child *child = &children.child[role];

	if (child->channel == NULL)
		return;
	close(channel_fd(child->channel));
	channel_free(child->channel);
	child->channel = NULL;
}

static void
how_it_ended(int status, char *text, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(text, len, "was killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, len, "exited with status %d",
		    WEXITSTATUS(status));
}

/*
 * Reap what has exited, telling lost of each.  Returns how many children are
 * still running.
 */
int
children_reap(void)
{
	char text[128];
	int role, status, running = 0;
	pid_t pid;

	for (role = ROLE_RESOLVER; role < ROLE_MAX; role++) {
		if (children.child[role].pid == 0)
			continue;
		pid = waitpid(children.child[role].pid, &status, WNOHANG);
		if (pid == 0) {
			running++;
			continue;
		}
		children.child[role].pid = 0;
		how_it_ended(pid == -1 ? 0 : status, text, sizeof(text));
		children.lost((enum role)role, text);
	}
	return (running);
}

static void
child_exited(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	(void)children_reap();
}

/*
 * Confine the parent, once the children run: no capabilities, no core, no new
 * privileges, and no other system calls than those of its table.
 */
void
parent_confine(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	confine_capabilities();
	if (setrlimit(RLIMIT_CORE, &none) == -1)
		fatal("RLIMIT_CORE");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
	filter_load(filter_new(SCMP_ARCH_NATIVE, parent_rules, parent_nrules));
}
