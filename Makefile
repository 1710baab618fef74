# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

# make            build the daemon and its child programs below build/
# make demo       set up this machine, build, and play an outage
# make regress    set up this machine, build, and pass all tests
# make regress-long  random outages, kills and schedules, half an hour of them
# make fuzz       T=60: feed what comes from outside with nonsense, each parser
#                 for T seconds
# make model      check a model of two daemons and their hand-over
# make bench      measure speed, memory and CPU; S="cycle memory" for some alone
# make lint       formatting, static analysis, gcc and clang without a warning
# make install    PREFIX, DESTDIR

PREFIX ?=	/usr/local
SBINDIR ?=	$(PREFIX)/sbin
LIBEXECDIR ?=	$(PREFIX)/libexec/mt-gcpd
MANDIR ?=	$(PREFIX)/share/man
SYSCONFDIR ?=	/etc
DATADIR ?=	$(PREFIX)/share
STATEDIR ?=	/var/lib/mt-gcpd
# systemd looks below /etc, /usr/local/lib and /usr/lib.
SYSTEMDDIR ?=	$(PREFIX)/lib
B ?=		build
PYTHON ?=	/usr/bin/python3
INSTALL ?=	install

CHILDREN =	resolver signer prober actuator reporter
PROGRAMS =	$(B)/mt-gcpd $(B)/mt-gcpctl $(CHILDREN:%=$(B)/libexec/mt-gcpd-%)

.DEFAULT_GOAL := all

# What a machine needs.  A fresh one has no pkg-config yet, so for the targets
# that install it everything below that asks it is left to a second make.
BUILD_PACKAGES = gcc libc6-dev make pkg-config bison libevent-dev \
	libcurl4-openssl-dev libjansson-dev libbsd-dev libssl-dev \
	libseccomp-dev libc-ares-dev
TEST_PACKAGES = $(BUILD_PACKAGES) libcmocka-dev mandoc ca-certificates \
	python3 python3-pytest python3-pytest-xdist python3-jsonschema logrotate \
	nghttp2-proxy
BROWSER_PACKAGES = chromium
FUZZ_PACKAGES = $(BUILD_PACKAGES) libcmocka-dev clang-14 libclang-rt-14-dev
BENCH_PACKAGES = $(BUILD_PACKAGES) python3 nghttp2-proxy
SYSTEMD_PACKAGES = systemd systemd-container
LINT_PACKAGES = $(TEST_PACKAGES) clang clang-tidy clang-format cppcheck

