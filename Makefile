# tana: the validator-network suite. `make help` lists what there is.
#
#   make SAN=address,undefined check     everything under sanitizers, in a build folder of its own
#   make CC=clang                        another compiler
#   make DEBUG=1                         no optimisation

VERSION := 0.1.0
SAN ?=
DEBUG ?=
WERROR ?=
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter clang%,$(CC)),/$(CC))
comma := ,
ifeq ($(origin CC),default)
CC := gcc
endif

PKGS := libmicrohttpd sqlite3 libsodium jansson libpq libcurl libsystemd libcrypto
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -linih

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

.PHONY: all help clean demo check unit fuzz lint arrows bench bench-mesh docs FORCE
.DEFAULT_GOAL := all
all: $(BINS) ## build everything into build/bin/

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$B/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(DEPFLAGS) -c $< -o $@

# The version file is rewritten only when the commit changes, so nothing is relinked for nothing.
COMMIT := $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)
$B/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "daemon/daemon.h"\nconst char *tana_version(void) { return "%s"; }\nconst char *tana_commit(void) { return "%s"; }\n' \
		'$(VERSION)' '$(COMMIT)' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$B/obj/version.o: $B/version.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c $< -o $@

$(LIB): $(COMMON_OBJ)
	@rm -f $@
	ar rcs $@ $^

# Each program: every .c file of its folder, and the common library.
define program_rule
$1_OBJ := $$(patsubst %.c,$B/obj/%.o,$$(wildcard $2/*.c))
$B/bin/$1: $$($1_OBJ) $(LIB)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$($1_OBJ) $(LIB) $(PKG_LIBS)
-include $$($1_OBJ:.o=.d)
endef
$(foreach d,$(DAEMONS),$(eval $(call program_rule,$d,$d)))
$(if $(filter tana,$(PROGRAMS)),$(eval $(call program_rule,tana,tana-cli)))
-include $(COMMON_OBJ:.o=.d)

# Unit tests: tests/unit/test_*.c, one program each, linked with the common library (and, for test_meshd_*.c, with that daemon's objects less its main).
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$B/unit/%)
MESHD_PARTS := $(filter-out $B/obj/meshd/meshd.o,$(meshd_OBJ))
$B/unit/test_meshd_%: $B/obj/tests/unit/test_meshd_%.o $(MESHD_PARTS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(MESHD_PARTS) $(LIB) -lcmocka $(PKG_LIBS)
$B/unit/%: $B/obj/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka $(PKG_LIBS)
.PRECIOUS: $B/obj/tests/unit/%.o
-include $(UNIT_SRC:%.c=$B/obj/%.d)

unit-build: $(UNIT_BIN)
unit: $(UNIT_BIN) ## build and run the unit tests
	@for t in $(UNIT_BIN); do echo "== $$t"; TANA_VECTORS=$(CURDIR)/tests/vectors $$t || exit 1; done

clean: ## remove the build folder
	rm -rf build
