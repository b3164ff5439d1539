/* `tiersim cache --bound`: what hits save of prefill, and the most that any policy could (sim/memory/saving_bound.h).
 */
#include <stdlib.h>

#include "sim/cli/cache.h"
#include "sim/memory/saving_bound.h"
#include "sim/output/json.h"

static double whole_s(const struct cache_work *work, uint64_t skip) {
    double seconds = 0;
    for (uint64_t r = skip; r < work->trace->request_count; r++)
        seconds += work->costs.compute_s(work->costs.world, 0, work->trace->requests[r].tokens);
    return seconds;
}

void cache_print_bounds(struct json *json, const struct cache_work *work) {
    const struct replay_trace *trace = work->trace;
    double *block_s = malloc(((size_t)trace->longest + 1) * sizeof *block_s);
    MUST(block_s != NULL);
    for (uint32_t b = 0; b < trace->longest; b++)
        block_s[b] = work->costs.compute_s(work->costs.world, (uint64_t)b * trace->block_tokens, trace->block_tokens);
    json_array(json, "bounds");
    for (size_t s = 0; s < work->size_count && s < work->job_count; s++) {
        struct replay_setup replayed = cache_setup(work, &work->jobs[s]);
        struct saving_setup setup = {
            .trace = trace, .block_s = block_s, .capacity_blocks = work->jobs[s].size.blocks, .skip = replayed.skip};
        struct saving_bound bound;
        saving_bound(&setup, &bound);
        json_object(json, NULL);
        json_integer(json, "size", (int64_t)work->jobs[s].size.blocks);
        json_number(json, "saved_at_most_s", bound.seconds);
        json_number(json, "saved_with_room_for_all_s", bound.endless_s);
        json_number(json, "prompts_s", whole_s(work, replayed.skip));
        json_object_end(json);
    }
    json_array_end(json);
    free(block_s);
}