ifeq ($(filter deps demo regress regress-long bench fuzz model lint clean,$(MAKECMDGOALS)),)
VERSION :=	0.1.0
# Parts of different builds refuse each other: the version carries a digest of
# the sources of all programs.
DIGEST :=	$(shell cat src/*.[chy] proc/*/*.[ch] common/*.[ch] | \
		sha256sum | cut -c1-12)

WARNINGS =	-Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wmissing-declarations -Wpointer-arith \
	-Wcast-qual -Wsign-compare -Wimplicit-fallthrough $(WERROR)
HARDENING =	-fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
# Those that this compiler knows for this machine.
HARDENING +=	$(foreach flag,-fstack-clash-protection -fcf-protection=full \
	-ftrivial-auto-var-init=zero,$(shell $(CC) -Werror $(flag) -x c -c \
	/dev/null -o /dev/null 2>/dev/null && echo $(flag)))
HARDENING :=	$(HARDENING)
OPTIMISE ?=	-O2 -g
CPPFLAGS =	-D_GNU_SOURCE -DMTGCPD_VERSION='"$(VERSION)+$(DIGEST)"' \
	-DMTGCPD_LIBEXEC='"$(LIBEXECDIR)"' -Icommon
# A build for developers, which names the system calls that a filter lacks.
ifdef TRAP
CPPFLAGS +=	-DMTGCPD_SECCOMP_TRAP
endif
CFLAGS =	-std=gnu17 $(OPTIMISE) $(WARNINGS) $(HARDENING)
LDFLAGS =	-pie -Wl,-z,relro,-z,now -Wl,--as-needed

# Each program is linked with no more than it needs.
pkg =		$(shell pkg-config $(1))
LIBS_COMMON :=	libevent_core libbsd-overlay libseccomp
LIBS_parent :=	$(LIBS_COMMON) jansson libmd
LIBS_ctl :=	libbsd-overlay jansson
LIBS_resolver :=	$(LIBS_COMMON) libcares
LIBS_signer :=	$(LIBS_COMMON) jansson libcrypto
LIBS_https :=	$(LIBS_COMMON) jansson libcurl libssl libcrypto
LIBS_prober :=	$(LIBS_https)
LIBS_actuator :=	$(LIBS_https)
LIBS_reporter :=	$(LIBS_https) libevent_extra
LIBS_cloudsim :=	libevent libevent_openssl openssl jansson libbsd
LIBS_bench :=	libcurl libbsd
LIBS_unit :=	$(LIBS_https) libevent_extra libcares libmd cmocka
CPPFLAGS +=	$(call pkg,--cflags $(LIBS_unit))

COMMON_SRC :=	$(wildcard common/*.c)
CTL_SRC :=	$(wildcard src/ctl*.c)
PARENT_SRC :=	$(filter-out $(CTL_SRC),$(wildcard src/*.c))
CLOUDSIM_SRC :=	$(wildcard regress/cloudsim/*.c)
UNIT_SRC :=	$(wildcard regress/unit/test_*.c)

objects =	$(patsubst %.c,$(B)/%.o,$(1))
COMMON_OBJ :=	$(call objects,$(COMMON_SRC))
PARENT_OBJ :=	$(call objects,$(PARENT_SRC)) $(B)/src/parse.o

.PHONY: all
all: $(PROGRAMS) $(B)/cloudsim $(B)/outcomes

.PHONY: bench-build
bench-build: all $(B)/bench-client

$(B)/common.a: $(COMMON_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/mt-gcpd: $(PARENT_OBJ) $(B)/common.a
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_parent))

$(B)/mt-gcpctl: $(call objects,$(CTL_SRC)) $(B)/common/imsg.o
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_ctl))

define child_program
$(B)/libexec/mt-gcpd-$(1): \
    $(call objects,$(wildcard proc/$(1)/*.c)) $(B)/common.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(call pkg,--libs $$(LIBS_$(1)))
endef
$(foreach child,$(CHILDREN),$(eval $(call child_program,$(child))))

$(B)/cloudsim: $(call objects,$(CLOUDSIM_SRC))
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_cloudsim))

$(B)/outcomes: $(B)/regress/outcomes/outcomes.o $(B)/common.a
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_parent))

$(B)/bench-client: $(B)/regress/bench/client.o
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_bench))

$(B)/src/parse.c: src/parse.y
	@mkdir -p $(@D)
	bison -o $@ $<

# The version is compiled into these.
VERSIONED :=	$(shell grep -l MTGCPD_VERSION src/*.c proc/*/*.c common/*.c)
$(B)/digest: FORCE
	@mkdir -p $(@D)
	@echo $(DIGEST) $(LIBEXECDIR) | cmp -s - $@ || \
	    echo $(DIGEST) $(LIBEXECDIR) > $@
$(VERSIONED:%.c=$(B)/%.o) $(VERSIONED:%.c=$(B)/san/%.o): $(B)/digest

$(B)/src/%.o $(B)/san/src/%.o: CPPFLAGS += -Isrc
$(B)/proc/actuator/%.o $(B)/san/proc/actuator/%.o: CPPFLAGS += -Iproc/actuator
$(B)/proc/prober/%.o $(B)/san/proc/prober/%.o: CPPFLAGS += -Iproc/prober
$(B)/proc/resolver/%.o $(B)/san/proc/resolver/%.o: CPPFLAGS += -Iproc/resolver
$(B)/proc/signer/%.o $(B)/san/proc/signer/%.o: CPPFLAGS += -Iproc/signer
$(B)/proc/reporter/%.o $(B)/san/proc/reporter/%.o: CPPFLAGS += -Iproc/reporter
$(B)/regress/cloudsim/%.o: CPPFLAGS := -D_GNU_SOURCE -Iregress/cloudsim \
	$(call pkg,--cflags $(LIBS_cloudsim))

$(B)/src/parse.o: $(B)/src/parse.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -Isrc -MMD -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -c -o $@ $<

.PHONY: FORCE
FORCE:

# Unit tests, and all that they may need of the programs, are built under
# AddressSanitizer and UndefinedBehaviorSanitizer.
SANITIZE =	-std=gnu17 -O1 -g $(WARNINGS) -fno-omit-frame-pointer \
	-fsanitize=address,undefined,float-cast-overflow \
	-fno-sanitize-recover=all
MAIN_SRC =	src/main.c src/ctl.c $(foreach child,$(CHILDREN),proc/$(child)/$(child).c)
SAN_SRC :=	$(filter-out $(MAIN_SRC),$(COMMON_SRC) $(PARENT_SRC) $(CTL_SRC) \
	$(wildcard proc/*/*.c))
