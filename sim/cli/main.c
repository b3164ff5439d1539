/* tiersim: one program, one file a verb. */
#include "sim/cli/args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"
#include "sim/cli/verbs.h"
#include "version.h"

static const struct verb {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"run", "simulate a what-if: latency, reuse, $/Mtok, J/token", verb_run},
    {"why", "where the time of requests goes, and what 10 % more of each thing would give", verb_why},
    {"step", "one step of the batch, op by op: bytes, FLOPs, time, what bounds it", verb_step},
    {"transfer", "one copy between two tiers, link by link: bytes, time, what bounds it", verb_transfer},
    {"cache", "replay a trace through eviction policies, block by block", verb_cache},
    {"trace", "what a trace or a workload is like: lengths, arrivals, reuse; traces out of either", verb_trace},
    {"list", "what there is: policies, models, hardware, nodes, prices, workloads ...", verb_list},
    {"calibrate", "measure this machine: kernels, links, disk; needs tiersim-calibrate (CUDA)", verb_calibrate},
    {"fit", "fit kernel constants to timings: a profile and its accuracy", verb_fit},
    {"validate", "the models against measured rows: predicted over measured, op by op", verb_validate},
    {"cases", "published results against what tiersim says of them", verb_cases},
    {"docs", "the reference of every configuration key, generated", verb_docs},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static void usage(FILE *out) {
    fputs("tiersim predicts how fast an LLM serving fleet answers and what it costs, given where its KV cache "
          "lives.\n\nusage: tiersim VERB [ARGUMENT...]\n\n",
          out);
    for (size_t i = 0; i < VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fputs("\n`tiersim VERB --help` says more. Start with: tiersim run configs/scenarios/long-context-agents.yaml\n",
          out);
}

int main(int argc, char **argv) {
    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_program_version = "tiersim " TIERSIM_VERSION;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_BAD_INPUT : EXIT_FINE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts(argp_program_version);
        return EXIT_FINE;
    }
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++) {
        names[i] = verbs[i].name;
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        /* argp prints argv[0] in its usage lines. */
        char program[64];
        snprintf(program, sizeof program, "tiersim %s", verbs[i].name);
        argv[1] = program;
        int code = verbs[i].run(argc - 1, argv + 1);
        if (fflush(stdout) != 0) {
            perror("tiersim: writing to standard output");
            return EXIT_RUN_FAILED;
        }
        return code;
    }
    const char *nearest = error_nearest(argv[1], names, VERBS);
    fprintf(stderr, "tiersim: unknown verb '%s'\n  hint: %s%s%s\n", argv[1],
            nearest ? "did you mean '" : "`tiersim --help` lists them", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_BAD_INPUT;
}
