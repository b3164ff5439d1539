/* What every benchmark of tiersim-calibrate shares: rows, timing, errors. Needs the CUDA toolkit and libc alone.
 *
 * A benchmark group runs in a process of its own (cuda/main.cu), so that a fault on the device, or a hang, costs that
 * group's remaining rows and nothing else. Within a group a failed row is written as such and the next is tried. */
#ifndef VALIDATE_CUDA_BENCH_CUH
#define VALIDATE_CUDA_BENCH_CUH

#include <cstdint>
#include <cstdio>
#include <cuda_runtime.h>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/* Throws failure: a row that cannot be measured. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct skipped : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/* Throws skipped: this machine or this build has not what the row needs. It is written as such, and is no failure. */
[[noreturn]] void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CUDA_OK(call)                                                                                                  \
    do {                                                                                                               \
        cudaError_t status_ = (call);                                                                                  \
        if (status_ != cudaSuccess)                                                                                    \
            fail("%s:%d: %s: %s", __FILE__, __LINE__, #call, cudaGetErrorString(status_));                             \
    } while (0)

/* Measured at the start, by the group `ceilings`, and printed beside the rows of all other groups. In shared memory. */
struct ceilings {
    double hbm_read_bytes_per_s, bf16_flops, h2d_bytes_per_s, d2h_bytes_per_s;
};

struct context {
    FILE *rows;              /* the group's part of rows.csv */
    const char *group, *dir; /* dir: where the SSD's file goes too */
    bool quick;
    const char *loop_trace, *loop_rates; /* group loop: its trace; rate scales, with commas between */
    double deadline_s;                   /* monotonic: rows that would start later are left out, and said */
    struct ceilings *ceilings;
    cudaDeviceProp gpu;
    cudaStream_t stream;
    int measured, failed, left_out, skipped, gpus;
};

/* Seconds of one call: median and spread over `count` repetitions. */
struct timing {
    double median_s, p10_s, p90_s, min_s;
    int count;
    double submit_s; /* host time until the last call had returned; 0: not measured */
    int sm_mhz;      /* while it ran; 0: read as the row is written */
    double joules;   /* of one call; 0: too short for the driver's counter */
};

struct row {
    std::string variant, params, note;
    double bytes = 0.0, flops = 0.0, error = -1.0; /* error: relative to the float64 reference; below 0: no output */
    double ceiling = 0.0;                          /* bytes or FLOPs a second */
    double joules = 0.0;                           /* of one call */
};

double now_s(void);
struct timing timing_of(std::vector<double> seconds);
void row_write(struct context *c, const struct row &row, const struct timing &timing);
/* Runs `body`; a failure becomes a row with its reason. */
void row_try(struct context *c, const char *variant, const std::string &params, const std::function<void()> &body);
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Holds the stream for about `seconds`, so that what is enqueued meanwhile runs back to back. */
void spin(cudaStream_t stream, double seconds);
/* Device time of one of `inner` calls that run back to back; call(i) enqueues the i-th. The clock is read while they
 * run; joules where the repetitions take half a second or more, hardly interrupted. */
struct timing time_device(struct context *c, int reps, int inner, const std::function<void(int)> &call);
/* The host's clock from the first submission to the return of the synchronisation. */
struct timing time_host(struct context *c, int reps, const std::function<void()> &call);
/* Fills with fresh random bits, one 16-bit lane after another made a bf16 of about N(0,1)/2, or an e4m3 without NaN. */
enum fill { FILL_BITS, FILL_BF16, FILL_E4M3 };
void fill_random(void *data, size_t bytes, uint64_t seed, enum fill fill, cudaStream_t stream);

/* Device memory that is given back when the row is over. */
struct device_buffer {
    void *data = nullptr;
    explicit device_buffer(size_t bytes); /* throws failure, with what is free */
    ~device_buffer() { cudaFree(data); }
    device_buffer(const device_buffer &) = delete;
    device_buffer &operator=(const device_buffer &) = delete;
    template <typename T> T *as() const { return static_cast<T *>(data); }
};
/* Pinned memory of the host; mapped into every GPU. */
struct host_buffer {
    char *data = nullptr;
    explicit host_buffer(size_t bytes);
    ~host_buffer() { cudaFreeHost(data); }
    host_buffer(const host_buffer &) = delete;
    host_buffer &operator=(const host_buffer &) = delete;
};
struct device_event {
    cudaEvent_t event = nullptr;
    explicit device_event(unsigned flags = cudaEventDefault) { CUDA_OK(cudaEventCreateWithFlags(&event, flags)); }
    ~device_event() { cudaEventDestroy(event); }
    device_event(const device_event &) = delete;
    device_event &operator=(const device_event &) = delete;
};

/* The driver's own readings of the current GPU, by dlopen; 0 where there is none. */
double nvml_joules(void);
int nvml_sm_mhz(void);
double nvml_watts(void);

struct group {
    const char *name, *help;
    double seconds_max;
    void (*run)(struct context *c);
    double seconds; /* as it took on an H200; 0: unknown, seconds_max counts */
    bool asked;     /* it runs only where --only names it */
};
extern const struct group groups[];
extern const int group_count;
void group_ceilings(struct context *c);
void group_memory(struct context *c);
void group_launch(struct context *c);
void group_decode(struct context *c);
void group_versions(struct context *c);
void group_prefill(struct context *c);
void group_versus(struct context *c);
void group_gemm(struct context *c);
void group_one_kernel(struct context *c);
void group_power(struct context *c);
void group_moe_gemm(struct context *c);
void group_copies(struct context *c);
void group_overlap(struct context *c);
void group_ssd(struct context *c);
void group_energy(struct context *c);
void group_links(struct context *c);
void group_p2p(struct context *c);
void group_collectives(struct context *c);
void group_handover(struct context *c);
void group_shared(struct context *c);
void group_step(struct context *c);
void group_loop(struct context *c);

#endif
