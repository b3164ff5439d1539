/* How fast is the queue? Each event fires the first source and sets it to a random later time. Prints JSON: ns an
 * event of the winner tree and of the plain binary heap, medians of interleaved runs. Usage: queue [sources [events
 * [runs]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "sim/base/error.h"
#include "sim/engine/queue.h"

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* xorshift64*: a few cycles, so that the queue is what is measured. */
static uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

struct result {
    double seconds;
    uint64_t check; /* equal for both queues, or they do not agree */
};

#define MEASURE(QUEUE)                                                                                                 \
    static struct result measure_##QUEUE(uint32_t sources, uint64_t events) {                                          \
        struct QUEUE *queue = QUEUE##_create(sources);                                                                 \
        uint64_t state = 88172645463325252u, check = 0;                                                                \
        for (uint32_t i = 0; i < sources; i++)                                                                         \
            QUEUE##_set(queue, i, (int64_t)(draw(&state) >> 34));                                                      \
        int64_t time;                                                                                                  \
        double start = 0;                                                                                              \
        for (uint64_t i = 0; i < events + sources; i++) {                                                              \
            if (i == sources) /* every source was set about once since: steady */                                      \
                start = now_s();                                                                                       \
            uint32_t first = QUEUE##_first(queue, &time);                                                              \
            check = check * 31 + (uint64_t)time + first;                                                               \
            QUEUE##_set(queue, first, time + 1 + (int64_t)(draw(&state) >> 34));                                       \
        }                                                                                                              \
        double seconds = now_s() - start;                                                                              \
        QUEUE##_destroy(queue);                                                                                        \
        return (struct result){seconds, check};                                                                        \
    }
MEASURE(winner_tree)
MEASURE(binary_heap)

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* The processor's name as the kernel has it. */
static void machine(char *name, size_t size) {
    struct utsname host;
    uname(&host);
    snprintf(name, size, "%s", host.machine);
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            colon[strcspn(colon, "\n")] = 0;
            snprintf(name, size, "%s", colon + 2);
            break;
        }
    }
    if (file)
        fclose(file);
}

enum { RUNS_MAX = 99 };

static void compare(uint32_t sources, uint64_t events, int runs, const char *separator) {
    double tree[RUNS_MAX], heap[RUNS_MAX], ratio[RUNS_MAX];
    for (int i = 0; i < runs; i++) { /* interleaved: what disturbs the machine disturbs both */
        struct result a = measure_winner_tree(sources, events), b = measure_binary_heap(sources, events);
        MUST(a.check == b.check);
        tree[i] = 1e9 * a.seconds / (double)events;
        heap[i] = 1e9 * b.seconds / (double)events;
        ratio[i] = heap[i] / tree[i];
    }
    printf("  {\"sources\": %u, \"events\": %llu, \"runs\": %d, \"winner_tree_ns\": %.2f, \"binary_heap_ns\": %.2f, "
           "\"ratio\": %.2f}%s\n",
           sources, (unsigned long long)events, runs, median(tree, runs), median(heap, runs), median(ratio, runs),
           separator);
}

int main(int argc, char **argv) {
    uint32_t sources = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000000;
    int runs = argc > 3 ? atoi(argv[3]) : 7;
    if (events == 0 || runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: queue [SOURCES [EVENTS [RUNS]]]\n  hint: RUNS is 1 to %d\n", RUNS_MAX);
        return EXIT_BAD_INPUT;
    }
    static const uint32_t sizes[] = {10, 100, 1000, 10000, 100000, 1000000};
    int count = sizeof sizes / sizeof *sizes;
    char name[128];
    machine(name, sizeof name);
    printf("{\"benchmark\": \"queue\", \"machine\": \"%s\", \"compiler\": \"%s\", \"results\": [\n", name, __VERSION__);
    if (sources)
        compare(sources, events, runs, "");
    for (int i = 0; i < count && !sources; i++)
        compare(sizes[i], events, runs, i + 1 < count ? "," : "");
    printf("]}\n");
    return 0;
}
