#include "sim/memory/shards.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/arena.h"

enum { TREE_SHARE = 2, BLOCK_SHARE = 64, SURE_ROOM = 50 };

/* Finaliser of SplitMix64 (public domain) as a number in [0, 1). */
static double spread(uint64_t id) {
    id += UINT64_C(0x9e3779b97f4a7c15);
    id = (id ^ id >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    id = (id ^ id >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((id ^ id >> 31) >> 11) * 0x1p-53;
}

/* Weights of the blocks that decide now, by id: accesses of the requests that they decide on. */
static void weigh(const struct replay_trace *trace, const uint32_t *at, uint64_t *weights) {
    memset(weights, 0, trace->unique * sizeof *weights);
    for (uint32_t r = 0; r < trace->request_count; r++)
        if (trace->requests[r].blocks > 0)
            weights[trace->ids[trace->requests[r].first + at[r]]] += trace->requests[r].blocks;
}

/* at[r]: which block of request r decides, the first that is not trunk (or the last there is). */
static void find_trunk(struct shards *shards, const struct replay_trace *trace, uint32_t *at, uint64_t *weights) {
    double heavy = shards->rate / TREE_SHARE * (double)trace->count;
    uint64_t most = (uint64_t)(shards->rate / SURE_ROOM * (double)trace->unique);
    for (bool moved = true; moved && shards->sure < most;) {
        moved = false;
        weigh(trace, at, weights);
        for (uint32_t r = 0; r < trace->request_count; r++) {
            const struct replay_request *request = &trace->requests[r];
            uint64_t *weight = request->blocks > at[r] + 1 ? &weights[trace->ids[request->first + at[r]]] : NULL;
            if (!weight || (double)*weight <= heavy)
                continue;
            shards->sure += *weight != UINT64_MAX; /* counted once */
            *weight = UINT64_MAX;
            at[r]++;
            moved = true;
        }
    }
    weigh(trace, at, weights);
}

/* Flat: marks the blocks that are too popular for a sample, by UINT64_MAX in weights[]. */
static void find_popular(struct shards *shards, const struct replay_trace *trace, uint64_t *weights) {
    double heavy = shards->rate / BLOCK_SHARE * (double)trace->count;
    uint64_t most = (uint64_t)(shards->rate / SURE_ROOM * (double)trace->unique), count = most + 1;
    for (uint64_t at = 0; at < trace->count; at++)
        weights[trace->ids[at]]++;
    for (; count > most; heavy *= 2) {
        count = 0;
        for (uint64_t id = 0; id < trace->unique; id++)
            count += (double)weights[id] > heavy;
    }
    for (uint64_t id = 0; id < trace->unique; id++)
        if ((double)weights[id] > heavy / 2)
            weights[id] = UINT64_MAX;
    shards->sure = count;
}

/* Kish's effective number: (sum of weights)^2 / sum of squares. */
static double effective(const uint64_t *weights, uint64_t count) {
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)weights[i];
        squares += (double)weights[i] * (double)weights[i];
    }
    return squares > 0 ? sum * sum / squares : 0;
}

/* What is being made. */
struct making {
    struct shards *shards;
    const struct replay_trace *trace;
    uint32_t *at;      /* prefix: by request, which of its blocks decides */
    uint64_t *weights; /* by id */
    uint64_t *ids;     /* of a request in a sample */
    uint32_t *depths, *sizes;
    uint8_t *sure;
};

/* What stands beside the blocks just added: where in the prompt they stood, and which are in every sample. */
static void add_beside(struct making *making, uint32_t part, uint32_t count) {
    struct replay_trace *sample = making->shards->samples[part];
    uint8_t **sure = &making->shards->is_sure[part];
    sample->depths = realloc(sample->depths, (sample->room + 1) * sizeof *sample->depths);
    *sure = realloc(*sure, sample->room + 1);
    MUST(sample->depths != NULL && *sure != NULL);
    memcpy(sample->depths + sample->count - count, making->depths, count * sizeof *making->depths);
    memcpy(*sure + sample->count - count, making->sure, count);
}

