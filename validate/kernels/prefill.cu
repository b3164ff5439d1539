/* Attention of many tokens by cuDNN: as a graph of operations that it fuses (product, scale, masks, softmax, product),
 * over contiguous or paged K and V; for one query a sequence as its single operation too. Where no engine reads pages,
 * a kernel of ours gathers them first. */
#include "validate/kernels/prefill.cuh"

#include <cstdio>
#include <cuda_bf16.h>

int prefill_table_width(const struct prefill_shape *shape) {
    return shape->page_size ? (shape->most_keys + shape->page_size - 1) / shape->page_size : 0;
}
const char *prefill_way_name(enum prefill_way way) {
    static const char *const names[] = {"any", "unified", "graph", "gather"};
    return names[way];
}

/* Elements before the keys of a token. */
static __device__ size_t key_at(const struct prefill_shape &s, const int *table, int width, int seq, int token,
                                int head) {
    if (!s.page_size)
        return (((size_t)seq * s.most_keys + token) * s.kv_heads + head) * s.head_size;
    int page = table[(size_t)seq * width + token / s.page_size];
    return (size_t)page * s.page_stride + ((size_t)(token % s.page_size) * s.kv_heads + head) * s.head_size;
}
static struct prefill_shape with_stride(const struct prefill_shape *shape) {
    struct prefill_shape s = *shape;
    if (s.page_size && !s.page_stride)
        s.page_stride = (size_t)s.page_size * (size_t)s.kv_heads * (size_t)s.head_size;
    return s;
}

/* 16 bytes a thread; keys past a sequence's end are not written, nor read by what follows. */
static __global__ void gather(struct prefill_shape s, struct prefill_data d, int width, uint4 *k, uint4 *v) {
    int row = s.kv_heads * s.head_size / 8, seq = (int)blockIdx.y; /* chunks of 16 bytes a token */
    size_t count = (size_t)d.keys[seq] * row, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t from = key_at(s, d.table, width, seq, (int)(i / row), 0) / 8 + i % row;
        size_t to = (size_t)seq * s.most_keys * row + i;
        k[to] = ((const uint4 *)d.k)[from];
        v[to] = ((const uint4 *)d.v)[from];
    }
}

static __global__ void reference(struct prefill_shape s, struct prefill_data d, int width, const int *rows, double *out,
                                 double *scores) {
    __shared__ double shared[256];
    int seq = rows[3 * blockIdx.x], token = rows[3 * blockIdx.x + 1], head = rows[3 * blockIdx.x + 2];
    int seen = d.keys[seq] - d.new_tokens[seq] + token + 1, kv_head = head / (s.q_heads / s.kv_heads);
    const __nv_bfloat16 *q = (const __nv_bfloat16 *)d.q +
                             (((size_t)seq * s.most_new + token) * s.q_heads + head) * s.head_size,
                        *k = (const __nv_bfloat16 *)d.k, *v = (const __nv_bfloat16 *)d.v;
    double *mine = scores + (size_t)blockIdx.x * s.most_keys, top = -INFINITY, total = 0.0;
    for (int t = (int)threadIdx.x; t < seen; t += (int)blockDim.x) {
        size_t at = key_at(s, d.table, width, seq, t, kv_head);
        double x = 0.0;
        for (int i = 0; i < s.head_size; i++)
            x += (double)(float)q[i] * (double)(float)k[at + i];
        mine[t] = x * (double)d.scale;
        top = fmax(top, mine[t]);
    }
    shared[threadIdx.x] = top;
    __syncthreads();
    for (int i = 0; i < (int)blockDim.x; i++)
        top = fmax(top, shared[i]);
    __syncthreads();
    for (int t = (int)threadIdx.x; t < seen; t += (int)blockDim.x)
        total += mine[t] = exp(mine[t] - top);
    shared[threadIdx.x] = total;
    __syncthreads();
    total = 0.0;
    for (int i = 0; i < (int)blockDim.x; i++)
        total += shared[i];
    __syncthreads();
    int parts = (int)blockDim.x / s.head_size, column = (int)threadIdx.x % s.head_size;
    double sum = 0.0;
    for (int t = (int)threadIdx.x / s.head_size; t < seen; t += parts)
        sum += mine[t] * (double)(float)v[key_at(s, d.table, width, seq, t, kv_head) + column];
    shared[threadIdx.x] = sum;
    __syncthreads();
    if ((int)threadIdx.x < s.head_size) {
        for (int i = 1; i < parts; i++)
            sum += shared[i * s.head_size + column];
        out[(size_t)blockIdx.x * s.head_size + column] = sum / total;
    }
}
cudaError_t prefill_reference(const struct prefill_shape *shape, const struct prefill_data *data, const int *rows,
                              int count, double *out, double *scores, cudaStream_t stream) {
    reference<<<(unsigned)count, 256, 0, stream>>>(with_stride(shape), *data, prefill_table_width(shape), rows, out,
                                                   scores);
    return cudaGetLastError();
}

