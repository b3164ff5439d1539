# tiersim. `make` builds build/tiersim, `make check` runs every check, `make help` says the rest.
# No file is listed here: a source dropped into a room, a test into tests/, is picked up by its place.
comma := ,
hash := \#
BUILD ?= build$(if $(SAN),/san)
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g
PKGS := gsl yaml-0.1 sqlite3 smartcols libzstd
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $1 $2)

# --- What this machine has. `make features` prints it; what is absent is left out, and said.
setup_only := clean help fresh uninstall format print-prefix
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(setup_only),$(MAKECMDGOALS)),all),)
missing := $(shell for p in $(PKGS); do pkg-config --exists $$p 2>/dev/null || echo $$p; done)
ifneq ($(missing),)
$(error missing development files of: $(missing). hint: ./quickstart check installs what is missing on Debian 12)
endif
pkg_cflags := $(shell pkg-config --cflags $(PKGS))
pkg_libs := $(shell pkg-config --libs $(PKGS))
openmp := $(shell echo '$(hash)include <omp.h>' | $(CC) -fopenmp -fsyntax-only -x c - 2>/dev/null && echo -fopenmp)
ifeq ($(origin NVCC),undefined)
NVCC := $(or $(shell command -v nvcc 2>/dev/null),$(wildcard /usr/local/cuda/bin/nvcc))
endif
mpi := $(shell command -v mpicc 2>/dev/null)
fuzz_cc := $(shell command -v clang 2>/dev/null)
endif
define features
features of this build:
  OpenMP  $(if $(openmp),found: variants of a run and points of a sweep use all cores,not found for $(CC): variants of a run and points of a sweep go one after another)
  CUDA    $(if $(NVCC),found $(NVCC)$(if $(cuda_objs),: builds $(BUILD)/tiersim-calibrate$(if $(cuda_lacks), without what needs $(cuda_lacks)),; validate/ has no .cu file$(comma) so nothing is built with it),nvcc not found: no tiersim-calibrate$(comma) so `tiersim calibrate` is off; everything else is built)
  MPI     $(if $(mpi),found $(mpi); ,not found; )no program uses it: a sweep goes over machines by --shard i/n
  fuzzing $(if $(fuzz_cc),found $(fuzz_cc): `make fuzz` works,clang not found: `make fuzz` is off)
endef

# --- Flags. Objects depend on $(BUILD)/flags, so a change of flags rebuilds them.
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wvla $(if $(openmp),,-Wno-unknown-pragmas)
WARN_C := -Wstrict-prototypes -Wmissing-prototypes
sanitize := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
base_flags := -I. -I$(BUILD) -D_GNU_SOURCE -DTIERSIM_PREFIX='"$(PREFIX)"' -ffp-contract=off $(openmp) $(sanitize) \
	$(WARN) $(if $(CI),-Werror)
# Headers are C11; the little C++ and CUDA there is reads them too.
noreturn := -D_Noreturn='[[noreturn]]'
all_cflags = -std=c11 $(CFLAGS) $(WARN_C) $(base_flags) $(pkg_cflags) $(CPPFLAGS)
all_cxxflags = -std=c++17 $(CXXFLAGS) $(noreturn) $(base_flags) $(CPPFLAGS)
# sm_90 runs as it is on Hopper; PTX of compute_80 is translated by the driver for any other since Ampere.
all_nvccflags = -std=c++17 -O2 $(noreturn) -I. -I$(BUILD) -D_GNU_SOURCE -Xcompiler -Wall$(if $(CI),$(comma)-Werror) \
	-gencode arch=compute_90,code=sm_90 -gencode arch=compute_80,code=compute_80
# As the sources ask: __has_include(<cudnn.h>). NCCL and cuFile are opened at run time; of them the headers are needed.
cuda_has = $(if $(NVCC),$(shell echo '$(hash)include <$1.h>' | $(NVCC) -x cu -E - >/dev/null 2>&1 && echo $1))
cuda_found := $(foreach h,cudnn nccl cufile,$(call cuda_has,$h))
cuda_lacks := $(filter-out $(cuda_found),cudnn nccl cufile)
CUDA_LIBS ?= -lcublas -lcublasLt $(addprefix -l,$(filter cudnn,$(cuda_found)))
LDLIBS = $(pkg_libs) -lsimdjson -lm -ldl -lstdc++

