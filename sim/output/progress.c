#include "sim/output/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim/base/error.h"

struct progress {
    pthread_mutex_t lock;
    uint32_t parts, done;
    double shown_s; /* when the line was last written */
};

static double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct progress *progress_create(uint32_t parts) {
    if (!isatty(STDERR_FILENO))
        return NULL;
    struct progress *progress = calloc(1, sizeof *progress);
    MUST(progress != NULL);
    pthread_mutex_init(&progress->lock, NULL);
    progress->parts = parts;
    return progress;
}

void progress_destroy(struct progress *progress) {
    if (!progress)
        return;
    if (progress->shown_s > 0)
        fputs("\r\033[K", stderr);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}

void progress_done(struct progress *progress) {
    if (!progress)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->done++;
    pthread_mutex_unlock(&progress->lock);
}

void progress_begin(struct progress_run *run) {
    run->begun_s = clock_s();
}

bool progress_show(void *self, int64_t now_ns, uint64_t finished) {
    const struct progress_run *run = self;
    struct progress *progress = run->progress;
    double wall_s = clock_s(), simulated_s = (double)now_ns * 1e-9, took_s = wall_s - run->begun_s;
    if (!progress)
        return true;
    pthread_mutex_lock(&progress->lock);
    if (wall_s - progress->shown_s > 0.2) {
        progress->shown_s = wall_s;
        fprintf(stderr, "\r\033[K%u of %u done; %s at load %.3g: %.0f s simulated, %.0f requests/s", progress->done,
                progress->parts, run->name, run->load, simulated_s, took_s > 0 ? (double)finished / took_s : 0);
        if (simulated_s > 0 && run->horizon_s > simulated_s)
            fprintf(stderr, ", %.0f s to go", took_s * (run->horizon_s - simulated_s) / simulated_s);
        fflush(stderr);
    }
    pthread_mutex_unlock(&progress->lock);
    return true;
}
