#include "sim/output/timeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Kinds of lanes of an instance: its steps; transfers from tier a to tier b; requests. */
enum { LANE_STEPS, LANE_TRANSFER, LANE_REQUEST };

/* A track that Perfetto shows as one line: slices on it never overlap. */
struct lane {
    uint32_t kind, instance, from, to, number;
    int64_t free_ns; /* end of its last slice */
};

/* A direction of a link as a counter: what it moves from `at_ns` on, told once time has gone on. */
struct counter {
    char *name; /* NULL: it has moved nothing */
    int64_t at_ns;
    double bytes_per_s, told;
};

struct stream {
    struct sink sink, *next;
    const char *name;
    const char *tier_names[RECORD_TIERS_MAX];
    uint32_t tiers;
    size_t variant;
    FILE *events; /* a temporary file: the events in the order in which they ended */
    struct lane *lanes;
    size_t lane_count, lane_room;
    struct counter *counters; /* by the link of their records */
    size_t counter_count;
};

struct timeline {
    char *path, *part;
    FILE *out;
    struct stream *streams;
    size_t count;
};

/* Microseconds with the nanoseconds behind the point, as the format wants them. */
static void put_time(FILE *out, const char *key, int64_t ns) {
    fprintf(out, ",\"%s\":%lld.%03d", key, (long long)(ns / 1000), (int)(ns % 1000));
}

/* The first lane of the kind that is free at `start`, or a new one: its number in the stream. Records come in the order
 * of their ends, so a lane whose last slice ended by then holds nothing later. */
static size_t lane_at(struct stream *s, struct lane wanted, int64_t start_ns, int64_t end_ns) {
    uint32_t number = 0;
    for (size_t i = 0; i < s->lane_count; i++) {
        struct lane *lane = &s->lanes[i];
        if (lane->kind != wanted.kind || lane->instance != wanted.instance || lane->from != wanted.from ||
            lane->to != wanted.to)
            continue;
        number++;
        if (lane->free_ns > start_ns)
            continue;
        lane->free_ns = end_ns;
        return i;
    }
    if (s->lane_count == s->lane_room) {
        s->lane_room = s->lane_room ? 2 * s->lane_room : 64;
        s->lanes = realloc(s->lanes, s->lane_room * sizeof *s->lanes);
        MUST(s->lanes != NULL);
    }
    wanted.number = number;
    wanted.free_ns = end_ns;
    s->lanes[s->lane_count] = wanted;
    return s->lane_count++;
}

static void put_slice(struct stream *s, size_t lane, int64_t start_ns, int64_t end_ns) {
    fprintf(s->events, ",\n{\"ph\":\"X\",\"pid\":%zu,\"tid\":%zu", s->variant + 1, lane + 1);
    put_time(s->events, "ts", start_ns);
    put_time(s->events, "dur", end_ns - start_ns);
}

/* A slice on a lane of its own, its name and args left open; returns the lane. */
static size_t slice_begin(struct stream *s, struct lane lane, int64_t start_ns, int64_t end_ns) {
    size_t at = lane_at(s, lane, start_ns, end_ns);
    put_slice(s, at, start_ns, end_ns);
    return at;
}

static void take_run(void *self, const struct run_record *r) {
    struct stream *s = self;
    slice_begin(s, (struct lane){.kind = LANE_STEPS, .instance = r->instance}, r->start_ns, r->end_ns);
    fprintf(s->events, ",\"name\":\"%s\",\"args\":{\"steps\":%u,\"decodes\":%u,\"prefill_tokens\":%u}}",
            r->prefill_tokens == 0     ? "decode"
            : r->decode_sequences == 0 ? "prefill"
                                       : "prefill + decode",
            r->steps, r->decode_sequences, r->prefill_tokens);
    if (s->next && s->next->run)
        s->next->run(s->next->self, r);
}

static const char *tier_name(const struct stream *s, uint32_t tier) {
    return tier < s->tiers ? s->tier_names[tier] : "nowhere";
}

static void take_transfer(void *self, const struct transfer_record *r) {
    struct stream *s = self;
    slice_begin(s,
                (struct lane){.kind = LANE_TRANSFER, .instance = r->instance, .from = r->from_tier, .to = r->to_tier},
                r->started_ns, r->end_ns);
    fprintf(s->events, ",\"name\":\"%s to %s\",\"args\":{\"bytes\":%llu,\"blocks\":%u,\"waited_s\":%.9g}}",
            tier_name(s, r->from_tier), tier_name(s, r->to_tier), (unsigned long long)r->bytes, r->blocks,
            (double)(r->started_ns - r->submitted_ns) * 1e-9);
    if (s->next && s->next->transfer)
        s->next->transfer(s->next->self, r);
}

