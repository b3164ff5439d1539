/* How fast does `tiersim cache` replay, policy by policy, on one core, from a converted trace, reading it included? Two
 * streams: Zipf(0.9) of 5 M accesses to 1 M ids, and three renamed, staggered copies of the agentic sessions (where
 * they are at hand). Prints JSON: accesses, hits, bytes of state a block, and accesses a CPU second (user and system,
 * of the whole process): medians of interleaved runs, with the lowest and the highest, and the target. CPU time, since
 * other programs may share the machine; a shared cache and a hyperthread's neighbour slow it nevertheless. Usage:
 * replay [runs [policy ...]]; TIERSIM: the program. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/memory/replay.h"

enum { ACCESSES = 5000000, IDS = 1000000, RUNS_MAX = 99, POLICIES_MAX = 64, STREAMS = 2 };

struct stream {
    char path[128];
    const char *name, *describes;
    uint64_t capacity;
    bool there;
};
struct measured {
    double rates[RUNS_MAX]; /* accesses a CPU second */
    double accesses, hits, state_bytes;
};
struct subject {
    const char *name;
    double target;
};
static const struct subject usual[] = {{"lru", 15e6}, {"fifo", 15e6},  {"clock", 15e6}, {"sieve", 15e6},
                                       {"arc", 6e6},  {"lirs", 6e6},   {"lfu", 6e6},    {"lfuda", 6e6},
                                       {"slru", 6e6}, {"2q", 6e6},     {"s3fifo", 6e6}, {"wtinylfu", 6e6},
                                       {"gdsf", 3e6}, {"belady", 3e6}, {"lhd", 3e6},    {"hyperbolic", 3e6}};

/* Draws by the inverse of the cumulated weights 1 / rank^0.9; ranks are spread over the ids. */
static bool write_zipf(const char *path) {
    double *upto = malloc((IDS + 1) * sizeof *upto);
    MUST(upto != NULL);
    upto[0] = 0;
    for (int i = 0; i < IDS; i++)
        upto[i + 1] = upto[i] + pow(i + 1, -0.9);
    struct replay_trace *trace = replay_trace_create(0);
    uint64_t state = 88172645463325252u;
    for (uint32_t a = 0; a < ACCESSES; a++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        double draw = (double)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 11) * 0x1p-53 * upto[IDS];
        uint32_t low = 0, high = IDS;
        while (high - low > 1) {
            uint32_t middle = (low + high) / 2;
            *(upto[middle] <= draw ? &low : &high) = middle;
        }
        struct replay_request request = {.at_ns = (int64_t)a * 1000, .blocks = 1};
        uint64_t id = (uint64_t)low * UINT64_C(0x9e3779b97f4a7c15);
        replay_trace_add(trace, &request, &id, NULL);
    }
    struct error err;
    bool written = replay_write(trace, false, path, &err) == 0;
    free(upto);
    replay_trace_destroy(trace);
    return written;
}

