/* A replay's trace as a file: what it is in memory, so that reading it is mapping it. Little-endian, as the machines
 * are that this runs on: a header, the requests, the ids, and the sizes if there are any. And oracleGeneral, for
 * others. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/memory/replay.h"

static const char magic[8] = "TSBLOCKS";
enum { FILE_VERSION = 1, ORACLE_BYTES = 24 };

struct header {
    char magic[8];
    uint32_t version, block_tokens;
    uint64_t count, unique;
    uint32_t requests, longest;
    uint64_t sized; /* 1: sizes follow the ids */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct header) == 64 && sizeof(struct replay_request) == 32, "the file's layout");

static uint64_t bytes_of(const struct header *h) {
    return sizeof *h + h->requests * (uint64_t)sizeof(struct replay_request) + h->count * (h->sized ? 8 : 4);
}

bool replay_is_file(const void *bytes, size_t size) {
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static void write_blocks(const struct replay_trace *trace, FILE *out) {
    struct header header = {.version = FILE_VERSION,
                            .block_tokens = trace->block_tokens,
                            .count = trace->count,
                            .unique = trace->unique,
                            .requests = trace->request_count,
                            .longest = trace->longest,
                            .sized = trace->sizes != NULL};
    memcpy(header.magic, magic, sizeof magic);
    fwrite(&header, sizeof header, 1, out);
    fwrite(trace->requests, sizeof *trace->requests, trace->request_count, out);
    fwrite(trace->ids, sizeof *trace->ids, trace->count, out);
    if (trace->sizes)
        fwrite(trace->sizes, sizeof *trace->sizes, trace->count, out);
}

/* u32 time in s, u64 id, u32 size, i64 number of the id's next access or -1. */
static void write_oracle(const struct replay_trace *trace, FILE *out) {
    int64_t *next = malloc((trace->count + 1) * sizeof *next);
    int64_t *seen = malloc((trace->unique + 1) * sizeof *seen);
    MUST(next != NULL && seen != NULL);
    for (uint64_t i = 0; i <= trace->unique; i++)
        seen[i] = -1;
    for (uint64_t i = trace->count; i-- > 0;) {
        next[i] = seen[trace->ids[i]];
        seen[trace->ids[i]] = (int64_t)i;
    }
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        for (uint64_t i = request->first; i < request->first + request->blocks; i++) {
            unsigned char record[ORACLE_BYTES];
            uint32_t time_s = (uint32_t)(request->at_ns / SIM_SECOND), size = trace->sizes ? trace->sizes[i] : 1;
            uint64_t id = trace->ids[i];
            memcpy(record, &time_s, 4);
            memcpy(record + 4, &id, 8);
            memcpy(record + 12, &size, 4);
            memcpy(record + 16, &next[i], 8);
            fwrite(record, sizeof record, 1, out);
        }
    }
    free(next);
    free(seen);
}

int replay_write(const struct replay_trace *trace, bool oracle, const char *path, struct error *err) {
    size_t room = strlen(path) + sizeof ".new";
    char *beside = malloc(room);
    MUST(beside != NULL);
    snprintf(beside, room, "%s.new", path);
    FILE *out = fopen(beside, "wb");
    bool whole = out != NULL;
    if (out) {
        (oracle ? write_oracle : write_blocks)(trace, out);
        whole = !ferror(out);
        whole = fclose(out) == 0 && whole && rename(beside, path) == 0;
    }
    int failed = 0;
    if (!whole) {
        failed = error_set(err, "cannot write '%s': %s\n  hint: is there room, and may you write there?", path,
                           strerror(errno));
        remove(beside);
    }
    free(beside);
    return failed;
}

/* Everything that a replay relies on. NULL, or what is wrong. */
static const char *wrong_with(const struct replay_trace *trace) {
    uint64_t at = 0;
    int64_t last = INT64_MIN;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        if (request->first != at || request->blocks > trace->longest || request->at_ns < last)
            return "its requests are out of order";
        at += request->blocks;
        last = request->at_ns;
    }
    if (at != trace->count)
        return "its requests do not cover its blocks";
    uint32_t most = 0;
    for (uint64_t i = 0; i < trace->count; i++)
        most = trace->ids[i] > most ? trace->ids[i] : most;
    return trace->count > 0 && most >= trace->unique ? "it names a block that it does not have" : NULL;
}

static int refuse(const char *path, const char *why, struct error *err) {
    return error_at(err, (struct place){path, 0, 0},
                    "%s\n  hint: is the file cut off? `tiersim trace convert SOURCE -o FILE.blocks` writes it", why);
}

int replay_map(const char *path, struct replay_trace **out, struct error *err) {
    int file = open(path, O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        if (file >= 0)
            close(file);
        return error_set(err, "cannot read trace '%s'\n  hint: is it a plain file?", path);
    }
    size_t size = (size_t)status.st_size;
    void *mapped =
        size < sizeof(struct header) ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return refuse(path, "it has no whole header", err);
    const struct header *header = mapped;
    const char *wrong = NULL;
    if (memcmp(header->magic, magic, sizeof magic) != 0 || header->version != FILE_VERSION)
        wrong = "it is of another format or version";
    else if (header->count > UINT64_MAX / 16 || header->unique >= UINT32_MAX || bytes_of(header) != size)
        wrong = "its length is not what its header says";
    if (wrong) {
        munmap(mapped, size);
        return refuse(path, wrong, err);
    }
    struct replay_trace *trace = calloc(1, sizeof *trace);
    MUST(trace != NULL);
    trace->requests = (struct replay_request *)((char *)mapped + sizeof *header);
    trace->ids = (uint32_t *)(trace->requests + header->requests);
    trace->sizes = header->sized ? trace->ids + header->count : NULL;
    trace->count = header->count;
    trace->unique = header->unique;
    trace->request_count = header->requests;
    trace->longest = header->longest;
    trace->block_tokens = header->block_tokens;
    trace->mapped = mapped;
    trace->mapped_bytes = size;
    wrong = wrong_with(trace);
    if (!wrong && trace->count == 0)
        wrong = "no access in the trace";
    if (wrong) {
        replay_trace_destroy(trace);
        return refuse(path, wrong, err);
    }
    *out = trace;
    return 0;
}