SAN_OBJ =	$(SAN_SRC:%.c=$(B)/san/%.o) $(B)/san/src/parse.o
UNIT_TESTS :=	$(UNIT_SRC:%.c=$(B)/%)

$(B)/san/src/parse.o: $(B)/src/parse.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SANITIZE) -Isrc -MMD -c -o $@ $<

$(B)/san/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SANITIZE) -MMD -c -o $@ $<

$(B)/san/all.a: $(SAN_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/regress/unit/test_%: regress/unit/test_%.c $(B)/san/all.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Isrc -Iproc/actuator -Iproc/prober -Iproc/signer \
	    -Iproc/resolver -Iproc/reporter -DREGRESS_DIR='"$(CURDIR)/regress"' $(SANITIZE) -MMD -o $@ $< \
	    $(B)/san/all.a $(call pkg,--libs $(LIBS_unit)) $(UNIT_LDFLAGS)

# The parsers of what comes from outside, each with what it has to take: run by
# libFuzzer, and over the inputs that are kept with the unit tests.
FUZZ_TARGETS :=	$(patsubst regress/fuzz/fuzz_%.c,%,\
		$(wildcard regress/fuzz/fuzz_*.c))
FUZZ_REPLAYS :=	$(FUZZ_TARGETS:%=$(B)/regress/fuzz/replay_%)
FUZZERS :=	$(FUZZ_TARGETS:%=$(B)/fuzz/fuzz_%)
FUZZ_SRC =	$(addprefix regress/fuzz/,fuzz.c messages.c)
FUZZ_FLAGS =	-std=gnu17 -O1 -g $(WARNINGS) -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_CPPFLAGS =	$(CPPFLAGS) -Isrc -Iproc/actuator -Iproc/prober \
	-Iproc/resolver -Iproc/signer -Iproc/reporter
FUZZ_LDFLAGS =	-Wl,--wrap=fatal,--wrap=fatalx,--wrap=exit
FUZZ_LIBS =	$(call pkg,--libs $(LIBS_unit))
FUZZ_CC ?=	clang-14
FUZZ_OBJ =	$(SAN_SRC:%.c=$(B)/fuzz/%.o) $(B)/fuzz/src/parse.o

$(B)/fuzz/src/%.o: CPPFLAGS += -Isrc
$(B)/fuzz/proc/actuator/%.o: CPPFLAGS += -Iproc/actuator
$(B)/fuzz/proc/prober/%.o: CPPFLAGS += -Iproc/prober
$(B)/fuzz/proc/resolver/%.o: CPPFLAGS += -Iproc/resolver
$(B)/fuzz/proc/signer/%.o: CPPFLAGS += -Iproc/signer
$(B)/fuzz/proc/reporter/%.o: CPPFLAGS += -Iproc/reporter

$(B)/fuzz/src/parse.o: $(B)/src/parse.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -Isrc \
	    -MMD -c -o $@ $<

$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link \
	    -MMD -c -o $@ $<

$(B)/fuzz/all.a: $(FUZZ_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/fuzz/fuzz_%: regress/fuzz/fuzz_%.c $(FUZZ_SRC) $(B)/fuzz/all.a
	$(FUZZ_CC) $(FUZZ_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer \
	    $(FUZZ_LDFLAGS) -MMD -MF $@.d -MT $@ -o $@ $< $(FUZZ_SRC) \
	    $(B)/fuzz/all.a $(FUZZ_LIBS)

$(B)/regress/fuzz/replay_%: regress/fuzz/fuzz_%.c $(FUZZ_SRC) \
    regress/fuzz/replay.c $(B)/san/all.a
	@mkdir -p $(@D)
	$(CC) $(FUZZ_CPPFLAGS) $(SANITIZE) $(FUZZ_LDFLAGS) -MMD -MF $@.d \
	    -MT $@ -o $@ $< $(FUZZ_SRC) regress/fuzz/replay.c $(B)/san/all.a $(FUZZ_LIBS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: unit unit-build system fuzz-build fuzz-run fuzz-replay
unit-build: $(UNIT_TESTS) $(FUZZ_REPLAYS)

unit: $(UNIT_TESTS) fuzz-replay
	@for test in $(UNIT_TESTS); do $$test || exit 1; done

fuzz-replay: $(FUZZ_REPLAYS)
	@for target in $(FUZZ_TARGETS); do \
	    $(B)/regress/fuzz/replay_$$target regress/fuzz/corpus/$$target \
	    regress/fuzz/crashes/$$target || exit 1; done

fuzz-build: $(FUZZERS)

T ?=		60
fuzz-run: $(FUZZERS)
	@$(PYTHON) regress/fuzz/run.py -t $(T) -o $(B)/fuzz/run $(FUZZERS)

# Preloaded by a test.
$(B)/clockjump.so: regress/system/clockjump.c
	$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARNINGS) -fPIC -shared -o $@ $<

# Has processes make system calls that they would not make.
$(B)/inject: regress/system/inject.c
	$(CC) -D_GNU_SOURCE -std=gnu17 -O2 $(WARNINGS) -o $@ $<

# A parent that has been taken over.
$(B)/regress/system/hostile.o: $(B)/digest
$(B)/hostile: $(B)/regress/system/hostile.o $(B)/common.a
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkg,--libs $(LIBS_COMMON))

# Tests wait more than they work: two for each processor.
system: all $(B)/clockjump.so $(B)/inject $(B)/hostile
	$(PYTHON) -m pytest -q -p no:cacheprovider \
	    -n $$((2 * $$(nproc))) regress/system

# Once more with filters that name a system call before they kill for it; but
# for tests of what is killed, and of nothing that is filtered.
UNTRAPPED =	config etc hostile oracle secrets systemd
.PHONY: system-trap
system-trap:
	$(MAKE) B=$(B)/trap TRAP=1 all $(B)/trap/clockjump.so $(B)/trap/inject
	MTGCPD_SECCOMP=trap MTGCPD_BUILD=$(abspath $(B)/trap) $(PYTHON) \
	    -m pytest -q -p no:cacheprovider -n $$((2 * $$(nproc))) \
	    $(UNTRAPPED:%=--ignore=regress/system/test_%.py) regress/system

# The same with dice, for up to ten minutes each.
.PHONY: long
long: all
	MTGCPD_LONG=540 $(PYTHON) -m pytest -q -p no:cacheprovider \
	    regress/system/test_scripts.py -k many
	MTGCPD_LONG=540 $(PYTHON) -m pytest -q -p no:cacheprovider \
	    regress/system/test_kill.py -k many
	$(MAKE) $(B)/regress/unit/test_schedules
	MTGCPD_SCHEDULES=400000 timeout 600 $(B)/regress/unit/test_schedules

# The sources as C files see them: the grammar is left to the compilers.
C_FILES :=	$(shell find src proc common regress -name '*.[ch]')

.PHONY: lint-run
lint-run:
	clang-format --dry-run -Werror $(C_FILES)
	$(MAKE) -s CC=gcc B=$(B)/gcc WERROR=-Werror all
	$(MAKE) -s CC=clang B=$(B)/clang WERROR=-Werror all
	@echo clang-tidy; clang-tidy --quiet $(PARENT_SRC) $(CTL_SRC) $(COMMON_SRC) $(wildcard proc/*/*.c) \
	    -- $(CPPFLAGS) -std=gnu17 -Isrc -Iproc/actuator -Iproc/prober \
	    -Iproc/resolver -Iproc/signer -Iproc/reporter 2>/dev/null
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	    --enable=warning,portability --suppress=missingIncludeSystem \
	    $(patsubst %,--include=%,$(wildcard /usr/include/*/sys/queue.h) \
	    /usr/include/jansson.h) -Icommon -Isrc -Iproc/prober \
	    -Iproc/actuator -Iproc/resolver -Iproc/signer -Iproc/reporter src common proc
	mandoc -T lint -W warning mt-gcpd.8 mt-gcpctl.8 mt-gcpd.conf.5 2>/dev/null

.PHONY: format
format:
	clang-format -i $(C_FILES)

.PHONY: install uninstall
install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) \
	    $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 \
	    $(DESTDIR)$(SYSCONFDIR)/mt-gcpd \
	    $(DESTDIR)$(SYSCONFDIR)/logrotate.d \
	    $(DESTDIR)$(SYSTEMDDIR)/systemd/system \
	    $(DESTDIR)$(SYSTEMDDIR)/sysusers.d \
	    $(DESTDIR)$(SYSTEMDDIR)/tmpfiles.d $(DESTDIR)$(DATADIR)/mt-gcpd \
	    $(DESTDIR)$(DATADIR)/bash-completion/completions
	$(INSTALL) -d -m 700 $(DESTDIR)$(STATEDIR)
	$(INSTALL) -m 755 $(B)/mt-gcpd $(B)/mt-gcpctl $(DESTDIR)$(SBINDIR)
	$(INSTALL) -m 755 $(CHILDREN:%=$(B)/libexec/mt-gcpd-%) \
	    $(DESTDIR)$(LIBEXECDIR)
	$(INSTALL) -m 644 mt-gcpd.conf.5 $(DESTDIR)$(MANDIR)/man5
	$(INSTALL) -m 644 mt-gcpd.8 mt-gcpctl.8 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 600 etc/mt-gcpd.conf \
	    $(DESTDIR)$(SYSCONFDIR)/mt-gcpd/mt-gcpd.conf.sample
	$(INSTALL) -m 644 etc/mt-gcpd.logrotate \
	    $(DESTDIR)$(SYSCONFDIR)/logrotate.d/mt-gcpd
	$(INSTALL) -m 644 etc/mt-gcpd.sysusers \
	    $(DESTDIR)$(SYSTEMDDIR)/sysusers.d/mt-gcpd.conf
	$(INSTALL) -m 644 etc/mt-gcpd.tmpfiles \
	    $(DESTDIR)$(SYSTEMDDIR)/tmpfiles.d/mt-gcpd.conf
	$(INSTALL) -m 644 etc/mt-gcpd.service \
	    $(DESTDIR)$(SYSTEMDDIR)/systemd/system
	sed -i 's,@SBINDIR@,$(SBINDIR),' \
	    $(DESTDIR)$(SYSTEMDDIR)/systemd/system/mt-gcpd.service
	$(INSTALL) -m 644 etc/mt-gcpd.rules.yml etc/mt-gcpd.dashboard.json \
	    $(DESTDIR)$(DATADIR)/mt-gcpd
	$(INSTALL) -m 644 etc/mt-gcpd.bash-completion \
	    $(DESTDIR)$(DATADIR)/bash-completion/completions/mt-gcpctl
	ln -sf mt-gcpctl $(DESTDIR)$(DATADIR)/bash-completion/completions/mt-gcpd

