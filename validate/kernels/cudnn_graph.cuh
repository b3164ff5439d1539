/* The few pieces of cuDNN's backend API that attention needs: tensors, operations, a plan. Errors are thrown as
 * std::runtime_error with cuDNN's own words. Included only where there is a cudnn.h. */
#ifndef VALIDATE_KERNELS_CUDNN_GRAPH_CUH
#define VALIDATE_KERNELS_CUDNN_GRAPH_CUH

#include <cudnn.h>
#include <stdexcept>
#include <string>
#include <vector>

static inline void cudnn_must(cudnnStatus_t status, const char *what) {
    if (status == CUDNN_STATUS_SUCCESS)
        return;
    char message[160] = "";
    cudnnGetLastErrorString(message, sizeof message);
    throw std::runtime_error(std::string(what) + ": " + cudnnGetErrorString(status) + " " + message);
}

struct cudnn_tensor {
    cudnnBackendDescriptor_t descriptor;
    int64_t uid, dim[4], stride[4];
};
enum cudnn_kind { CUDNN_REAL, CUDNN_VIRTUAL, CUDNN_VALUE }; /* in memory; between operations; a float of the host */

/* Owns every descriptor that it made. */
class cudnn_graph {
  public:
    explicit cudnn_graph(cudnnHandle_t handle) : handle_(handle) {}
    cudnn_graph(const cudnn_graph &) = delete;
    cudnn_graph &operator=(const cudnn_graph &) = delete;
    ~cudnn_graph() {
        for (size_t i = all_.size(); i-- > 0;)
            cudnnBackendDestroyDescriptor(all_[i]);
    }
    struct cudnn_tensor tensor(cudnnDataType_t type, const int64_t dim[4], const int64_t stride[4],
                               enum cudnn_kind kind);
    struct cudnn_tensor value();                                                  /* a float of the host */
    struct cudnn_tensor like(const struct cudnn_tensor &t, cudnnDataType_t type); /* virtual, of the same shape */
    void matmul(const struct cudnn_tensor &a, const struct cudnn_tensor &b, const struct cudnn_tensor &c,
                const struct cudnn_tensor *m, const struct cudnn_tensor *n, const struct cudnn_tensor *k);
    /* b, mask: NULL where the mode takes none; axis: of CUDNN_POINTWISE_GEN_INDEX, else -1 */
    void pointwise(cudnnPointwiseMode_t mode, cudnnDataType_t compute, const struct cudnn_tensor &x,
                   const struct cudnn_tensor *b, const struct cudnn_tensor *mask, const struct cudnn_tensor &y,
                   int64_t axis = -1);
    void reduce(cudnnReduceTensorOp_t op, const struct cudnn_tensor &x, const struct cudnn_tensor &y);
    void load_pages(const struct cudnn_tensor &container, const struct cudnn_tensor &table,
                    const struct cudnn_tensor &lengths, const struct cudnn_tensor &y);
    /* An operation of tensors alone. */
    void operation(cudnnBackendDescriptorType_t type, const std::vector<cudnnBackendAttributeName_t> &names,
                   const std::vector<const struct cudnn_tensor *> &tensors);
    /* The plan of the `which`-th configuration that works, of those that the heuristics propose. */
    cudnnBackendDescriptor_t plan(int which, int64_t *workspace, int64_t *engine);

  private:
    cudnnBackendDescriptor_t create(cudnnBackendDescriptorType_t type);
    std::vector<cudnnBackendDescriptor_t> configurations(cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode);
    cudnnHandle_t handle_;
    std::vector<cudnnBackendDescriptor_t> all_, ops_;
    int64_t next_ = 1;
};

#endif
