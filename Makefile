# medchain: a PostgreSQL extension (PGXS).
#
#   make            build                 make install   into the server's directories, medchain-verify with it
#   make test       every test suite      make demo      a whole alliance on this machine
#   make test-versions   every test suite, with each supported version of PostgreSQL
#   make test-apps       whole applications over medchain
#   make bench      what it costs, as ratios
#   make lint       style, orphans, change log: what a program can check
#
# These work on a machine that has no PostgreSQL yet: they install what
# they need, and so must not depend on pg_config.

EXTENSION = medchain
EXTVERSION = 1.0
MODULE_big = medchain

# What goes into the server; src/bin is a program of its own.
ROOMS = core rules node pure ledger verify rows alliance access sync
OBJS = $(patsubst %.c,%.o,$(wildcard $(addsuffix /*.c,$(addprefix src/,$(ROOMS))) src/*.c))

# The order in which the parts of the install script need each other.
INSTALL_PARTS = roles ledger/ledger ledger/home alliance/state pure/pure ledger/entry \
         ledger/append verify/verify ledger/proofs rows/row_set rows/row_table \
         rows/row_identity rows/ledger_table rows/row_verify rows/row_proof alliance/crl \
         alliance/rules alliance/await alliance/contract alliance/discipline \
         alliance/anchors alliance/rekey alliance/member alliance/examinee \
         access/identity alliance/protocol access/binding access/access access/part \
         access/break_glass access/read_audit access/accounting ledger/witness \
         alliance/tlog ledger/export \
         access/protect rows/row_description rows/row_heirs rows/row_partition \
         rows/row_ddl rows/row_renew sync/apply sync/peer sync/payloads sync/follow sync/fetch \
         sync/witness sync/fork sync/quarantine verify/local_verify sync/shortage leave alliance/join sync/recovery sync/copy node/wait views sync/heal check/server \
         check/peers check/data settings privileges
INSTALL_SQL = $(patsubst %,sql/install/%.sql,$(INSTALL_PARTS))

DATA_built = medchain--$(EXTVERSION).sql
EXTRA_CLEAN = medchain--$(EXTVERSION).sql test/core/build test/fuzz/build

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir)
PG_CFLAGS = -Wall -Wextra -Wdeclaration-after-statement -Wno-unused-parameter -Wno-sign-compare \
         -Wno-missing-field-initializers
SHLIB_LINK_INTERNAL = $(libpq)
SHLIB_LINK = -ljansson -lcrypto

PG_CONFIG ?= pg_config

.DEFAULT_GOAL := all
.PHONY: test test-versions test-apps demo bench lint
test:
	scripts/run-tests
test-versions:
	scripts/test-versions
test-apps:
	@test/apps/run
demo:
	@demo/run
bench:
	@test/bench/run
lint:
	@scripts/install-deps --lint
	@scripts/check-style
	@scripts/check-includes
	@scripts/indent --check

# Debian's pg_config of postgresql-common answers only when the server headers are there.
ifneq ($(filter-out test test-versions test-apps demo bench lint,$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's server headers are missing; run scripts/install-deps, or give PG_CONFIG)
endif
# bitcode for the JIT is an extra; without the compiler for it, go without
ifeq ($(shell command -v clang clang-14 2>/dev/null),)
override with_llvm = no
endif
include $(PGXS)
endif

# The offline verifier knows nothing of PostgreSQL, and has a Makefile of its own.
.PHONY: verifier install-verifier uninstall-verifier clean-verifier
all: verifier
install: install-verifier
uninstall: uninstall-verifier
clean: clean-verifier
verifier:
	$(MAKE) -C $(srcdir)/src/bin
install-verifier uninstall-verifier:
	$(MAKE) -C $(srcdir)/src/bin $(@:-verifier=) DESTDIR='$(DESTDIR)' bindir='$(bindir)' mandir='$(mandir)'
clean-verifier:
	$(MAKE) -C $(srcdir)/src/bin clean

# PGXS knows nothing of headers, and an object that has another idea of a struct is worse than a slow build.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h)

medchain--$(EXTVERSION).sql: $(INSTALL_SQL) Makefile
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION medchain" to load this file. \quit'; cat $(INSTALL_SQL); } > $@