#if __has_include(<cudnn.h>)
#include "validate/kernels/cudnn_graph.cuh"

#include <chrono>
#include <cstring>
#include <limits>
#include <memory>

enum role { Q, K, V, O, NEW, KEYS, TABLE_K, TABLE_V, SCALE, LOWEST, ROLES };

struct prefill_plan {
    struct prefill_shape shape;
    enum prefill_way way;
    double seconds;
    int64_t workspace, engine; /* cuDNN's own */
    int64_t uids[ROLES];       /* 0: not in this graph */
    cudnnBackendDescriptor_t plan;
    std::unique_ptr<cudnn_graph> graph;
};
struct prefill_library {
    cudnnHandle_t handle;
    std::vector<std::unique_ptr<struct prefill_plan>> plans;
};

bool prefill_available(void) {
    return true;
}
static void say(char why[PREFILL_WHY], const char *text) {
    snprintf(why, PREFILL_WHY, "%s", text);
}
struct prefill_library *prefill_open(char why[PREFILL_WHY]) {
    cudnnHandle_t handle;
    cudnnStatus_t status = cudnnCreate(&handle);
    if (status != CUDNN_STATUS_SUCCESS) {
        snprintf(why, PREFILL_WHY, "cudnnCreate: %s", cudnnGetErrorString(status));
        return nullptr;
    }
    struct prefill_library *library = new prefill_library;
    library->handle = handle;
    return library;
}
void prefill_close(struct prefill_library *library) {
    if (!library)
        return;
    library->plans.clear();
    cudnnDestroy(library->handle);
    delete library;
}
int prefill_version(const struct prefill_library *) {
    return (int)cudnnGetVersion();
}

/* K and V as {sequences, heads, tokens, head}, or a container of pages {pages, heads, page, head}; K transposed where
 * a product takes it. */