# What install put there, and nothing else: not the configuration in use, and
# not the state.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/mt-gcpd $(DESTDIR)$(SBINDIR)/mt-gcpctl \
	    $(CHILDREN:%=$(DESTDIR)$(LIBEXECDIR)/mt-gcpd-%) \
	    $(DESTDIR)$(MANDIR)/man5/mt-gcpd.conf.5 \
	    $(DESTDIR)$(MANDIR)/man8/mt-gcpd.8 \
	    $(DESTDIR)$(MANDIR)/man8/mt-gcpctl.8 \
	    $(DESTDIR)$(SYSCONFDIR)/mt-gcpd/mt-gcpd.conf.sample \
	    $(DESTDIR)$(SYSCONFDIR)/logrotate.d/mt-gcpd \
	    $(DESTDIR)$(SYSTEMDDIR)/systemd/system/mt-gcpd.service \
	    $(DESTDIR)$(SYSTEMDDIR)/sysusers.d/mt-gcpd.conf \
	    $(DESTDIR)$(SYSTEMDDIR)/tmpfiles.d/mt-gcpd.conf \
	    $(DESTDIR)$(DATADIR)/mt-gcpd/mt-gcpd.rules.yml \
	    $(DESTDIR)$(DATADIR)/mt-gcpd/mt-gcpd.dashboard.json \
	    $(DESTDIR)$(DATADIR)/bash-completion/completions/mt-gcpctl \
	    $(DESTDIR)$(DATADIR)/bash-completion/completions/mt-gcpd
	-rmdir $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR)/mt-gcpd
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(SYSCONFDIR)/mt-gcpd \
	    $(DESTDIR)$(STATEDIR)
