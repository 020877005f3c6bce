# pgqueue: build, install and test. `make demo` and `make check` need nothing but Debian 12: they install what is missing.

PG_CONFIG ?= pg_config
export PG_CONFIG

# Goals that are scripts. The scripts install missing packages first, so these goals must not need PGXS.
SCRIPT_GOALS = check unit bench bench-quick attack soak torture fuzz check-faults check-majors check-asan check-valgrind check-image demo run stop

.PHONY: $(SCRIPT_GOALS)

ifneq ($(filter $(SCRIPT_GOALS),$(MAKECMDGOALS)),)

.NOTPARALLEL:

check:
	@tests/run
unit:
	@tests/run unit
# The crash tests (tests/tap/crash_*.pl) N times in a row.
N ?= 20
soak:
	@tests/run --repeat $(N) tap 'crash_*'
# Random load against chaos for so many seconds; make check has less than a minute of it.
SECONDS ?= 3600
torture:
	@PGQUEUE_TORTURE_SECONDS=$(SECONDS) tests/run tap 090_torture
# Random calls of the SQL surface for so many seconds, on a build with the undefined-behaviour sanitizer; make check has less than a minute of it.
fuzz:
	@SANITIZE=undefined PGQUEUE_FUZZ_SECONDS=$(SECONDS) tests/run tap 095_fuzz
# A fault at every point; make check has a sample of it.
check-faults:
	@PGQUEUE_FAULTS_STEP=1 tests/run tap 091_faults
check-majors check-asan check-valgrind check-image:
	@tests/tools/$@
bench:
	@tests/bench/run $(ROWS)
# Two builds in turns: make bench-quick OLD=commit
bench-quick:
	@tests/bench/quick $(OLD) $(ROWS)
# Latency of one namespace while a role of another one floods what all share.
attack:
	@ATTACK_SECONDS=$(ATTACK_SECONDS) tests/bench/attack $(ATTACKS)
demo:
	@KEEP=$(KEEP) tests/demo/run
run:
	@tests/tools/server start
stop:
	@tests/tools/server stop

# Other goals beside a script goal are made by a make of their own, which includes PGXS.
$(filter-out $(SCRIPT_GOALS),$(MAKECMDGOALS)):
	@+$(MAKE) --no-print-directory $@

else