/* Adds request r to a sample, with those of its blocks that are in it. */
static void add_request(struct making *making, uint32_t part, uint32_t r) {
    const struct shards *shards = making->shards;
    const struct replay_trace *trace = making->trace;
    const struct replay_request *request = &trace->requests[r];
    double low = part * shards->rate, high = low + shards->rate;
    struct replay_request added = *request;
    added.blocks = 0;
    for (uint32_t i = 0; i < request->blocks; i++) {
        uint32_t id = trace->ids[request->first + i];
        bool sure = !shards->prefix && making->weights[id] == UINT64_MAX;
        double place = spread(shards->prefix ? trace->ids[request->first + making->at[r]] : id);
        if (!sure && (place < low || place >= high))
            continue;
        making->sure[added.blocks] = sure;
        making->depths[added.blocks] = i;
        making->sizes[added.blocks] = trace->sizes ? trace->sizes[request->first + i] : 1;
        making->ids[added.blocks++] = id;
    }
    if (shards->prefix && added.blocks == 0)
        added.tokens = 0;
    replay_trace_add(shards->samples[part], &added, making->ids, trace->sizes ? making->sizes : NULL);
    if (!shards->prefix)
        add_beside(making, part, added.blocks);
}

void shards_create(struct shards *shards, const struct replay_trace *trace, bool prefix, double rate, uint32_t parts,
                   uint32_t skip) {
    MUST(parts >= 1 && parts <= SHARDS_PARTS_MAX && rate > 0 && rate * parts <= 1 + 1e-9);
    *shards = (struct shards){.prefix = prefix, .rate = rate, .parts = parts, .units = rate * (double)trace->unique};
    size_t longest = (size_t)trace->longest + 1;
    struct making making = {.shards = shards,
                            .trace = trace,
                            .at = lazy_alloc((size_t)trace->request_count + 1, sizeof *making.at),
                            .weights = lazy_alloc(trace->unique + 1, sizeof *making.weights),
                            .ids = lazy_alloc(longest, sizeof *making.ids),
                            .depths = lazy_alloc(longest, sizeof *making.depths),
                            .sizes = lazy_alloc(longest, sizeof *making.sizes),
                            .sure = lazy_alloc(longest, sizeof *making.sure)};
    if (prefix) {
        find_trunk(shards, trace, making.at, making.weights);
        shards->units = rate * effective(making.weights, trace->unique);
    } else {
        find_popular(shards, trace, making.weights);
    }
    for (uint32_t p = 0; p < parts; p++) {
        shards->samples[p] = replay_trace_create(trace->block_tokens);
        for (uint32_t r = 0; r < trace->request_count; r++)
            add_request(&making, p, r);
        if (trace->stated) { /* of its requests, how their answers end; roles are not counted in samples */
            shards->samples[p]->stated = calloc((size_t)trace->request_count + 1, sizeof *trace->stated);
            MUST(shards->samples[p]->stated != NULL);
            for (uint32_t r = 0; r < trace->request_count; r++)
                shards->samples[p]->stated[r].calls_tool = trace->stated[r].calls_tool;
        }
    }
    for (uint32_t r = skip; r < trace->request_count; r++)
        shards->accesses += trace->requests[r].blocks;
    lazy_free(making.at, (size_t)trace->request_count + 1, sizeof *making.at);
    lazy_free(making.weights, trace->unique + 1, sizeof *making.weights);
    lazy_free(making.ids, longest, sizeof *making.ids);
    lazy_free(making.depths, longest, sizeof *making.depths);
    lazy_free(making.sizes, longest, sizeof *making.sizes);
    lazy_free(making.sure, longest, sizeof *making.sure);
}

void shards_destroy(struct shards *shards) {
    for (uint32_t p = 0; p < shards->parts; p++) {
        replay_trace_destroy(shards->samples[p]);
        free(shards->is_sure[p]);
    }
    *shards = (struct shards){0};
}

