/* Rows of several GPUs that copy at once (groups links and shared of tiersim-calibrate), and what a node's links say of
 * them. */
#ifndef SIM_CLI_SHARED_ROWS_H
#define SIM_CLI_SHARED_ROWS_H

#include "sim/memory/lone_copy.h"
#include "validate/fit.h"

/* All GPUs' copies together: the `..._sum` rows. */
struct shared_row {
    const struct measured *row;
    const char *from, *to;
    uint32_t gpus; /* the first so many of the node */
    uint64_t bytes;
    uint32_t blocks; /* of each GPU */
    double seconds;  /* until all bytes of a round were moved, at the sum of the rates */
    bool held_out;
};
struct shared_rows {
    struct shared_row *items;
    size_t count;
};
/* Rows of one direction, of DRAM near the GPU where there are two sockets, of the first GPUs of the node; and the
 * drive's. Those of fewer than `least` GPUs are left out, and those of both directions at once. */
int shared_rows_read(const struct measured_rows *rows, uint32_t least, struct arena *arena, struct shared_rows *out,
                     struct error *err);
/* Seconds by the node's links of a round among many, back to back; *result: of a longer copy. Bad input as
 * shared_copy_time's. */
int shared_row_predict(const struct shared_row *row, const struct node_options *node, struct shared_gpu *gpus,
                       struct shared_result *result, double *seconds, struct error *err);
enum { SHARED_GPUS_MAX = 1024 };

/* A stage whose bandwidth the rows determine; 0: they do not. */
struct shared_fit {
    const struct node_link *link; /* of the node that was given */
    double read_bytes_per_s, write_bytes_per_s;
};
enum { SHARED_STAGES_MAX = 16 };
struct shared_fits {
    struct shared_fit stages[SHARED_STAGES_MAX];
    size_t count;
    const char *source;
};
/* Bandwidths of the node's links of scope switch, socket and node from the rows that are not held out; the links of a
 * GPU are the node's. Adds to the report: all rows, and those of 4 and 8 GPUs by what up to 2 (4) told. Error: no rows
 * of several GPUs. */
int fit_shared(const struct fit_input *in, const struct node_options *node, struct shared_fits *fits,
               struct error *err);
/* A mapping that a node file includes in that link. */
void shared_write(FILE *out, const struct shared_fits *fits, size_t stage);

#endif