/* Runs the program with `words`, standard output to `out`. CPU seconds, or -1. */
static double cpu_s(const char *const *words, const char *out) {
    const char *program = getenv("TIERSIM");
    program = program ? program : "build/tiersim";
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        int file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), nothing = open("/dev/null", O_WRONLY);
        setenv("OMP_NUM_THREADS", "1", 1);
        if (file < 0 || dup2(file, 1) < 0 || dup2(nothing, 2) < 0)
            _exit(99);
        execv(program, (char *const *)(uintptr_t)words);
        _exit(98);
    }
    int status;
    struct rusage usage;
    MUST(wait4(child, &status, 0, &usage) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static bool write_agents(const char *folder, const char *path) {
    char yaml[128], out[128];
    snprintf(yaml, sizeof yaml, "%s/agents.yaml", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    FILE *file = fopen(yaml, "w");
    MUST(file != NULL);
    fputs("trace: agentic\nrepeat: 3\nstagger: 600 s\n", file);
    MUST(fclose(file) == 0);
    return cpu_s((const char *const[]){"tiersim", "trace", "convert", yaml, "-o", path, NULL}, out) >= 0;
}

static double number_of(const char *json, const char *key) {
    char word[64];
    snprintf(word, sizeof word, "\"%s\":", key);
    const char *at = strstr(json, word);
    return at ? strtod(at + strlen(word), NULL) : 0;
}

static void measure(const struct stream *stream, const char *policy, const char *folder, struct measured *m, int run) {
    char size[32], out[128], json[8192];
    snprintf(size, sizeof size, "%llu", (unsigned long long)stream->capacity);
    snprintf(out, sizeof out, "%s/out", folder);
    double seconds = cpu_s(
        (const char *const[]){"tiersim", "cache", stream->path, "--policy", policy, "--size", size, "--json", NULL},
        out);
    MUST(seconds > 0);
    FILE *file = fopen(out, "r");
    MUST(file != NULL);
    json[fread(json, 1, sizeof json - 1, file)] = 0;
    fclose(file);
    m->accesses = number_of(json, "accesses");
    m->hits = number_of(json, "hits");
    m->state_bytes = number_of(json, "state_bytes_per_block");
    m->rates[run] = m->accesses / seconds;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const struct stream *stream, const struct subject *subjects, struct measured *all, size_t count,
                  int runs) {
    printf("  {\"stream\": \"%s\", \"is\": \"%s\", \"accesses\": %.0f, \"capacity\": %llu, \"runs\": %d, \"policies\": "
           "[\n",
           stream->name, stream->describes, all[0].accesses, (unsigned long long)stream->capacity, runs);
    for (size_t p = 0; p < count; p++) {
        struct measured *m = &all[p];
        qsort(m->rates, (size_t)runs, sizeof m->rates[0], ascending);
        printf("    {\"policy\": \"%s\", \"hits\": %.0f, \"state_bytes\": %.0f, \"per_cpu_s\": %.3g, \"lowest\": %.3g, "
               "\"highest\": %.3g",
               subjects[p].name, m->hits, m->state_bytes, m->rates[runs / 2], m->rates[0], m->rates[runs - 1]);
        if (subjects[p].target > 0)
            printf(", \"target\": %.3g", subjects[p].target);
        printf("}%s\n", p + 1 < count ? "," : "]}");
    }
}

int main(int argc, char **argv) {
    int runs = argc > 1 ? atoi(argv[1]) : 5;
    MUST(runs > 0 && runs <= RUNS_MAX);
    struct subject subjects[POLICIES_MAX];
    size_t count = argc > 2 ? (size_t)(argc - 2) : sizeof usual / sizeof *usual;
    MUST(count <= POLICIES_MAX);
    for (size_t p = 0; p < count; p++)
        subjects[p] = argc > 2 ? (struct subject){argv[p + 2], 0} : usual[p];
    char folder[] = "/tmp/tiersim-replay-XXXXXX", command[64];
    MUST(mkdtemp(folder) != NULL);
    struct stream streams[STREAMS] = {
        {.name = "zipf", .describes = "Zipf(0.9), 1 M ids", .capacity = 100000},
        {.name = "agents", .describes = "three copies of the agentic sessions, 600 s apart", .capacity = 60000}};
    for (int s = 0; s < STREAMS; s++)
        snprintf(streams[s].path, sizeof streams[s].path, "%s/%s.blocks", folder, streams[s].name);
    streams[0].there = write_zipf(streams[0].path);
    streams[1].there = write_agents(folder, streams[1].path);
    MUST(streams[0].there);
    static struct measured all[STREAMS][POLICIES_MAX];
    for (int run = 0; run < runs; run++)
        for (size_t p = 0; p < count; p++)
            for (int s = 0; s < STREAMS; s++)
                if (streams[s].there)
                    measure(&streams[s], subjects[p].name, folder, &all[s][p], run);
    printf("{\"benchmark\": \"replay\", \"results\": [\n");
    print(&streams[0], subjects, all[0], count, runs);
    if (streams[1].there) {
        printf(",");
        print(&streams[1], subjects, all[1], count, runs);
    }
    printf("]}\n");
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
