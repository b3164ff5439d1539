#include "sim/memory/replay.h"

#include "sim/memory/replay_notes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/base/int_map.h"

/* ---- the trace ---- */

struct replay_trace *replay_trace_create(uint32_t block_tokens) {
    struct replay_trace *trace = calloc(1, sizeof *trace);
    MUST(trace != NULL);
    trace->block_tokens = block_tokens;
    trace->dense = int_map_create();
    return trace;
}

void replay_trace_destroy(struct replay_trace *trace) {
    if (!trace)
        return;
    int_map_destroy(trace->dense);
    free(trace->stated);
    if (trace->mapped) {
        munmap(trace->mapped, trace->mapped_bytes);
    } else {
        free(trace->ids);
        free(trace->sizes);
        free(trace->depths);
        free(trace->requests);
    }
    free(trace);
}

static void *resized(void *memory, uint64_t count, size_t size_bytes) {
    MUST(count <= SIZE_MAX / size_bytes);
    memory = realloc(memory, count * size_bytes);
    MUST(memory != NULL);
    return memory;
}

static void make_room(struct replay_trace *trace, uint64_t blocks, bool sized) {
    if (trace->request_count == trace->request_room) {
        trace->request_room = trace->request_room ? 2 * trace->request_room : 1024;
        trace->requests = resized(trace->requests, trace->request_room, sizeof *trace->requests);
    }
    if (trace->count + blocks <= trace->room)
        return;
    trace->room = 2 * (trace->count + blocks) + 1024;
    trace->ids = resized(trace->ids, trace->room, sizeof *trace->ids);
    if (sized)
        trace->sizes = resized(trace->sizes, trace->room, sizeof *trace->sizes);
}

void replay_trace_add(struct replay_trace *trace, const struct replay_request *request, const uint64_t *ids,
                      const uint32_t *sizes) {
    MUST(trace->count == 0 || (trace->sizes != NULL) == (sizes != NULL));
    make_room(trace, request->blocks, sizes != NULL);
    struct replay_request *added = &trace->requests[trace->request_count++];
    *added = *request;
    added->first = trace->count;
    if (request->blocks > trace->longest)
        trace->longest = request->blocks;
    for (uint32_t i = 0; i < request->blocks; i++) {
        uint32_t number = int_map_get(trace->dense, ids[i]);
        if (number == INT_MAP_NONE) {
            MUST(trace->unique < INT_MAP_NONE);
            number = (uint32_t)trace->unique++;
            int_map_put(trace->dense, ids[i], number);
        }
        if (sizes)
            trace->sizes[trace->count] = sizes[i];
        trace->ids[trace->count++] = number;
    }
}

/* The clock: the trace's time, but each tick later than the one before. */
static int64_t tick(int64_t now, int64_t at_ns) {
    return at_ns > now ? at_ns : now + 1;
}

int64_t *replay_foresee(const struct replay_trace *trace, bool prefix) {
    int64_t *times = resized(NULL, trace->count + 1, sizeof *times);
    int64_t *next = resized(NULL, trace->unique + 1, sizeof *next);
    int64_t now = -1;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        for (uint32_t i = 0; i < request->blocks; i++)
            times[request->first + i] = now = !prefix || i == 0 ? tick(now, request->at_ns) : now;
        if (prefix && request->blocks == 0)
            now = tick(now, request->at_ns);
    }
    for (uint64_t i = 0; i <= trace->unique; i++)
        next[i] = INT64_MAX;
    for (uint64_t i = trace->count; i-- > 0;) {
        int64_t at = times[i];
        times[i] = next[trace->ids[i]];
        next[trace->ids[i]] = at;
    }
    free(next);
    return times;
}

/* ---- the replay ---- */

struct replay {
    const struct replay_setup *setup;
    struct tier *tier;
    void *admit;          /* the admission policy's state */
    uint32_t *slot_bytes; /* by slot; where the tier counts bytes */
    uint64_t used_bytes;
    int64_t now;
    struct replay_notes notes;
    bool counts;      /* past what is skipped */
    uint64_t *ids;    /* prefix: of the request's blocks, as a tier takes them */
    uint32_t *slots;  /* their slots */
    bool *fresh;      /* which of them came in with it */
    uint64_t refused; /* came in, and were deleted again for want of room */
    struct replay_result result;
};