static void take_request(void *self, const struct request_record *r) {
    struct stream *s = self;
    const struct lane lane = {.kind = LANE_REQUEST, .instance = r->instance};
    bool answered = r->end == REQUEST_FINISHED;
    size_t at = slice_begin(s, lane, r->arrival_ns, r->end_ns);
    fprintf(s->events, ",\"name\":\"request %llu%s\",\"args\":{\"prompt_tokens\":%u,\"output_tokens\":%u",
            (unsigned long long)r->id, answered ? "" : ", rejected", r->prompt_tokens, r->output_tokens);
    fprintf(s->events, ",\"session\":%llu,\"turn\":%u,\"computed_tokens\":%llu", (unsigned long long)r->session,
            r->turn, (unsigned long long)r->computed_tokens);
    for (uint32_t t = 0; t < s->tiers; t++)
        if (r->hit_tokens[t] > 0)
            fprintf(s->events, ",\"from_%s\":%llu", s->tier_names[t], (unsigned long long)r->hit_tokens[t]);
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        if (r->cause_ns[cause] > 0)
            fprintf(s->events, ",\"%s_s\":%.9g", cause_name((enum cause)cause), (double)r->cause_ns[cause] * 1e-9);
    fprintf(s->events, "}}");
    if (answered) { /* within the request's slice */
        put_slice(s, at, r->arrival_ns, r->first_token_ns);
        fprintf(s->events, ",\"name\":\"to the first token\"}");
    }
    if (s->next && s->next->request)
        s->next->request(s->next->self, r);
}

static void put_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++)
        if ((unsigned char)*text >= ' ' && *text != '"' && *text != '\\')
            fputc(*text, out);
    fputc('"', out);
}

static void put_counter(struct stream *s, struct counter *counter) {
    if (counter->bytes_per_s == counter->told)
        return;
    counter->told = counter->bytes_per_s;
    fprintf(s->events, ",\n{\"ph\":\"C\",\"pid\":%zu", s->variant + 1);
    put_time(s->events, "ts", counter->at_ns);
    fprintf(s->events, ",\"name\":");
    put_text(s->events, counter->name);
    fprintf(s->events, ",\"args\":{\"GB/s\":%.12g}}", counter->bytes_per_s * 1e-9);
}

/* Of several rates at one moment the last one stands. */
static void take_rate(void *self, const struct rate_record *r) {
    struct stream *s = self;
    if (r->link >= s->counter_count) {
        s->counters = realloc(s->counters, (r->link + 1) * sizeof *s->counters);
        MUST(s->counters != NULL);
        memset(&s->counters[s->counter_count], 0, (r->link + 1 - s->counter_count) * sizeof *s->counters);
        s->counter_count = r->link + 1;
    }
    struct counter *counter = &s->counters[r->link];
    if (!counter->name) {
        counter->name = strdup(r->name);
        MUST(counter->name != NULL);
    } else if (r->at_ns > counter->at_ns)
        put_counter(s, counter);
    counter->at_ns = r->at_ns;
    counter->bytes_per_s = r->bytes_per_s;
    if (s->next && s->next->rate)
        s->next->rate(s->next->self, r);
}

#define FORWARD(kind)                                                                                                  \
    static void take_##kind(void *self, const struct kind##_record *r) {                                               \
        struct stream *s = self;                                                                                       \
        if (s->next && s->next->kind)                                                                                  \
            s->next->kind(s->next->self, r);                                                                           \
    }
FORWARD(link)
FORWARD(tier)
FORWARD(instance)
FORWARD(decision)

int timeline_open(const char *path, size_t variants, struct timeline **out, struct error *err) {
    struct timeline *timeline = calloc(1, sizeof *timeline);
    MUST(timeline != NULL);
    size_t length = strlen(path) + sizeof ".part";
    timeline->path = strdup(path);
    timeline->part = malloc(length);
    timeline->streams = calloc(variants + 1, sizeof *timeline->streams);
    MUST(timeline->path && timeline->part && timeline->streams);
    snprintf(timeline->part, length, "%s.part", path);
    timeline->out = fopen(timeline->part, "w");
    if (!timeline->out) {
        int status = error_set(err, "cannot write '%s': %s\n  hint: --timeline wants a file in a directory that exists",
                               path, strerror(errno));
        free(timeline->path);
        free(timeline->part);
        free(timeline->streams);
        free(timeline);
        return status;
    }
    timeline->count = variants;
    *out = timeline;
    return 0;
}