# --- Sources. ROOMS can be narrowed: make ROOMS="sim/base sim/engine" build/tests/exactness_units
ROOMS ?= $(filter-out sim/cli,$(patsubst %/,%,$(wildcard sim/*/))) models policies validate
srcs := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c $(r)/*/*.c))
cxxs := $(foreach r,$(ROOMS),$(wildcard $(r)/*.cc))
objs := $(srcs:%.c=$(BUILD)/%.o) $(cxxs:%.cc=$(BUILD)/%.o)
policy_objs := $(filter $(BUILD)/policies/%,$(objs))
lib_objs := $(filter-out $(BUILD)/policies/%,$(objs))
cli_objs := $(patsubst %.c,$(BUILD)/%.o,$(wildcard sim/cli/*.c))
# Tests that go through a scenario link the verbs' files too, all but main().
cli_tests := $(patsubst %.c,$(BUILD)/%,$(shell grep -lE '"(sim/cli/|tests/(workload|random_scenario|text_scenario|run_verb|real_traces)\.h)' tests/*.c 2>/dev/null))
cuda_objs := $(if $(NVCC),$(if $(SAN),,$(patsubst %.cu,$(BUILD)/%.o,$(wildcard validate/*.cu validate/*/*.cu))))
tests := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/*.c))
benches := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
fuzzers := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
programs := $(tests) $(benches) $(fuzzers)
calibrate := $(if $(cuda_objs),$(BUILD)/tiersim-calibrate)
libs := $(policy_objs) $(BUILD)/libtiersim.a

all: $(BUILD)/tiersim $(calibrate)
tests: $(tests)
benches: $(benches)
fuzzers: $(fuzzers)

$(BUILD)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' $(call quoted,$(CC) $(all_cflags)) $(call quoted,$(CXX) $(all_cxxflags)) \
		$(call quoted,$(NVCC) $(all_nvccflags)) >$@.new; \
		if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; $(print_features) fi
quoted = '$(subst ','\'',$1)'
print_features = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),,printf '%s\n' $(call quoted,$(features_lines)) | tr '@' '\n';)
features_lines = $(subst $(newline),@,$(features))
define newline


endef
# The list of objects: a source that is removed must leave the archive too.
$(BUILD)/objects: FORCE
	@mkdir -p $(@D); printf '%s\n' $(objs) >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(BUILD)/version.h: FORCE
	@mkdir -p $(@D); printf '#define TIERSIM_VERSION "%s"\n' "$$(tools/version.sh)" >$@.new; \
		if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/version.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<
$(BUILD)/%.o: %.cc $(BUILD)/flags | $(BUILD)/version.h
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(all_cxxflags) -MMD -MP -c -o $@ $<
$(BUILD)/%.o: %.cu $(BUILD)/flags | $(BUILD)/version.h
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(NVCC) $(all_nvccflags) -MMD -MP -c -o $@ $<
$(BUILD)/libtiersim.a: $(lib_objs) $(BUILD)/objects
	@rm -f $@; ar rcs $@ $(lib_objs)
# The whole library goes in and its names stay visible, so that a plugin finds all that the headers promise it.
$(BUILD)/tiersim: $(cli_objs) $(libs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(all_cflags) -rdynamic -o $@ $(cli_objs) $(policy_objs) \
		-Wl,--whole-archive $(BUILD)/libtiersim.a -Wl,--no-whole-archive $(LDLIBS)
# Nothing but CUDA and libc: it must build where there is nothing else (validate/run.sh is the same without make).
$(BUILD)/tiersim-calibrate: $(cuda_objs)
	$(call say,LINK,$@)
	$(Q)$(NVCC) -o $@ $^ $(CUDA_LIBS) -ldl
$(BUILD)/libcli.a: $(filter-out %/main.o,$(cli_objs))
	@rm -f $@; ar rcs $@ $^
$(cli_tests): $(BUILD)/libcli.a
$(tests) $(benches): %: %.o $(libs)
	$(call say,LINK,$@)
	$(Q)$(CC) $(all_cflags) -rdynamic -o $@ $< $(if $(filter $@,$(cli_tests)),$(BUILD)/libcli.a) $(libs) -lcmocka $(LDLIBS)
$(fuzzers): %: %.o $(libs)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(all_cxxflags) -fsanitize=fuzzer -o $@ $< $(libs) $(LDLIBS)
# A plugin of one's own: make mine.so, then tiersim ... --plugin ./mine.so
%.so: %.c
	$(CC) $(all_cflags) -shared -fPIC -o $@ $<

# --- Checks
check: ; +@BUILD=$(BUILD) tools/check.sh
check-long: ; +@BUILD=$(BUILD) TIERSIM_LONG=1 tools/check.sh tests
test: ; +@BUILD=$(BUILD) tools/check.sh tests
fuzz: ; +@BUILD=$(BUILD) tools/check.sh fuzz
# Of what fuzzing found, the inputs that reach new code join the corpus.
fuzz-keep:
	@for f in $(fuzzers:$(BUILD)/%=$(BUILD)/fuzz/%); do name=$$(basename $$f); mkdir -p tests/fuzz/corpus/$$name; \
		$$f -merge=1 tests/fuzz/corpus/$$name $(BUILD)/fuzz/corpus/$$name 2>&1 | grep MERGE-OUTER | tail -n 1; done
bench: $(BUILD)/tiersim $(benches)
	@BUILD=$(BUILD) CC="$(CC)" tools/bench.sh $(BUILD)/bench.json $(benches)
	@mkdir -p results; mv $(BUILD)/bench.json results/bench.json; echo "wrote results/bench.json"
fresh: ; @tools/fresh.sh

# --- The tree's form
ours := $(wildcard $(foreach d,sim models policies validate tests,$(foreach e,c h cc cu cuh,$d/*.$e $d/*/*.$e $d/*/*/*.$e)))
format: ; clang-format -i $(ours)
format-check: ; @clang-format --dry-run -Werror $(ours)
# A file is looked at again when it, a header it includes or the rules changed: what its object depends on.
tidy_stamps := $(patsubst %.c,$(BUILD)/tidy/%.ok,$(filter-out tests/%,$(filter %.c,$(ours))))
tidy: $(tidy_stamps)
$(BUILD)/tidy/%.ok: %.c $(BUILD)/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)
	$(Q)clang-tidy --quiet $(if $(CI),--warnings-as-errors='*') $< -- -std=c11 $(base_flags) $(pkg_cflags) 2>$@.err || \
		{ cat $@.err; exit 1; }
	@rm -f $@.err; touch $@
