/* tiersim calibrate: finds tiersim-calibrate, which is built where nvcc is, and becomes it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"
#include "sim/cli/verbs.h"

static const char program[] = "tiersim-calibrate";

static int usage(FILE *out, int code) {
    fputs("usage: tiersim calibrate -o DIR [--only GROUP[,GROUP]] [--quick] [--continue]\n"
          "                         [--loop-trace FILE] [--loop-rates X,...]\n"
          "       tiersim calibrate --list\n\n"
          "Measures this machine's GPUs, their links and the disk below DIR, in ten minutes or less.\n"
          "DIR/rows.csv and DIR/machine.txt are what `tiersim fit DIR` makes a profile of.\n\n"
          "  --only        these groups of benchmarks alone\n"
          "  --quick       fewer repetitions and points\n"
          "  --continue    goes on with a run into DIR that did not end\n"
          "  --loop-trace  requests of the group loop (results/calibration/loop.jsonl)\n"
          "  --loop-rates  how many times as fast as in it they come (1.94,3.42)\n"
          "  --list        the groups, and the most seconds that each may take\n\n"
          "It starts tiersim-calibrate, which `make` builds where the CUDA toolkit is: beside this\n"
          "program, else on PATH. docs/calibrate.md takes you through it.\n",
          out);
    return code;
}

static const char *runnable(struct arena *arena, const char *directory, size_t length) {
    struct stat s;
    const char *path = arena_printf(arena, "%.*s/%s", (int)length, directory, program);
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0 ? path : NULL;
}

/* Beside this program, else on PATH; NULL: nowhere. */
static const char *find(struct arena *arena) {
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length > 0) {
        own[length] = 0;
        const char *slash = strrchr(own, '/'), *found = slash ? runnable(arena, own, (size_t)(slash - own)) : NULL;
        if (found)
            return found;
    }
    for (const char *at = getenv("PATH"); at && *at; at += strcspn(at, ":"), at += *at == ':') {
        size_t part = strcspn(at, ":");
        const char *found = part ? runnable(arena, at, part) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

int verb_calibrate(int argc, char **argv) {
    if (argc < 2)
        return usage(stderr, EXIT_BAD_INPUT);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout, EXIT_FINE);
    struct arena *arena = arena_create();
    const char *path = find(arena);
    if (!path) {
        fprintf(stderr,
                "tiersim: no %s beside this program or on PATH\n"
                "  hint: `make` builds it where nvcc is; without make: validate/run.sh DIR (docs/calibrate.md)\n",
                program);
        arena_destroy(arena);
        return EXIT_BAD_INPUT;
    }
    fflush(NULL);
    argv[0] = (char *)program;
    execv(path, argv);
    fprintf(stderr, "tiersim: %s: %s\n", path, strerror(errno));
    arena_destroy(arena);
    return EXIT_BAD_INPUT;
}
