/* A trace file's bytes: plain, or zstd unpacked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "sim/workload/format.h"
#include "sim/workload/trace_impl.h"

/* More than any trace that this machine could hold as requests; a small file that unpacks to more is no trace. */
static const size_t text_max = (size_t)1 << 34;

static char *grow(char *text, size_t *room) {
    *room *= 2;
    text = realloc(text, *room + JSON_PADDING);
    MUST(text != NULL);
    return text;
}

static char *read_whole(const char *path, size_t *size, struct error *err) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        error_set(err, "cannot read trace '%s': %s\n  hint: check the path, or set TIERSIM_TRACES", path,
                  strerror(errno));
        return NULL;
    }
    size_t room = 1 << 16, used = 0;
    char *text = malloc(room + JSON_PADDING);
    MUST(text != NULL);
    for (size_t got; used < text_max && (got = fread(text + used, 1, room - used, file)) > 0;) {
        used += got;
        if (used == room)
            text = grow(text, &room);
    }
    int failure = ferror(file) ? errno : used >= text_max ? EFBIG : 0;
    fclose(file);
    if (failure) {
        error_set(err, "reading trace '%s' failed: %s\n  hint: is it a plain file?", path, strerror(failure));
        free(text);
        return NULL;
    }
    *size = used;
    return text;
}

/* Expands zstd text; frees `packed`. */
static char *unpack(const char *path, char *packed, size_t packed_size, size_t *size, struct error *err) {
    ZSTD_DStream *stream = ZSTD_createDStream();
    size_t room = packed_size * 8 + (1 << 16), left = 1;
    char *text = malloc(room + JSON_PADDING);
    MUST(stream != NULL && text != NULL);
    ZSTD_inBuffer in = {packed, packed_size, 0};
    ZSTD_outBuffer out = {text, room, 0};
    while ((in.pos < in.size || left > 0) && out.pos < text_max) {
        size_t out_before = out.pos, in_before = in.pos;
        left = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(left))
            break;
        if (out.pos == out.size) {
            out.dst = text = grow(text, &room);
            out.size = room;
        } else if (out.pos == out_before && in.pos == in_before) {
            break;
        }
    }
    ZSTD_freeDStream(stream);
    free(packed);
    if (left > 0) {
        const char *why = ZSTD_isError(left) ? ZSTD_getErrorName(left) : "it ends too early, or is too large";
        error_at(err, (struct place){path, 1, 1}, "not whole zstd data: %s\n  hint: is the file cut off?", why);
        free(text);
        return NULL;
    }
    *size = out.pos;
    return text;
}

char *trace_text_read(const char *path, size_t *size, struct error *err) {
    char *text = read_whole(path, size, err);
    if (text && *size >= 4 && memcmp(text, "\x28\xb5\x2f\xfd", 4) == 0)
        text = unpack(path, text, *size, size, err);
    if (text)
        memset(text + *size, 0, JSON_PADDING);
    return text;
}
