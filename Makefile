# tana: the validator-network suite. `make help` lists what there is.
#
#   make SAN=address,undefined check     everything under sanitizers, in a build folder of its own
#   make CC=clang                        another compiler
#   make DEBUG=1                         no optimisation
#   make V=1                             the whole commands

VERSION := 0.1.0
SAN ?=
DEBUG ?=
WERROR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter clang%,$(CC)),/$(CC))
# `make V=1` shows the whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $1 $2)
.SECONDARY:

PKGS := libmicrohttpd gnutls sqlite3 libsodium jansson libpq libcurl libsystemd libcrypto hiredis libqrencode
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 \
	-Wundef -Wvla -Wswitch-enum -Wno-gnu-zero-variadic-macro-arguments $(if $(WERROR),-Werror)
OPT := $(if $(DEBUG),-O0,-O2) -g -fno-omit-frame-pointer
HARDEN := $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CFLAGS += -std=c17 -D_GNU_SOURCE $(WARN) $(OPT) $(if $(DEBUG),,$(HARDEN)) $(SANFLAGS) -Icommon -I. $(PKG_CFLAGS) -pthread
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) -pthread -rdynamic
DEPFLAGS = -MMD -MP

COMMON_SRC := $(wildcard common/*/*.c)
COMMON_OBJ := $(COMMON_SRC:%.c=$B/obj/%.o) $B/obj/version.o
LIB := $B/libtana.a

DAEMONS := $(patsubst %/,%,$(dir $(wildcard meshd/meshd.c t4d/t4d.c ledgerd/ledgerd.c identityd/identityd.c)))
PROGRAMS := $(DAEMONS) $(if $(wildcard tana-cli/tana.c),tana)
BINS := $(PROGRAMS:%=$B/bin/%)

.PHONY: all help clean demo check unit unit-build fuzz fuzz-run tidy cppcheck arrows integration bench bench-build bench-mesh bench-t4 bench-ledger bench-verify bench-identity docs install FORCE
.DEFAULT_GOAL := all
all: $(BINS) ## build everything into build/bin/

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$B/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS) $(DEPFLAGS) -c $< -o $@

# The version file is rewritten only when the commit changes, so nothing is relinked for nothing. More than one make may be at it.
COMMIT := $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)
$B/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "daemon/daemon.h"\nconst char *tana_version(void) { return "%s"; }\nconst char *tana_commit(void) { return "%s"; }\n' \
		'$(VERSION)' '$(COMMIT)' > $@.$$$$; cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@
$B/obj/version.o: $B/version.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(LIB): $(COMMON_OBJ)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

# Each program: every .c file of its folder, and the common library.
define program_rule
$1_OBJ := $$(patsubst %.c,$B/obj/%.o,$$(wildcard $2/*.c))
$B/bin/$1: $$($1_OBJ) $(LIB)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$($1_OBJ) $(LIB) $(PKG_LIBS)
-include $$($1_OBJ:.o=.d)
endef
$(foreach d,$(DAEMONS),$(eval $(call program_rule,$d,$d)))
$(if $(filter tana,$(PROGRAMS)),$(eval $(call program_rule,tana,tana-cli)))
-include $(COMMON_OBJ:.o=.d)

# What pages load is built into the program.
$B/obj/identityd/page_assets.o: $(wildcard identityd/pages/*)

# Unit tests: tests/unit/test_*.c, one program each, linked with the common library (and, for test_meshd_*.c, with that daemon's objects less its main).
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$B/unit/%)
MESHD_PARTS := $(filter-out $B/obj/meshd/meshd.o,$(meshd_OBJ))
$B/unit/test_meshd_%: $B/obj/tests/unit/test_meshd_%.o $(MESHD_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(MESHD_PARTS) $(LIB) -lcmocka $(PKG_LIBS)
T4D_PARTS := $(filter-out $B/obj/t4d/t4d.o,$(t4d_OBJ))
$B/unit/test_t4d_%: $B/obj/tests/unit/test_t4d_%.o $(T4D_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(T4D_PARTS) $(LIB) -lcmocka $(PKG_LIBS)
LEDGERD_PARTS := $(filter-out $B/obj/ledgerd/ledgerd.o,$(patsubst %.c,$B/obj/%.o,$(wildcard ledgerd/*.c)))
$B/unit/test_ledgerd_%: $B/obj/tests/unit/test_ledgerd_%.o $(LEDGERD_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LEDGERD_PARTS) $(LIB) -lcmocka $(PKG_LIBS)
# identityd's parts as an archive, of which a test takes what it needs.
IDENTITYD_SRC := $(filter-out identityd/identityd.c,$(wildcard identityd/*.c))
IDENTITYD_LIB := $B/identityd-parts.a
$(IDENTITYD_LIB): $(IDENTITYD_SRC:%.c=$B/obj/%.o)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^
-include $(IDENTITYD_SRC:%.c=$B/obj/%.d)
$B/unit/test_identityd_%: $B/obj/tests/unit/test_identityd_%.o $(IDENTITYD_LIB) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(IDENTITYD_LIB) $(LIB) -lcmocka $(PKG_LIBS)
$B/unit/%: $B/obj/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka $(PKG_LIBS)
-include $(UNIT_SRC:%.c=$B/obj/%.d)

unit-build: $(UNIT_BIN) $(LEDGERD_PARTS)
# Each program prints TAP; scripts/check counts the lines.
UNIT_JOBS ?= 6
unit: $(UNIT_BIN) ## build and run the unit tests
	@$(CURDIR)/tests/unit/run $(UNIT_JOBS) $B/unit/said $(UNIT_BIN)

# Fuzz targets: tests/fuzz/fuzz_*.c, each with libFuzzer, always by clang with sanitizers, in a build folder of their own.
# `make fuzz` runs each over its corpus; `make fuzz FUZZ_SECONDS=600` goes on searching.
FUZZ_SECONDS ?= 0
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_NAMES := $(FUZZ_SRC:tests/fuzz/%.c=%)
FUZZ_BIN := $(FUZZ_NAMES:%=$B/fuzz/%)
$B/fuzz/fuzz_mesh_%: $B/obj/tests/fuzz/fuzz_mesh_%.o $(MESHD_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(MESHD_PARTS) $(LIB) $(PKG_LIBS)
$B/fuzz/fuzz_ledger_%: $B/obj/tests/fuzz/fuzz_ledger_%.o $(LEDGERD_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LEDGERD_PARTS) $(LIB) $(PKG_LIBS)
$B/fuzz/fuzz_identity_%: $B/obj/tests/fuzz/fuzz_identity_%.o $(IDENTITYD_LIB) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(IDENTITYD_LIB) $(LIB) $(PKG_LIBS)
$B/fuzz/%: $B/obj/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) $(PKG_LIBS)
fuzz-run: $(FUZZ_BIN)
	@failed=0; for t in $(FUZZ_NAMES); do mkdir -p $B/fuzz/found/$$t; \
		if $B/fuzz/$$t -rss_limit_mb=4096 -max_total_time=$(FUZZ_SECONDS) $(if $(filter 0,$(FUZZ_SECONDS)),-runs=0) -artifact_prefix=$B/fuzz/$$t- \
			$B/fuzz/found/$$t tests/fuzz/corpus/$$t >$B/fuzz/$$t.log 2>&1; \
		then echo "ok - $$t"; else echo "not ok - $$t"; tail -n 30 $B/fuzz/$$t.log; failed=1; fi; done; exit $$failed
fuzz: ## run the fuzz targets over their corpora (FUZZ_SECONDS=n: search on)
	@$(MAKE) --no-print-directory CC=clang B=build/fuzz-clang SAN=address,undefined FUZZ_CFLAGS=-fsanitize=fuzzer-no-link fuzz-run
CFLAGS += $(FUZZ_CFLAGS)

# Static checks. A file is looked at again only when it, or a header it includes, has changed.
LINT_SRC := $(wildcard common/*/*.c meshd/*.c t4d/*.c ledgerd/*.c identityd/*.c tana-cli/*.c)
TIDY := $(LINT_SRC:%.c=$B/tidy/%.ok)
$B/tidy/%.ok: %.c $B/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- -std=c17 -D_GNU_SOURCE -Icommon -I. $(PKG_CFLAGS) 2>$@.err && touch $@ || { cat $@.err; exit 1; }
tidy: $(TIDY) ## clang-tidy over the sources
cppcheck: ## cppcheck over the sources
	@mkdir -p $B/cppcheck
	cppcheck -q -j 2 --enable=warning,performance,portability --std=c11 --inline-suppr --error-exitcode=1 --suppressions-list=tests/lint/cppcheck.txt \
		--cppcheck-build-dir=$B/cppcheck -Icommon -I. -D_GNU_SOURCE common meshd t4d ledgerd identityd tana-cli
arrows: ## who may include whom
	@tests/lint/arrows

# Tests against real daemons. PYTEST_ARGS goes to pytest, e.g. PYTEST_ARGS='-k heartbeat --storage sqlite'.
integration: all ## run the integration tests on both databases
	TANA_BUILD=$(CURDIR)/$B /usr/bin/python3 -m pytest -q -n 2 tests/integration tests/integration_t4 tests/integration_ledger tests/integration_cli tests/docs $(PYTEST_ARGS)

# Benchmarks: tests/bench/bench_*.c measure by themselves; load_mesh loads a running meshd, through driver.c.
BENCH_BIN := $(patsubst tests/bench/%.c,$B/bench/%,$(wildcard tests/bench/bench_*.c tests/bench/load_*.c tests/bench/make_*.c))
$B/bench/make_chain: $(LEDGERD_PARTS)
$B/bench/load_mesh $B/bench/load_ledger $B/bench/load_content $B/bench/load_identity: $B/obj/tests/bench/driver.o
$B/bench/%: $B/obj/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(PKG_LIBS)
-include $(wildcard $B/obj/tests/bench/*.d)
bench-build: $(BENCH_BIN)
bench-mesh: all bench-build ## measure meshd: heartbeats, pages, start-up
	/usr/bin/python3 tests/bench/bench_mesh.py --build $B $(BENCH_ARGS)
bench-ledger: all bench-build ## measure ledgerd: transfers, blocks, start-up
	/usr/bin/python3 tests/bench/bench_ledger.py --build $B $(BENCH_ARGS)
bench-verify: all bench-build ## measure ledgerd verify
	/usr/bin/python3 tests/bench/bench_verify.py --build $B $(BENCH_ARGS)
bench-identity: all bench-build ## measure identityd: logins, tokens, desktops that wait
	/usr/bin/python3 tests/bench/bench_identity.py --build $B $(BENCH_ARGS)
bench-t4: all bench-build ## measure t4d beside nginx and docker-registry, which it installs
	@. scripts/packages.sh && install_missing "$$bench_needs" $B/bench/packages.log
	/usr/bin/python3 tests/bench/bench_t4.py --build $B $(BENCH_ARGS)
bench: bench-build bench-mesh bench-t4 bench-identity ## all benchmarks
	@for t in crypto tree json http db; do echo "== $$t"; $B/bench/bench_$$t || exit 1; done

docs: all ## regenerate docs/api.md, the OpenAPI document and the man pages
	docs/generate.sh

demo: ## a whole local network, shown step by step
	@scripts/demo
check: ## install what the tests need, build, run everything
	@scripts/check

# Units name programs in /usr/bin; here they get the place where these go. Completions are what the programs print.
install: all ## into $(DESTDIR)$(PREFIX), units, users, manual pages and completions with them
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 share/man/man8 share/doc/tana lib/systemd/system lib/sysusers.d lib/tmpfiles.d \
		share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d)
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 LICENSE docs/operations.md packaging/tana.conf.example $(DESTDIR)$(PREFIX)/share/doc/tana/
	for unit in packaging/systemd/*.service packaging/systemd/*.target packaging/systemd/*.timer; do \
		sed 's,/usr/bin/,$(PREFIX)/bin/,' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/tana*
	install -m 644 packaging/systemd/tana.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/tana.conf
	install -m 644 packaging/systemd/tana.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/tana.conf
	for program in $(notdir $(BINS)); do cd $(DESTDIR)$(PREFIX)/share && program=$(abspath $B/bin)/$$program && \
		$$program completion bash >bash-completion/completions/$${program##*/} && $$program completion zsh >zsh/site-functions/_$${program##*/} && \
		$$program completion fish >fish/vendor_completions.d/$${program##*/}.fish || exit 1; done
PREFIX ?= /usr/local

clean: ## remove the build folder
	rm -rf build