static bool victim_goes(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    struct replay *replay = self;
    const struct admit_policy *admit = replay->setup->admit;
    if (replay->slot_bytes)
        replay->used_bytes -= replay->slot_bytes[slot];
    if (admit && admit->evicted)
        admit->evicted(replay->admit, tier_block(tier, slot)->id, now);
    return false;
}

static bool admitted(struct replay *replay, uint64_t id, uint32_t tokens, uint64_t bytes) {
    const struct admit_policy *admit = replay->setup->admit;
    if (!admit)
        return true;
    struct tier_counts counts = tier_counts(replay->tier);
    struct admit_block block = {.id = id, .bytes = bytes, .tokens = tokens, .priority = PRIORITY_DEFAULT};
    struct admit_view view = {
        .cause = ADMIT_MISS, .count = 1, .blocks = &block, .capacity = counts.capacity, .free = counts.free};
    bool admits = true;
    admit->decide(replay->admit, &view, &admits, replay->now);
    return admits;
}

static void admission_sees(struct replay *replay, const uint64_t *ids, uint32_t count, uint32_t hits) {
    const struct admit_policy *admit = replay->setup->admit;
    if (!admit)
        return;
    if (admit->timer)
        admit->timer(replay->admit, replay->now);
    if (admit->seen)
        admit->seen(replay->admit, ids, count, replay->now);
    for (uint32_t i = 0; i < hits && admit->hit; i++)
        admit->hit(replay->admit, ids[i], replay->now);
}

/* Makes room for one more block of `bytes` and takes a slot. false: it is larger than the tier, or nothing can go. */
static bool room_for(struct replay *replay, uint64_t bytes) {
    uint64_t capacity = replay->setup->capacity_bytes;
    if (capacity > 0 && bytes > capacity)
        return false;
    while (capacity > 0 && replay->used_bytes + bytes > capacity)
        if (!tier_evict(replay->tier, replay->now))
            return false;
    return tier_take(replay->tier, 1, replay->now);
}

/* A block that is there is asked for: by another session, where the policy looks at those. */
static void ask_again(struct replay *replay, const struct replay_request *request, uint32_t slot, int64_t next_use) {
    if (!(replay->setup->policy->policy.needs & NEED_SESSION)) {
        tier_touch(replay->tier, slot, next_use, replay->now);
        return;
    }
    struct block_use use = {.owner = request->session, .priority = PRIORITY_DEFAULT};
    tier_use_all(replay->tier, &slot, 1, &use, &next_use, replay->now);
    tier_release(replay->tier, slot, replay->now);
}

/* One access to the block number `at` of the trace, by itself. */
static void access_flat(struct replay *replay, const struct replay_request *request, uint64_t at) {
    const struct replay_trace *trace = replay->setup->trace;
    const int64_t *foreseen = replay->setup->next_use;
    uint64_t id = trace->ids[at], bytes = trace->sizes ? trace->sizes[at] : 1;
    int64_t next_use = foreseen ? foreseen[at] : INT64_MAX;
    uint32_t slot = tier_find(replay->tier, id);
    admission_sees(replay, &id, 1, slot != SLOT_NONE);
    replay->result.accesses += replay->counts;
    replay->result.warm_accesses += !replay->counts;
    replay->result.bytes += replay->counts ? bytes : 0;
    if (replay->setup->marks)
        replay->setup->marks[at] = slot != SLOT_NONE;
    if (slot != SLOT_NONE) {
        replay->result.hits += replay->counts;
        replay->result.warm_hits += !replay->counts;
        replay->result.hit_bytes += replay->counts ? bytes : 0;
        ask_again(replay, request, slot, next_use);
        return;
    }
    tier_missed(replay->tier, id, replay->now);
    uint32_t tokens = trace->sizes ? trace->sizes[at] : trace->block_tokens ? trace->block_tokens : 1;
    if (!admitted(replay, id, tokens, bytes) || !room_for(replay, bytes))
        return;
    struct block_new block = {.id = id,
                              .next_use = next_use,
                              .owner = request->session,
                              .parent = SLOT_NONE,
                              .depth = trace->depths ? trace->depths[at] : (uint32_t)(at - request->first),
                              .tokens = tokens,
                              .tenant = request->tenant,
                              .priority = PRIORITY_DEFAULT};
    slot = tier_insert(replay->tier, &block, SLOT_RESIDENT, replay->now);
    if (replay->slot_bytes) {
        replay->slot_bytes[slot] = (uint32_t)bytes;
        replay->used_bytes += bytes;
    }
    tier_release(replay->tier, slot, replay->now);
}