static struct cudnn_tensor cache_tensor(cudnn_graph &g, const struct prefill_shape &s, bool transposed) {
    int64_t heads = s.kv_heads, d = s.head_size, n = s.page_size ? s.page_size : s.most_keys;
    int64_t dim[4] = {s.page_size ? s.pages : s.sequences, heads, n, d};
    int64_t stride[4] = {s.page_size ? (int64_t)s.page_stride : n * heads * d, d, heads * d, 1};
    if (transposed) {
        std::swap(dim[2], dim[3]);
        std::swap(stride[2], stride[3]);
    }
    return g.tensor(CUDNN_DATA_BFLOAT16, dim, stride, CUDNN_REAL);
}
struct inputs {
    struct cudnn_tensor q, k, v, o, fresh, keys, table_k, table_v, scale;
};
static struct inputs make_inputs(cudnn_graph &g, const struct prefill_shape &s, bool k_transposed, int64_t *uids) {
    int64_t b = s.sequences, h = s.q_heads, n = s.most_new, d = s.head_size, pages = prefill_table_width(&s);
    const int64_t rows[4] = {b, h, n, d}, row_stride[4] = {n * h * d, d, h * d, 1};
    const int64_t lengths[4] = {b, 1, 1, 1}, ones[4] = {1, 1, 1, 1};
    struct inputs in = {};
    in.q = g.tensor(CUDNN_DATA_BFLOAT16, rows, row_stride, CUDNN_REAL);
    in.o = g.tensor(CUDNN_DATA_BFLOAT16, rows, row_stride, CUDNN_REAL);
    in.k = cache_tensor(g, s, k_transposed && !s.page_size);
    in.v = cache_tensor(g, s, false);
    in.fresh = g.tensor(CUDNN_DATA_INT32, lengths, ones, CUDNN_REAL);
    in.keys = g.tensor(CUDNN_DATA_INT32, lengths, ones, CUDNN_REAL);
    in.scale = g.value();
    if (s.page_size) {
        const int64_t table[4] = {b, 1, pages, 1}, table_stride[4] = {pages, pages, 1, 1};
        in.table_k = g.tensor(CUDNN_DATA_INT32, table, table_stride, CUDNN_REAL);
        in.table_v = g.tensor(CUDNN_DATA_INT32, table, table_stride, CUDNN_REAL);
    }
    const struct cudnn_tensor *all[] = {&in.q,    &in.k,       &in.v,       &in.o,    &in.fresh,
                                        &in.keys, &in.table_k, &in.table_v, &in.scale};
    for (int i = 0; i <= SCALE; i++)
        uids[i] = all[i]->uid;
    return in;
}

static void build_unified(cudnn_graph &g, const struct prefill_shape &s, int64_t *uids) {
    if (s.most_new > 1)
        throw std::runtime_error("cuDNN's single operation has no causal mask");
#if CUDNN_VERSION >= 91500
    struct inputs in = make_inputs(g, s, false, uids);
    const struct cudnn_tensor *table_k = s.page_size ? &in.table_k : nullptr,
                              *table_v = s.page_size ? &in.table_v : nullptr;
    g.operation(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR,
                {CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC,
                 CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC,
                 CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_KDESC,
                 CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_VDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC,
                 CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC},
                {&in.q, &in.k, &in.v, &in.o, &in.scale, table_k, table_v, &in.fresh, &in.keys});
#else
    (void)g, (void)uids;
    throw std::runtime_error("its single operation takes no pages before cuDNN 9.15");
#endif
}

/* A score counts where its row and its column are within the sequence; and, with more than one query, where
 * row + keys - new >= column. */
