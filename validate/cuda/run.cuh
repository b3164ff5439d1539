/* What a whole run keeps beside its groups: the machine's description, and how far a run came that did not end. */
#ifndef VALIDATE_CUDA_RUN_CUH
#define VALIDATE_CUDA_RUN_CUH

#include "validate/cuda/bench.cuh"

extern const char rows_header[];
struct arguments {
    const char *dir, *only, *loop_trace, *loop_rates;
    bool quick, list, go_on;
};

/* Writes machine.txt, or says why this machine cannot be measured; for a process of its own, which it ends: 0 or 3. */
[[noreturn]] void machine_describe(const char *path);

/* DIR/rows.csv.part has the rows of the groups so far, DIR/rows.csv.done a line for each group that ended: the rows of
 * a group without one are half a group's, and are dropped when the run goes on. */
struct half_run {
    std::string rows, part, done;
    std::vector<std::string> groups; /* that ended */
    struct ceilings ceilings;
    int bad; /* of them had failed rows */
};
/* Opens a new run or, by --continue, one that did not end. False: said why on stderr. */
bool half_run_open(const struct arguments *a, struct half_run *out);
/* After machine.txt.part is written: the same machine as before? Then makes rows.csv.part ready. */
bool half_run_ready(const struct arguments *a, struct half_run *run, const std::string &machine);
bool half_run_has(const struct half_run *run, const char *group);
bool half_run_note(struct half_run *run, const char *group, bool failed, const struct ceilings *ceilings);
/* Renames the part: the run is whole. */
bool half_run_end(const struct half_run *run);

#endif
