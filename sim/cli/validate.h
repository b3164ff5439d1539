/* tiersim validate: the two things that it holds against measurements. */
#ifndef SIM_CLI_VALIDATE_H
#define SIM_CLI_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/base/error.h"

enum { VALIDATE_FILES_MAX = 64, VALIDATE_SETS_MAX = 64, VALIDATE_COLUMNS = 98 };

/* `tiersim validate SCENARIO REQUESTS.csv...`: measured latencies against a run's. */
struct validate_requests {
    const char *scenario, *variant;        /* variant NULL: the first */
    const char *files[VALIDATE_FILES_MAX]; /* [VARIANT=]PATH[@LOAD] */
    size_t file_count;
    const char *sets[VALIDATE_SETS_MAX];
    size_t set_count;
    int64_t seed;
    bool has_seed, json;
};
/* Simulates and prints. Error: nothing was printed. */
int validate_requests(const struct validate_requests *asked, struct error *err);

#endif