static struct cudnn_tensor masked(cudnn_graph &g, const struct prefill_shape &s, const struct inputs &in,
                                  struct cudnn_tensor scores, int64_t *uids) {
    const cudnnDataType_t f = CUDNN_DATA_FLOAT, i = CUDNN_DATA_INT32, yes = CUDNN_DATA_BOOLEAN;
    struct cudnn_tensor lowest = g.value();
    uids[LOWEST] = lowest.uid;
    struct cudnn_tensor row = g.like(scores, i), column = g.like(scores, i), in_rows = g.like(scores, yes),
                        in_columns = g.like(scores, yes), both = g.like(scores, yes), padded = g.like(scores, f);
    g.pointwise(CUDNN_POINTWISE_GEN_INDEX, f, scores, nullptr, nullptr, row, 2);
    g.pointwise(CUDNN_POINTWISE_GEN_INDEX, f, scores, nullptr, nullptr, column, 3);
    g.pointwise(CUDNN_POINTWISE_CMP_LT, yes, row, &in.fresh, nullptr, in_rows);
    g.pointwise(CUDNN_POINTWISE_CMP_LT, yes, column, &in.keys, nullptr, in_columns);
    g.pointwise(CUDNN_POINTWISE_LOGICAL_AND, yes, in_rows, &in_columns, nullptr, both);
    g.pointwise(CUDNN_POINTWISE_BINARY_SELECT, f, scores, &lowest, &both, padded);
    if (s.most_new == 1)
        return padded;
    struct cudnn_tensor row2 = g.like(scores, i), column2 = g.like(scores, i), plus = g.like(scores, i),
                        moved = g.like(scores, i), causal = g.like(scores, yes), out = g.like(scores, f);
    g.pointwise(CUDNN_POINTWISE_GEN_INDEX, f, padded, nullptr, nullptr, row2, 2);
    g.pointwise(CUDNN_POINTWISE_GEN_INDEX, f, padded, nullptr, nullptr, column2, 3);
    g.pointwise(CUDNN_POINTWISE_ADD, i, row2, &in.keys, nullptr, plus);
    g.pointwise(CUDNN_POINTWISE_SUB, i, plus, &in.fresh, nullptr, moved);
    g.pointwise(CUDNN_POINTWISE_CMP_GE, yes, moved, &column2, nullptr, causal);
    g.pointwise(CUDNN_POINTWISE_BINARY_SELECT, f, padded, &lowest, &causal, out);
    return out;
}

static struct cudnn_tensor softmax(cudnn_graph &g, const struct cudnn_tensor &x) {
    const cudnnDataType_t f = CUDNN_DATA_FLOAT;
    const int64_t dim[4] = {x.dim[0], x.dim[1], x.dim[2], 1}, stride[4] = {x.dim[1] * x.dim[2], x.dim[2], 1, 1};
    struct cudnn_tensor top = g.tensor(f, dim, stride, CUDNN_VIRTUAL), sum = g.tensor(f, dim, stride, CUDNN_VIRTUAL);
    struct cudnn_tensor less = g.like(x, f), power = g.like(x, f), out = g.like(x, CUDNN_DATA_BFLOAT16);
    g.reduce(CUDNN_REDUCE_TENSOR_MAX, x, top);
    g.pointwise(CUDNN_POINTWISE_SUB, f, x, &top, nullptr, less);
    g.pointwise(CUDNN_POINTWISE_EXP, f, less, nullptr, nullptr, power);
    g.reduce(CUDNN_REDUCE_TENSOR_ADD, power, sum);
    /* Nobody asks for max + log(sum), but its engines know the graph with it only. */
    struct cudnn_tensor log = g.like(sum, f), stats = g.like(sum, f);
    g.pointwise(CUDNN_POINTWISE_LOG, f, sum, nullptr, nullptr, log);
    g.pointwise(CUDNN_POINTWISE_ADD, f, top, &log, nullptr, stats);
    g.pointwise(CUDNN_POINTWISE_DIV, f, power, &sum, nullptr, out);
    return out;
}

static void build_graph(cudnn_graph &g, const struct prefill_shape &s, int64_t *uids) {
    struct inputs in = make_inputs(g, s, true, uids);
    int64_t b = s.sequences, n = s.most_new, keys = s.most_keys, h = s.kv_heads, d = s.head_size;
    struct cudnn_tensor k = in.k, v = in.v;
    if (s.page_size) {
        const int64_t k_dim[4] = {b, h, d, keys}, k_stride[4] = {d * keys * h, d * keys, 1, d};
        const int64_t v_dim[4] = {b, h, keys, d}, v_stride[4] = {d * keys * h, d * keys, d, 1};
        k = g.tensor(CUDNN_DATA_BFLOAT16, k_dim, k_stride, CUDNN_VIRTUAL);
        g.load_pages(in.k, in.table_k, in.keys, k);
        v = g.tensor(CUDNN_DATA_BFLOAT16, v_dim, v_stride, CUDNN_VIRTUAL);
    }
    const int64_t dim[4] = {b, s.q_heads, n, keys}, stride[4] = {s.q_heads * n * keys, n * keys, keys, 1};
    struct cudnn_tensor scores = g.tensor(CUDNN_DATA_FLOAT, dim, stride, CUDNN_VIRTUAL);
    g.matmul(in.q, k, scores, &in.fresh, &in.keys, nullptr);
    struct cudnn_tensor scaled = g.like(scores, CUDNN_DATA_FLOAT);
    g.pointwise(CUDNN_POINTWISE_MUL, CUDNN_DATA_FLOAT, scores, &in.scale, nullptr, scaled);
    struct cudnn_tensor weights = softmax(g, masked(g, s, in, scaled, uids));
    if (s.page_size)
        g.load_pages(in.v, in.table_v, in.keys, v);
    g.matmul(weights, v, in.o, &in.fresh, nullptr, &in.keys);
}