uint64_t shards_capacity(const struct shards *shards, uint64_t capacity) {
    uint64_t beyond = capacity > shards->sure ? capacity - shards->sure : 0;
    uint64_t blocks = (uint64_t)(shards->rate * (double)beyond + 0.5) + (capacity - beyond);
    return blocks > 0 ? blocks : 1;
}

/* 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom (any table of it). */
static double student(uint32_t freedom) {
    static const double t[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201,
                               2.179,  2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074,
                               2.069,  2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042, 2.040};
    return t[freedom - 1];
}

static double within_one(double value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* The ratio of the parts' sums, and its interval from how the parts scatter about it. */
static void ratio(const double *part, const double *whole, uint32_t count, double *mean, double *low, double *high) {
    double parts = 0, wholes = 0, squares = 0;
    for (uint32_t p = 0; p < count; p++) {
        parts += part[p];
        wholes += whole[p];
    }
    *mean = wholes > 0 ? parts / wholes : 0;
    for (uint32_t p = 0; p < count; p++) {
        double off = part[p] - *mean * whole[p];
        squares += off * off;
    }
    double half = wholes > 0 ? student(count - 1) * sqrt(squares / (count - 1) * count) / wholes : 0;
    *low = within_one(*mean - half);
    *high = within_one(*mean + half);
    *mean = within_one(*mean);
}

void shards_replay(const struct shards *shards, uint32_t part, const struct replay_setup *setup,
                   const int64_t *next_use, struct shards_result *out) {
    const struct replay_trace *sample = shards->samples[part];
    struct replay_setup own = *setup;
    struct replay_result result;
    own.trace = sample;
    own.next_use = next_use;
    own.capacity_blocks = shards_capacity(shards, setup->capacity_blocks);
    own.marks = shards->prefix ? NULL : malloc(sample->count + 1);
    MUST(shards->prefix || own.marks != NULL);
    replay_run(&own, &result);
    *out = (struct shards_result){.misses = (double)result.misses,
                                  .accesses = (double)result.accesses,
                                  .hit_tokens = (double)result.hit_tokens,
                                  .tokens = (double)result.tokens};
    uint64_t first = own.skip < sample->request_count ? sample->requests[own.skip].first : sample->count;
    for (uint64_t at = first; at < sample->count && own.marks; at++) {
        out->sure_accesses += shards->is_sure[part][at];
        out->sure_misses += shards->is_sure[part][at] && !own.marks[at];
    }
    out->misses -= out->sure_misses;
    out->accesses -= out->sure_accesses;
    free(own.marks);
}

void shards_estimate(const struct shards *shards, const struct shards_result *results, struct shards_estimate *out) {
    double part[SHARDS_PARTS_MAX], whole[SHARDS_PARTS_MAX], all = (double)shards->accesses, mean, low, high;
    MUST(shards->parts >= 2);
    for (uint32_t p = 0; p < shards->parts; p++) {
        part[p] = results[p].hit_tokens;
        whole[p] = results[p].tokens;
    }
    ratio(part, whole, shards->parts, &out->token_hit_ratio, &out->token_low, &out->token_high);
    for (uint32_t p = 0; p < shards->parts; p++) {
        part[p] = results[p].misses;
        whole[p] = results[p].accesses;
        if (shards->prefix)
            continue;
        /* All there are of the sure ones, and the share that the sample has of the others of misses. */
        double others = all - results[p].sure_accesses;
        part[p] = results[p].sure_misses + (whole[p] > 0 ? part[p] / whole[p] * others : 0);
        whole[p] = all;
    }
    ratio(part, whole, shards->parts, &out->miss_ratio, &out->low, &out->high);
    if (shards->prefix)
        return;
    for (uint32_t p = 0; p < shards->parts; p++)
        part[p] = results[p].sure_misses + results[p].misses / shards->rate;
    ratio(part, whole, shards->parts, &mean, &low, &high);
    out->miss_ratio = mean;
    out->low = low < out->low ? low : out->low;
    out->high = high > out->high ? high : out->high;
}
