/* Traces of objects: whatever the bytes are, they are read or refused with a message; what was read replays. The first
 * byte chooses the format and the tier's size. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct replay_trace *trace;
    struct error err = {0};
    const char *text = (const char *)data + 1;
    bool oracle = data[0] & 1;
    if ((oracle ? replay_read_oracle((const void *)text, size - 1, "fuzz", &trace, &err)
                : replay_read_lines(text, size - 1, "fuzz", &trace, &err)) != 0) {
        MUST(err.exit_code == EXIT_BAD_INPUT && strstr(err.text, "\n  hint: "));
        return 0;
    }
    int64_t *next_use = replay_foresee(trace, false);
    const struct policy *policy;
    for (size_t i = 0; (policy = policy_at(POLICY_EVICT, i)); i++) {
        struct replay_setup setup = {.trace = trace,
                                     .policy = (const struct evict_policy *)policy,
                                     .next_use = next_use,
                                     .capacity_blocks = 1 + data[0] / 4u};
        if (data[0] & 2)
            setup.capacity_bytes = 1 + data[0] * 100u;
        struct replay_result result;
        replay_run(&setup, &result);
        MUST(result.hits + result.misses == trace->count);
    }
    free(next_use);
    replay_trace_destroy(trace);
    return 0;
}
