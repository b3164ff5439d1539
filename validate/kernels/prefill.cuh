/* Attention of many new tokens over a prefix and themselves, by cuDNN: we write no kernel for what it does better.
 *
 * `new` tokens of a sequence come after `keys - new` cached ones; token i sees the keys up to its own (causal, aligned
 * bottom right). K and V of the new tokens must already be in the cache. bf16, heads of 64 or 128.
 *
 * A plan is made once a shape (milliseconds to a second: prefill_plan_seconds) and kept by the library; lengths are
 * read on the device, so that one plan serves every batch within its `most_new` and `most_keys`. Rounding these up
 * (powers of two) keeps the plans few. Where cudnn.h is missing everything compiles and prefill_open() says so. */
#ifndef VALIDATE_KERNELS_PREFILL_CUH
#define VALIDATE_KERNELS_PREFILL_CUH

#include <cstddef>
#include <cstdint>
#include <cuda_runtime.h>

enum { PREFILL_WHY = 256 }; /* bytes for the reason of a failure */

struct prefill_shape {
    int q_heads, kv_heads, head_size;
    int sequences, most_new, most_keys; /* rows of Q and O a sequence; keys a sequence */
    /* 0: K and V lie as [sequence][most_keys][kv_heads][head_size]. Else pages of [page_size][kv_heads][head_size],
     * `pages` of them, `page_stride` elements from one to the next (0: packed), as struct decode_problem has it. */
    int page_size, pages;
    size_t page_stride;
    int way;    /* 0: the library's choice. Else an enum prefill_way that is tried alone */
    int config; /* of the engine configurations that cuDNN's heuristics propose, the how manieth that works; 0: first */
};
/* Which way a plan goes: cuDNN reads pages itself, by one operation or by a graph of them; or our kernel gathers the
 * pages into contiguous K and V first. */
enum prefill_way { PREFILL_ANY, PREFILL_UNIFIED, PREFILL_GRAPH, PREFILL_GATHER };

/* Device memory. Rows of O from a sequence's `new` up to most_new may be written with zeros. */
struct prefill_data {
    const void *q;         /* bf16 [sequences][most_new][q_heads][head_size] */
    const void *k, *v;     /* bf16, see struct prefill_shape */
    const int *table;      /* [sequences][prefill_table_width()] pages; unused entries must name a valid page */
    const int *new_tokens; /* [sequences], 1 to most_new */
    const int *keys;       /* [sequences], new_tokens to most_keys */
    void *o;               /* as q */
    float scale;           /* of the scores: 1 / sqrt(head_size) */
    void *workspace;       /* prefill_workspace() bytes */
};

struct prefill_library;
struct prefill_plan;
/* NULL: no cuDNN, and why. One library a thread. */
struct prefill_library *prefill_open(char why[PREFILL_WHY]);
void prefill_close(struct prefill_library *library);
int prefill_version(const struct prefill_library *library); /* 91900: cuDNN 9.19.0 */
bool prefill_available(void);                               /* compiled with cuDNN */

/* The plan for a shape, made at its first use; it belongs to the library. NULL: no engine takes it, and why. */
struct prefill_plan *prefill_plan(struct prefill_library *library, const struct prefill_shape *shape,
                                  char why[PREFILL_WHY]);
enum prefill_way prefill_plan_way(const struct prefill_plan *plan);
const char *prefill_way_name(enum prefill_way way);
int prefill_plan_engine(const struct prefill_plan *plan);     /* cuDNN's number of its engine */
double prefill_plan_seconds(const struct prefill_plan *plan); /* host time that making it took */
size_t prefill_workspace(const struct prefill_plan *plan);    /* bytes, the gathered K and V included */
int prefill_table_width(const struct prefill_shape *shape);   /* pages a row of the table: most_keys rounded up */

/* Enqueues; may be captured into a graph. False: why. */
bool prefill_run(struct prefill_library *library, const struct prefill_plan *plan, const struct prefill_data *data,
                 cudaStream_t stream, char why[PREFILL_WHY]);

/* Float64, its own indexing, of single rows: row i is (sequence, new token, query head) = rows[3i..3i+2], device
 * memory; out: double [count][head_size]; scores: double [count][most_keys] to work in. */
cudaError_t prefill_reference(const struct prefill_shape *shape, const struct prefill_data *data, const int *rows,
                              int count, double *out, double *scores, cudaStream_t stream);

#endif