struct sink *timeline_sink(struct timeline *timeline, size_t variant, const char *name, const char *const *tier_names,
                           uint32_t tiers, struct sink *next) {
    MUST(variant < timeline->count);
    struct stream *s = &timeline->streams[variant];
    *s = (struct stream){.next = next, .name = name, .tiers = tiers, .variant = variant, .events = tmpfile()};
    MUST(tiers <= RECORD_TIERS_MAX);
    memcpy(s->tier_names, tier_names, tiers * sizeof *tier_names);
    if (!s->events)
        return next; /* said at the end: the lanes are missing */
    s->sink = (struct sink){.self = s,
                            .request = take_request,
                            .run = take_run,
                            .transfer = take_transfer,
                            .link = take_link,
                            .tier = take_tier,
                            .instance = take_instance,
                            .decision = take_decision,
                            .rate = take_rate};
    return &s->sink;
}

/* Names of the process and its lanes, and the order in which they are shown: by instance, then kind. */
static void write_names(FILE *out, const struct stream *s) {
    fprintf(out, "%s\n{\"ph\":\"M\",\"pid\":%zu,\"name\":\"process_name\",\"args\":{\"name\":", s->variant ? "," : "",
            s->variant + 1);
    put_text(out, s->name);
    fprintf(out, "}}");
    for (size_t i = 0; i < s->lane_count; i++) {
        const struct lane *lane = &s->lanes[i];
        char name[160];
        int used = snprintf(name, sizeof name, "instance %u ", lane->instance);
        char *rest = name + used;
        size_t room = sizeof name - (size_t)used;
        if (lane->kind == LANE_STEPS)
            snprintf(rest, room, "steps");
        else if (lane->kind == LANE_REQUEST)
            snprintf(rest, room, "requests %u", lane->number + 1);
        else
            snprintf(rest, room, "%s to %s %u", tier_name(s, lane->from), tier_name(s, lane->to), lane->number + 1);
        fprintf(out,
                ",\n{\"ph\":\"M\",\"pid\":%zu,\"tid\":%zu,\"name\":\"thread_name\",\"args\":{\"name\":", s->variant + 1,
                i + 1);
        put_text(out, name);
        unsigned long order = lane->instance * 1000000ul + lane->kind * 300000ul + lane->from * 20000ul +
                              lane->to * 1000ul + lane->number;
        fprintf(out,
                "}},\n{\"ph\":\"M\",\"pid\":%zu,\"tid\":%zu,\"name\":\"thread_sort_index\",\"args\":", s->variant + 1,
                i + 1);
        fprintf(out, "{\"sort_index\":%lu}}", order);
    }
}

/* False: the events could not be kept, or not read back. */
static bool write_stream(FILE *out, struct stream *s) {
    char buffer[65536];
    for (size_t i = 0; s->events && i < s->counter_count; i++)
        if (s->counters[i].name)
            put_counter(s, &s->counters[i]);
    if (!s->events || fflush(s->events) != 0 || ferror(s->events))
        return false;
    write_names(out, s);
    rewind(s->events);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, s->events)) > 0;)
        if (fwrite(buffer, 1, got, out) != got)
            return false;
    return !ferror(s->events);
}

int timeline_close(struct timeline *timeline, struct error *err) {
    bool good = true;
    fprintf(timeline->out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (size_t i = 0; i < timeline->count; i++) {
        struct stream *s = &timeline->streams[i];
        if (s->name)
            good &= write_stream(timeline->out, s);
        if (s->events)
            fclose(s->events);
        free(s->lanes);
        for (size_t c = 0; c < s->counter_count; c++)
            free(s->counters[c].name);
        free(s->counters);
    }
    fprintf(timeline->out, "\n]}\n");
    good &= !ferror(timeline->out);
    good &= fclose(timeline->out) == 0;
    good = good && rename(timeline->part, timeline->path) == 0;
    int status = 0;
    if (!good) {
        status = error_set(
            err, "writing '%s' failed: %s\n  hint: is the disk full? A timeline has every step: run a shorter one",
            timeline->path, strerror(errno));
        unlink(timeline->part);
    }
    free(timeline->path);
    free(timeline->part);
    free(timeline->streams);
    free(timeline);
    return status;
}
