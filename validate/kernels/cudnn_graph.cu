#if __has_include(<cudnn.h>)
#include "validate/kernels/cudnn_graph.cuh"

#include <algorithm>

static void set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t count, const void *value) {
    cudnn_must(cudnnBackendSetAttribute(d, name, type, count, value), "an attribute");
}
static void set_descriptor(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                           cudnnBackendDescriptor_t value) {
    set(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

cudnnBackendDescriptor_t cudnn_graph::create(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t d;
    cudnn_must(cudnnBackendCreateDescriptor(type, &d), "a descriptor");
    all_.push_back(d);
    return d;
}

struct cudnn_tensor cudnn_graph::tensor(cudnnDataType_t type, const int64_t dim[4], const int64_t stride[4],
                                        enum cudnn_kind kind) {
    struct cudnn_tensor t = {create(CUDNN_BACKEND_TENSOR_DESCRIPTOR), next_++, {}, {}};
    int64_t alignment = kind == CUDNN_VALUE || type == CUDNN_DATA_INT32 ? 4 : 16;
    bool yes = true;
    std::copy(dim, dim + 4, t.dim);
    std::copy(stride, stride + 4, t.stride);
    set(t.descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(t.descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim);
    set(t.descriptor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    set(t.descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t.uid);
    set(t.descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (kind == CUDNN_VIRTUAL)
        set(t.descriptor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    if (kind == CUDNN_VALUE)
        set(t.descriptor, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
    cudnn_must(cudnnBackendFinalize(t.descriptor), "a tensor");
    return t;
}
struct cudnn_tensor cudnn_graph::value() {
    const int64_t one[4] = {1, 1, 1, 1};
    return tensor(CUDNN_DATA_FLOAT, one, one, CUDNN_VALUE);
}
struct cudnn_tensor cudnn_graph::like(const struct cudnn_tensor &t, cudnnDataType_t type) {
    return tensor(type, t.dim, t.stride, CUDNN_VIRTUAL);
}

void cudnn_graph::operation(cudnnBackendDescriptorType_t type, const std::vector<cudnnBackendAttributeName_t> &names,
                            const std::vector<const struct cudnn_tensor *> &tensors) {
    cudnnBackendDescriptor_t op = create(type);
    for (size_t i = 0; i < names.size(); i++)
        if (tensors[i])
            set_descriptor(op, names[i], tensors[i]->descriptor);
    cudnn_must(cudnnBackendFinalize(op), "an operation");
    ops_.push_back(op);
}

void cudnn_graph::matmul(const struct cudnn_tensor &a, const struct cudnn_tensor &b, const struct cudnn_tensor &c,
                         const struct cudnn_tensor *m, const struct cudnn_tensor *n, const struct cudnn_tensor *k) {
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    struct cudnn_tensor how = {create(CUDNN_BACKEND_MATMUL_DESCRIPTOR), 0, {}, {}};
    set(how.descriptor, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    cudnn_must(cudnnBackendFinalize(how.descriptor), "a product");
    operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
              {CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC,
               CUDNN_ATTR_OPERATION_MATMUL_CDESC, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC,
               CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC},
              {&how, &a, &b, &c, m, n, k});
}

void cudnn_graph::pointwise(cudnnPointwiseMode_t mode, cudnnDataType_t compute, const struct cudnn_tensor &x,
                            const struct cudnn_tensor *b, const struct cudnn_tensor *mask, const struct cudnn_tensor &y,
                            int64_t axis) {
    struct cudnn_tensor how = {create(CUDNN_BACKEND_POINTWISE_DESCRIPTOR), 0, {}, {}};
    set(how.descriptor, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(how.descriptor, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    if (axis >= 0)
        set(how.descriptor, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &axis);
    cudnn_must(cudnnBackendFinalize(how.descriptor), "a pointwise mode");
    operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
              {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
               CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_TDESC,
               CUDNN_ATTR_OPERATION_POINTWISE_YDESC},
              {&how, &x, b, mask, &y});
}

void cudnn_graph::reduce(cudnnReduceTensorOp_t op, const struct cudnn_tensor &x, const struct cudnn_tensor &y) {
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    struct cudnn_tensor how = {create(CUDNN_BACKEND_REDUCTION_DESCRIPTOR), 0, {}, {}};
    set(how.descriptor, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &op);
    set(how.descriptor, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    cudnn_must(cudnnBackendFinalize(how.descriptor), "a reduction");
    operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
              {CUDNN_ATTR_OPERATION_REDUCTION_DESC, CUDNN_ATTR_OPERATION_REDUCTION_XDESC,
               CUDNN_ATTR_OPERATION_REDUCTION_YDESC},
              {&how, &x, &y});
}

void cudnn_graph::load_pages(const struct cudnn_tensor &container, const struct cudnn_tensor &table,
                             const struct cudnn_tensor &lengths, const struct cudnn_tensor &y) {
    operation(CUDNN_BACKEND_OPERATION_PAGED_CACHE_LOAD_DESCRIPTOR,
              {CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_CONTAINER_DESC,
               CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_PAGE_TABLE_DESC,
               CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_SEQUENCE_DESC, CUDNN_ATTR_OPERATION_PAGED_CACHE_LOAD_YDESC},
              {&container, &table, &lengths, &y});
}

std::vector<cudnnBackendDescriptor_t> cudnn_graph::configurations(cudnnBackendDescriptor_t graph,
                                                                  cudnnBackendHeurMode_t mode) {
    cudnnBackendDescriptor_t heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (cudnnBackendFinalize(heuristics) != CUDNN_STATUS_SUCCESS)
        return {};
    int64_t count = 0;
    cudnn_must(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                        &count, nullptr),
               "the heuristics' results");
    std::vector<cudnnBackendDescriptor_t> found;
    for (int64_t i = 0; i < count; i++)
        found.push_back(create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    if (count > 0)
        cudnn_must(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                            count, &count, found.data()),
                   "the heuristics' results");
    found.resize((size_t)count);
    return found;
}

cudnnBackendDescriptor_t cudnn_graph::plan(int which, int64_t *workspace, int64_t *engine) {
    cudnnBackendDescriptor_t graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
    set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, (int64_t)ops_.size(), ops_.data());
    cudnn_must(cudnnBackendFinalize(graph), "the graph");
    int tried = 0, worked = 0;
    for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
        for (cudnnBackendDescriptor_t config : configurations(graph, mode)) {
            cudnnBackendDescriptor_t made = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
            tried++;
            set(made, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_);
            set_descriptor(made, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
            if (cudnnBackendFinalize(made) != CUDNN_STATUS_SUCCESS || worked++ < which)
                continue;
            cudnnBackendDescriptor_t taken = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
            int64_t count;
            cudnn_must(cudnnBackendGetAttribute(made, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                                &count, workspace),
                       "the workspace's size");
            cudnn_must(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                                &count, &taken),
                       "the engine");
            cudnn_must(
                cudnnBackendGetAttribute(taken, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, engine),
                "the engine's number");
            return made;
        }
    char message[200] = "";
    if (!worked)
        cudnnGetLastErrorString(message, sizeof message);
    throw std::runtime_error("of " + std::to_string(tried) + " configurations " + std::to_string(worked) + " work " +
                             message);
}
#endif