/* Those of a request's blocks that are not there come in, on their way until it is their turn, tail first, and are
 * held. What is there behind a gap is held as well. */
static uint32_t enter_prefix(struct replay *replay, const struct replay_request *request, uint32_t found,
                             uint32_t count) {
    const struct replay_trace *trace = replay->setup->trace;
    const uint64_t *ids = replay->ids;
    const int64_t *foreseen = replay->setup->next_use ? replay->setup->next_use + request->first : NULL;
    uint32_t *slots = replay->slots;
    memset(replay->fresh, 0, count * sizeof *replay->fresh);
    tier_hold_all(replay->tier, slots, found, replay->now);
    struct block_new block = {.owner = request->session, .tenant = request->tenant, .priority = PRIORITY_DEFAULT};
    uint32_t i = found;
    for (; i < count; i++) {
        slots[i] = tier_find(replay->tier, ids[i]);
        replay->fresh[i] = slots[i] == SLOT_NONE;
        if (slots[i] != SLOT_NONE) {
            tier_hold(replay->tier, slots[i], replay->now);
            continue;
        }
        tier_missed(replay->tier, ids[i], replay->now);
        uint32_t left = request->tokens - i * trace->block_tokens;
        block.tokens = left < trace->block_tokens ? left : trace->block_tokens;
        if (!admitted(replay, ids[i], block.tokens, 1))
            break;
        MUST(tier_take(replay->tier, 1, replay->now));
        block.id = ids[i];
        block.parent = i > 0 ? slots[i - 1] : SLOT_NONE;
        block.depth = i;
        block.next_use = foreseen ? foreseen[i] : INT64_MAX;
        slots[i] = tier_insert(replay->tier, &block, SLOT_ARRIVING, replay->now);
    }
    return i;
}

/* Down to the tier's size. What the policy cannot give room for (leases) is refused: the end of what has just come. */
static void trim(struct replay *replay, const uint64_t *ids, uint32_t count) {
    uint64_t capacity = replay->setup->capacity_blocks;
    while (tier_counts(replay->tier).resident > capacity && tier_evict(replay->tier, replay->now))
        ;
    for (uint32_t i = count; i-- > 0 && tier_counts(replay->tier).resident > capacity;) {
        uint32_t slot = replay->fresh[i] ? tier_find(replay->tier, ids[i]) : SLOT_NONE;
        if (slot == SLOT_NONE)
            continue;
        tier_delete(replay->tier, slot, replay->now);
        replay->refused++;
    }
    MUST(tier_counts(replay->tier).resident <= capacity);
}

/* One request, as a whole. */
static void access_prefix(struct replay *replay, const struct replay_request *request) {
    const struct replay_setup *setup = replay->setup;
    const struct replay_trace *trace = setup->trace;
    uint64_t *ids = replay->ids;
    uint32_t *slots = replay->slots, count = request->blocks;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = trace->ids[request->first + i];
    if (setup->full_blocks && request->tokens / trace->block_tokens < count)
        count = request->tokens / trace->block_tokens;
    uint32_t found = tier_match(replay->tier, ids, count, slots), hits = found;
    if (setup->full_blocks && request->tokens > 0 && hits > (request->tokens - 1) / trace->block_tokens)
        hits = (request->tokens - 1) / trace->block_tokens;
    uint64_t hit_tokens = (uint64_t)hits * trace->block_tokens;
    admission_sees(replay, ids, count, hits);
    for (uint32_t i = 0; i < request->blocks && setup->marks; i++)
        setup->marks[request->first + i] = i < hits;
    replay->result.warm_accesses += replay->counts ? 0 : count;
    replay->result.warm_hits += replay->counts ? 0 : hits;
    if (replay->counts) {
        replay->result.accesses += count;
        replay->result.hits += hits;
        replay->result.tokens += request->tokens;
        hit_tokens = hit_tokens < request->tokens ? hit_tokens : request->tokens;
        replay->result.hit_tokens += hit_tokens;
        uint32_t missing = request->tokens - (uint32_t)hit_tokens;
        replay->result.late += setup->tail_tokens > 0 && missing > setup->tail_tokens;
        if (setup->costs)
            replay->result.computed_s += setup->costs->compute_s(setup->costs->world, hit_tokens, missing);
    }
    count = enter_prefix(replay, request, found, count);
    for (uint32_t i = count; i-- > 0;) {
        if (tier_state(replay->tier, slots[i]) == SLOT_ARRIVING)
            tier_landed(replay->tier, slots[i], replay->now);
        else
            ask_again(replay, request, slots[i], setup->next_use ? setup->next_use[request->first + i] : INT64_MAX);
    }
    tier_release_all(replay->tier, slots, count, replay->now);
    trim(replay, ids, count);
}