endif

# Install what is missing; says nothing and asks nobody if nothing is.
define packages
	@dpkg-query -W -f='$${Status}\n' $(1) 2>/dev/null | \
	    grep -c '^install ok installed' | grep -qx $(words $(1)) || \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq install -y --no-install-recommends $(1); }
endef

# The users of the child processes, where we are root and they are missing.
define users
	@for role in resolver signer prober actuator reporter; do \
	    [ $$(id -u) -ne 0 ] || getent passwd mtgcpd-$$role >/dev/null || \
	    useradd --system --user-group --no-create-home \
	    --home-dir /nonexistent --shell /usr/sbin/nologin \
	    mtgcpd-$$role || exit 1; done
endef

# Prometheus' checker alone: its package would start a server.  Without it the
# tests look at the metrics with a parser of their own.
define promtool
	@command -v promtool >/dev/null || [ -x $(B)/promtool ] || ( \
	    mkdir -p $(B)/deb && cd $(B)/deb && \
	    apt-get -qq -o APT::Sandbox::User=root download prometheus && \
	    dpkg-deb --fsys-tarfile prometheus_*.deb | \
	    tar -xO ./usr/bin/promtool > promtool && chmod 755 promtool && \
	    mv promtool .. ) || echo "no promtool" >&2; rm -rf $(B)/deb