# Folder of the sources: `make -f SRC/Makefile VPATH=SRC` builds in the current folder.
SRC := $(or $(VPATH),.)
V := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(SRC)/extension/pgqueue.control)
MODULES_SQL := $(sort $(wildcard $(SRC)/sql/*.sql))
# Extension pg_background_queue: a fresh one, and the original's version 1.0 that becomes one.
BACKGROUND_V := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(SRC)/extension/pg_background_queue.control)
BACKGROUND_SQL := $(sort $(wildcard $(SRC)/sql/background_queue/*.sql))
FRESH_SQL := $(SRC)/sql/background_queue/fresh/types.sql $(BACKGROUND_SQL)
TAKEOVER_SQL := $(SRC)/sql/background_queue/takeover/before.sql $(BACKGROUND_SQL) $(SRC)/sql/background_queue/takeover/after.sql
PGQUEUE_SCRIPT = extension/pgqueue--$(V).sql
FRESH_SCRIPT = extension/pg_background_queue--$(BACKGROUND_V).sql
TAKEOVER_SCRIPT = extension/pg_background_queue--1.0--$(BACKGROUND_V).sql

EXTENSION = extension/pgqueue extension/pg_background_queue
DATA_built = $(PGQUEUE_SCRIPT) $(FRESH_SCRIPT) $(TAKEOVER_SCRIPT)
# Scripts of former versions and updates from them.
DATA = $(filter-out $(DATA_built),$(patsubst $(SRC)/%,%,$(wildcard $(SRC)/extension/*--*.sql)))
MODULE_big = pgqueue
OBJS := $(patsubst %.cpp,%.o,$(shell cd $(SRC) && find src -name '*.cpp' ! -path 'src/client/*' ! -path 'src/stop/*' | LC_ALL=C sort))
# The library of the original's name, which only says what to do (src/stop).
STOP = pg_background_queue$(DLSUFFIX)
STOP_OBJ = src/stop/pg_background_queue.o

# -isystem demotes the -I of PGXS: no warnings out of server headers, no `register` error.
PG_CPPFLAGS = -DPGQUEUE_VERSION='"$(V)"' -I$(SRC)/src -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-strict-aliasing -fwrapv \
	-Wall -Wextra -MMD -MP
ifeq ($(WERROR),1)
PG_CXXFLAGS += -Werror
endif
# Stop points and the controlled clock of the tests; never in an installed build.
ifeq ($(TESTPOINTS),1)
PG_CPPFLAGS += -DPGQUEUE_TESTPOINTS
endif
# Of tests/tools/check-asan and the fuzzer. The assertions of the C++ library need its runtime, which other builds must not.
ifneq ($(SANITIZE),)
PG_CPPFLAGS += -D_GLIBCXX_ASSERTIONS
PG_CXXFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
PG_LDFLAGS += -fsanitize=$(SANITIZE)
endif
# -lstdc++ only for distributions whose hardening flags need it; --as-needed drops it otherwise. The map hides C++ names,
# which PostgreSQL 15 and older would export.
EXPORTS = $(SRC)/extension/pgqueue.map
SHLIB_LINK = -Wl,--as-needed -lstdc++ -Wl,--version-script=$(EXPORTS)

# `make installcheck`: against the running server that PGHOST and PGPORT name, which has the library preloaded. The TAP
# tests are for `make check` only: they start servers of their own from a build with stop points.
REGRESS = $(shell sed -n 's/^test: *//p' $(SRC)/tests/regress/schedule 2>/dev/null)
REGRESS_OPTS = --inputdir=$(SRC)/tests/regress --load-extension=pgqueue
ISOLATION = $(shell sed -n 's/^test: *//p' $(SRC)/tests/isolation/schedule 2>/dev/null)
ISOLATION_OPTS = --inputdir=$(SRC)/tests/isolation --load-extension=pgqueue

EXTRA_CLEAN = build precompiled.hpp.gch precompiled.hpp.d $(OBJS:.o=.d) $(STOP_OBJ) $(STOP_OBJ:.o=.d) $(STOP)

# PGXS would run clang for bitcode without our flags; there is nothing to gain for a queue.
override with_llvm := no
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# In a VPATH build look up sources only, so that products of a build in the tree are never taken.
override srcdir := $(SRC)
override VPATH :=
vpath %.cpp $(SRC)
vpath %.hpp $(SRC)
vpath %.control $(SRC)

# Own dependency files beside each object: those of PGXS carry only the base name, and ours repeat.
-include $(OBJS:.o=.d) $(STOP_OBJ:.o=.d) precompiled.hpp.d
OBJ_DIRS := $(sort $(dir $(OBJS) $(STOP_OBJ)))
$(OBJS) $(STOP_OBJ): $(SRC)/Makefile | $(OBJ_DIRS)
$(OBJS): precompiled.hpp.gch
$(OBJS): private override CPPFLAGS += -include precompiled.hpp
precompiled.hpp.gch: src/pg/precompiled.hpp $(SRC)/Makefile
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -MF precompiled.hpp.d -x c++-header -o $@ $<
$(OBJ_DIRS) extension:
	@mkdir -p $@
pgqueue$(DLSUFFIX): $(EXPORTS)

all: $(STOP)
$(STOP): $(STOP_OBJ) $(EXPORTS)
	$(CC) $(CFLAGS) $(CFLAGS_SL) -shared -o $@ $(STOP_OBJ) $(LDFLAGS) $(SHLIB_LINK)
install: install-stop
install-stop: $(STOP) installdirs
	$(INSTALL_SHLIB) $(STOP) '$(DESTDIR)$(pkglibdir)/$(STOP)'
uninstall: uninstall-stop
uninstall-stop:
	rm -f '$(DESTDIR)$(pkglibdir)/$(STOP)'
.PHONY: install-stop uninstall-stop

# The folders are prerequisites because their time tells of a module that was removed.
$(PGQUEUE_SCRIPT): $(MODULES_SQL) $(SRC)/sql
	@$(SRC)/extension/concat.sh 'CREATE EXTENSION pgqueue' $(MODULES_SQL) >$@.tmp && mv $@.tmp $@
$(FRESH_SCRIPT): $(FRESH_SQL) $(SRC)/sql/background_queue
	@$(SRC)/extension/concat.sh 'CREATE EXTENSION pg_background_queue CASCADE' $(FRESH_SQL) >$@.tmp && mv $@.tmp $@
$(TAKEOVER_SCRIPT): $(TAKEOVER_SQL) $(SRC)/sql/background_queue
	@$(SRC)/extension/concat.sh 'ALTER EXTENSION pg_background_queue UPDATE' $(TAKEOVER_SQL) >$@.tmp && mv $@.tmp $@
$(DATA_built): $(SRC)/extension/concat.sh | extension

# A server of `make run` lives in build/, which clean removes.
clean: stop-server
.PHONY: stop-server
stop-server:
	@$(SRC)/tests/tools/server stop --forget

endif