static std::unique_ptr<struct prefill_plan> make_plan(struct prefill_library *library,
                                                      const struct prefill_shape &shape, enum prefill_way way) {
    auto start = std::chrono::steady_clock::now();
    auto plan = std::make_unique<struct prefill_plan>();
    struct prefill_shape inner = shape; /* what cuDNN is told */
    if (way == PREFILL_GATHER)
        inner.page_size = 0;
    memset(plan->uids, 0, sizeof plan->uids);
    plan->shape = shape;
    plan->way = way;
    plan->graph = std::make_unique<cudnn_graph>(library->handle);
    if (way == PREFILL_UNIFIED)
        build_unified(*plan->graph, inner, plan->uids);
    else
        build_graph(*plan->graph, inner, plan->uids);
    plan->plan = plan->graph->plan(shape.config, &plan->workspace, &plan->engine);
    plan->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return plan;
}

static bool same(const struct prefill_shape &a, const struct prefill_shape &b) {
    return a.q_heads == b.q_heads && a.kv_heads == b.kv_heads && a.head_size == b.head_size &&
           a.sequences == b.sequences && a.most_new == b.most_new && a.most_keys == b.most_keys &&
           a.page_size == b.page_size && a.pages == b.pages && a.page_stride == b.page_stride && a.way == b.way &&
           a.config == b.config;
}

struct prefill_plan *prefill_plan(struct prefill_library *library, const struct prefill_shape *shape,
                                  char why[PREFILL_WHY]) {
    struct prefill_shape s = with_stride(shape);
    for (auto &plan : library->plans)
        if (same(plan->shape, s))
            return plan.get();
    std::string reasons;
    /* Gathering costs three passes over K and V, reading in place costs the engine a fifth to a half of its rate: with
     * many queries a key the first is less. */
    const enum prefill_way many[] = {s.page_size ? PREFILL_GATHER : PREFILL_GRAPH, PREFILL_GRAPH},
                           one[] = {PREFILL_GRAPH, PREFILL_UNIFIED}, asked[] = {(enum prefill_way)s.way};
    const enum prefill_way *ways = s.way ? asked : s.most_new > 1 ? many : one;
    for (int i = 0; i < (s.way ? 1 : 2); i++) {
        enum prefill_way way = ways[i];
        if (way == PREFILL_GATHER && !s.page_size)
            continue;
        try {
            library->plans.push_back(make_plan(library, s, way));
            return library->plans.back().get();
        } catch (const std::exception &e) {
            reasons += std::string(prefill_way_name(way)) + ": " + e.what() + " ";
        }
    }
    say(why, reasons.c_str());
    return nullptr;
}
enum prefill_way prefill_plan_way(const struct prefill_plan *plan) {
    return plan->way;
}
int prefill_plan_engine(const struct prefill_plan *plan) {
    return (int)plan->engine;
}
double prefill_plan_seconds(const struct prefill_plan *plan) {
    return plan->seconds;
}
static size_t own_workspace(const struct prefill_plan *plan) {
    return ((size_t)plan->workspace + 255) & ~(size_t)255;
}
static size_t gathered_bytes(const struct prefill_shape &s) {
    return 2 * (size_t)s.sequences * (size_t)s.most_keys * (size_t)s.kv_heads * (size_t)s.head_size;
}
size_t prefill_workspace(const struct prefill_plan *plan) {
    return own_workspace(plan) + (plan->way == PREFILL_GATHER ? 2 * gathered_bytes(plan->shape) : 0);
}