endef

.PHONY: deps demo regress regress-long bench fuzz model lint clean
deps:
	$(call packages,$(TEST_PACKAGES))
	$(users)

demo: deps
	@$(MAKE) --no-print-directory -s -j2 all
	@$(PYTHON) regress/demo.py

regress: deps
	$(call packages,$(BROWSER_PACKAGES))
	$(call packages,$(SYSTEMD_PACKAGES))
	$(call promtool)
	@$(MAKE) --no-print-directory -s -j2 all unit-build
	@$(MAKE) --no-print-directory unit system
	@$(MAKE) --no-print-directory -s -j2 system-trap

regress-long: deps
	@$(MAKE) --no-print-directory long

fuzz:
	$(call packages,$(FUZZ_PACKAGES))
	@$(MAKE) --no-print-directory -s -j2 fuzz-build
	@$(MAKE) --no-print-directory -s fuzz-run

# S: sections, all by default.
bench:
	$(call packages,$(BENCH_PACKAGES))
	$(users)
	@$(MAKE) --no-print-directory -s -j2 bench-build
	@$(PYTHON) regress/bench/bench.py -o $(B)/bench.json $(S)

model:
	$(call packages,gcc libc6-dev make spin)
	@regress/model/check.sh $(B)/model -DHANDOVER=3 -DSTRICT=0 \
	    -DFAILURES=0 -DUNKNOWNS=0 -DPROMPT=0
	@regress/model/check.sh $(B)/model -DHANDOVER=3 -DSTRICT=1 -DCAUTIOUS=1 \
	    -DUNKNOWNS=0 -DSESSIONS=0

lint:
	$(call packages,$(LINT_PACKAGES))
	@$(MAKE) --no-print-directory lint-run

clean:
	rm -rf $(B)