# Everything below docs/ that the option tables know better than a writer.
DOCS ?= docs
docs: $(BUILD)/tiersim
	@mkdir -p $(DOCS)
	$(BUILD)/tiersim docs reference >$(DOCS)/config.md
	$(BUILD)/tiersim docs schema >$(DOCS)/config.schema.json
	$(BUILD)/tiersim docs database >$(DOCS)/database.md

docs-check:
	@$(MAKE) -s --no-print-directory DOCS=$(BUILD)/docs docs
	@for page in config.md config.schema.json database.md; do diff -u docs/$$page $(BUILD)/docs/$$page || \
		{ echo "docs/$$page is out of date. hint: make docs"; exit 1; }; done
	@tools/accuracy.sh $(BUILD)/tiersim | diff -u results/accuracy.md - || \
		{ echo "results/accuracy.md is out of date. hint: make accuracy"; exit 1; }

# --- Constants of models/ from kernel timings: the profile, and how well it fits.
MEASURED ?= $(or $(TIERSIM_MEASURED),../shared/measured)
cases: $(BUILD)/tiersim
	$(BUILD)/tiersim cases -o results/cases.md
# Minutes each: every page of docs/scenarios with its picture; what each decision is worth.
scenarios: $(BUILD)/tiersim
	TIERSIM=$(BUILD)/tiersim tools/scenarios.py
ablations: $(BUILD)/tiersim
	TIERSIM=$(BUILD)/tiersim tools/ablations.py -n 6 >$(BUILD)/ablations.md
	mv $(BUILD)/ablations.md results/ablations.md