static void replay_requests(struct replay *replay) {
    const struct replay_setup *setup = replay->setup;
    const struct replay_trace *trace = setup->trace;
    replay->now = -1;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        replay->counts = r >= setup->skip;
        replay_notes_before(&replay->notes, r, request->at_ns > replay->now ? request->at_ns : replay->now);
        for (uint32_t i = 0; i < (setup->prefix ? 1 : request->blocks); i++) {
            replay->now = tick(replay->now, request->at_ns);
            if (tier_wake_time(replay->tier) <= replay->now)
                tier_wake(replay->tier, replay->now);
            if (setup->prefix)
                access_prefix(replay, request);
            else
                access_flat(replay, request, request->first + i);
        }
        replay_notes_after(&replay->notes, r, replay->now);
    }
}

static void tell_tier(void *self, const struct session_note *note, int64_t now) {
    tier_note(self, note, now);
}

static uint64_t at_most(uint64_t value, uint64_t most) {
    return value < most ? value : most;
}

unsigned replay_gives(const struct replay_setup *setup) {
    unsigned gives = NEED_SESSION | NEED_GROUP | NEED_AGENT_GRAPH | (setup->queue ? NEED_QUEUE : 0u);
    return gives | (setup->next_use ? NEED_FUTURE : 0u) | (setup->costs ? NEED_COST : 0u);
}

void replay_run(const struct replay_setup *setup, struct replay_result *out) {
    const struct replay_trace *trace = setup->trace;
    struct replay replay = {.setup = setup};
    MUST(setup->capacity_blocks > 0 || setup->capacity_bytes > 0);
    MUST(!setup->prefix || (trace->block_tokens > 0 && setup->capacity_bytes == 0));
    if (!setup->prefix && !setup->admit && setup->capacity_bytes == 0 && !setup->by_tier) {
        replay_flat(setup, out);
        return;
    }
    /* A tier larger than all there is needs no more slots, but is not less large to its policy. */
    bool bytes = setup->capacity_bytes > 0;
    struct tier_setup tier = {.name = setup->policy->policy.name,
                              .capacity_blocks =
                                  bytes ? trace->unique + 1 : at_most(setup->capacity_blocks, UINT32_MAX / 2),
                              .capacity_bytes = setup->capacity_bytes,
                              .slack_blocks = setup->prefix ? trace->longest : 0,
                              .prefix = setup->prefix,
                              .policy = setup->policy,
                              .policy_options = setup->policy_options,
                              .costs = setup->costs,
                              .seed = setup->seed,
                              .on_victim = victim_goes,
                              .on_victim_self = &replay};
    replay.tier = tier_create(&tier);
    if (bytes)
        replay.slot_bytes = resized(NULL, trace->unique + 1, sizeof *replay.slot_bytes);
    if (setup->prefix) {
        replay.ids = resized(NULL, (uint64_t)trace->longest + 1, sizeof *replay.ids);
        replay.slots = resized(NULL, (uint64_t)trace->longest + 1, sizeof *replay.slots);
        replay.fresh = resized(NULL, (uint64_t)trace->longest + 1, sizeof *replay.fresh);
    }
    const struct admit_policy *admit = setup->admit;
    struct admit_context context = {
        .capacity = tier.capacity_blocks, .seed = setup->seed, .options = setup->admit_options};
    replay.admit = admit && admit->create ? admit->create(&context) : (void *)setup->admit_options;
    replay_notes_create(&replay.notes, setup);
    replay.notes.tell = tell_tier;
    replay.notes.self = replay.tier;
    replay_requests(&replay);
    replay_notes_destroy(&replay.notes);
    if (admit && admit->destroy)
        admit->destroy(replay.admit);
    struct tier_counts counts = tier_counts(replay.tier);
    MUST(counts.held == 0 && counts.taken == 0 && counts.inserted == counts.resident + counts.evicted + replay.refused);
    tier_destroy(replay.tier);
    free(replay.slot_bytes);
    free(replay.ids);
    free(replay.slots);
    free(replay.fresh);
    *out = replay.result;
    out->misses = out->accesses - out->hits;
    out->inserted = counts.inserted;
    out->evicted = counts.evicted;
}
