# tiersim. `make` builds build/tiersim, `make check` runs every test, `make help` says the rest.
BUILD ?= build
CC ?= gcc
PKGS := gsl yaml-0.1 sqlite3 smartcols libzstd
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CWERROR := $(if $(CI),-Werror)
base_flags := -I. -I$(BUILD) -D_GNU_SOURCE -ffp-contract=off -fopenmp $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
all_cflags := -std=c11 $(CFLAGS) $(WARN) $(CWERROR) $(base_flags) $(shell pkg-config --cflags $(PKGS))
all_cxxflags := -std=c++17 $(CXXFLAGS) -Wall -Wextra $(base_flags)
LDLIBS := $(shell pkg-config --libs $(PKGS)) -lsimdjson -lm -ldl -lstdc++

ROOMS ?= sim/base sim/engine sim/memory sim/workload sim/serve sim/config sim/output models policies
srcs := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c $(r)/*/*.c))
cxxs := $(foreach r,$(ROOMS),$(wildcard $(r)/*.cc))
objs := $(srcs:%.c=$(BUILD)/%.o) $(cxxs:%.cc=$(BUILD)/%.o)
policy_objs := $(filter $(BUILD)/policies/%,$(objs))
lib_objs := $(filter-out $(BUILD)/policies/%,$(objs))
cli_objs := $(patsubst %.c,$(BUILD)/%.o,$(wildcard sim/cli/*.c))
tests := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/*.c))

all: $(BUILD)/tiersim
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(all_cflags) -MMD -MP -c -o $@ $<
$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(all_cxxflags) -MMD -MP -c -o $@ $<
$(BUILD)/libtiersim.a: $(lib_objs)
	@rm -f $@; ar rcs $@ $^
$(BUILD)/tiersim: $(cli_objs) $(policy_objs) $(BUILD)/libtiersim.a
	$(CC) $(all_cflags) -rdynamic -o $@ $(cli_objs) $(policy_objs) $(BUILD)/libtiersim.a $(LDLIBS)
$(BUILD)/tests/%: tests/%.c $(policy_objs) $(BUILD)/libtiersim.a
	@mkdir -p $(@D)
	$(CC) $(all_cflags) -MMD -MP -rdynamic -o $@ $< $(policy_objs) $(BUILD)/libtiersim.a -lcmocka $(LDLIBS)
check: $(BUILD)/tiersim $(tests)
	@for t in $(tests); do echo "== $$t"; $$t || exit 1; done
clean:
	rm -rf $(BUILD)
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all check clean