# Long: everything in results/policies. The measure of speed comes last, when nothing else of this runs.
policies: $(BUILD)/tiersim $(BUILD)/tests/bench/replay
	tools/policies.py $(BUILD)/tiersim
	tools/policies_meaning.py $(BUILD)/tiersim
	TIERSIM=$(BUILD)/tiersim tools/policies_speed.py $(BUILD)/tests/bench/replay

# Predicted against measured: `make fit` first where the rows are new.
accuracy: $(BUILD)/tiersim
	tools/accuracy.sh $(BUILD)/tiersim >results/accuracy.md.new && mv results/accuracy.md.new results/accuracy.md

fit: $(BUILD)/tiersim
	$(BUILD)/tiersim fit '$(MEASURED)' -o configs/profiles/h100-sxm.yaml -r results/calibration/h100-thirdparty/accuracy.md
	$(BUILD)/tiersim fit results/calibration/h200 --gpu h200-sxm --base h100-sxm -o configs/profiles/h200-sxm.yaml -r results/calibration/h200/fit.md --links configs/nodes/links/h200-copy.yaml

# --- Installation. Headers are those that a policy outside the tree needs: the contracts and what they include.
install: all
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/tiersim'
	install -m 755 $(BUILD)/tiersim $(calibrate) '$(DESTDIR)$(PREFIX)/bin'
	rm -rf '$(DESTDIR)$(PREFIX)/share/tiersim/configs' && cp -R configs '$(DESTDIR)$(PREFIX)/share/tiersim/'
	for h in $$($(CC) $(all_cflags) -MM $(wildcard policies/*.h) | tr -s ' \\' '\n\n' | grep '\.h$$' | sort -u); do \
		install -D -m 644 $$h '$(DESTDIR)$(PREFIX)/include/tiersim'/$$h; done
uninstall:
	rm -rf '$(DESTDIR)$(PREFIX)/bin/tiersim' '$(DESTDIR)$(PREFIX)/bin/tiersim-calibrate' \
		'$(DESTDIR)$(PREFIX)/share/tiersim' '$(DESTDIR)$(PREFIX)/include/tiersim'

clean: ; rm -rf $(BUILD)
features: ; @printf '%s\n' $(call quoted,$(features_lines)) | tr '@' '\n'
print-prefix: ; @echo '$(PREFIX)'
list-tests: ; @echo $(tests)
list-fuzzers: ; @echo $(fuzzers)
help:
	@echo 'make               build/tiersim, and build/tiersim-calibrate where nvcc is found'
	@echo 'make check         every check: tests, tests under sanitizers, fuzzing, format, tidy, docs'
	@echo 'make test          the tests alone; check-long: with longer random scenarios'
	@echo 'make fuzz          each target in tests/fuzz for FUZZ_SECONDS (60); fuzz-keep: its finds into the corpus'
	@echo 'make bench         benchmarks, into results/bench.json'
	@echo 'make fresh         both quickstart commands in a bare Debian 12 (root or sudo; debootstrap)'
	@echo 'make format, tidy  clang-format in place; clang-tidy'
	@echo 'make docs          docs/config.md and the JSON schema, from the option tables'
	@echo 'make cases         results/cases.md: published results against what tiersim says of them'
	@echo 'make scenarios     docs/scenarios: tables and pictures; ablations: results/ablations.md (minutes)'
	@echo 'make policies      results/policies: every eviction policy on the traces at hand, what it means, how fast (long)'
	@echo 'make accuracy      results/accuracy.md: predicted against measured'
	@echo 'make fit           kernel constants from the timings in MEASURED=$(MEASURED)'
	@echo 'make install       PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); uninstall takes it back'
	@echo 'make features      what was found here, and what that turns off; clean: rm -rf $(BUILD)'
	@echo 'Variables: BUILD=dir CC= CFLAGS= SAN=address,undefined CI=true (warnings are errors) V=1 (show commands)'

-include $(patsubst %.o,%.d,$(objs) $(cli_objs) $(cuda_objs) $(programs:=.o))
FORCE:
.SECONDARY: $(programs:=.o)
.DELETE_ON_ERROR:
.PHONY: scenarios ablations policies cases accuracy fit all tests benches fuzzers check check-long test fuzz fuzz-keep bench fresh format format-check tidy docs docs-check install uninstall clean \
	features list-tests list-fuzzers print-prefix help FORCE