static void execute(struct prefill_library *library, const struct prefill_plan *plan, const struct prefill_data *data) {
    float scale = data->scale, lowest = std::numeric_limits<float>::lowest();
    const void *all[ROLES] = {data->q,    data->k,     data->v,     data->o, data->new_tokens,
                              data->keys, data->table, data->table, &scale,  &lowest};
    int64_t uids[ROLES], count = 0;
    void *pointers[ROLES], *workspace = data->workspace;
    for (int i = 0; i < ROLES; i++)
        if (plan->uids[i]) {
            uids[count] = plan->uids[i];
            pointers[count++] = const_cast<void *>(all[i]);
        }
    cudnnBackendDescriptor_t pack;
    cudnn_must(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack), "the pointers");
    cudnnStatus_t status =
        cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids);
    if (!status)
        status =
            cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers);
    if (!status)
        status = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (!status)
        status = cudnnBackendFinalize(pack);
    if (!status)
        status = cudnnBackendExecute(library->handle, plan->plan, pack);
    cudnnBackendDestroyDescriptor(pack);
    cudnn_must(status, "running the plan");
}

bool prefill_run(struct prefill_library *library, const struct prefill_plan *plan, const struct prefill_data *data,
                 cudaStream_t stream, char why[PREFILL_WHY]) {
    struct prefill_data now = *data;
    try {
        cudnn_must(cudnnSetStream(library->handle, stream), "the stream");
        if (plan->way == PREFILL_GATHER) {
            char *room = (char *)data->workspace + own_workspace(plan);
            const struct prefill_shape &s = plan->shape;
            now.k = room;
            now.v = room + gathered_bytes(s);
            gather<<<dim3(s.sequences >= 16 ? 64u : 1024u / (unsigned)s.sequences, (unsigned)s.sequences), 256, 0,
                     stream>>>(s, *data, prefill_table_width(&s), (uint4 *)now.k, (uint4 *)now.v);
            cudaError_t status = cudaGetLastError();
            if (status != cudaSuccess)
                throw std::runtime_error(cudaGetErrorString(status));
        }
        execute(library, plan, &now);
        return true;
    } catch (const std::exception &e) {
        say(why, e.what());
        return false;
    }
}

#else
bool prefill_available(void) {
    return false;
}
struct prefill_library *prefill_open(char why[PREFILL_WHY]) {
    snprintf(why, PREFILL_WHY, "built without cudnn.h");
    return nullptr;
}
void prefill_close(struct prefill_library *) {}
int prefill_version(const struct prefill_library *) {
    return 0;
}
struct prefill_plan *prefill_plan(struct prefill_library *, const struct prefill_shape *, char why[PREFILL_WHY]) {
    snprintf(why, PREFILL_WHY, "built without cudnn.h");
    return nullptr;
}
enum prefill_way prefill_plan_way(const struct prefill_plan *) {
    return PREFILL_ANY;
}
int prefill_plan_engine(const struct prefill_plan *) {
    return -1;
}
double prefill_plan_seconds(const struct prefill_plan *) {
    return 0.0;
}
size_t prefill_workspace(const struct prefill_plan *) {
    return 0;
}
bool prefill_run(struct prefill_library *, const struct prefill_plan *, const struct prefill_data *, cudaStream_t,
                 char why[PREFILL_WHY]) {
    snprintf(why, PREFILL_WHY, "built without cudnn.h");
    return false;
}
#endif
