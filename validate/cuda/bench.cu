/* Rows, timing and the driver's readings. */
#include "validate/cuda/bench.cuh"

#include <algorithm>
#include <cstdarg>
#include <cuda_bf16.h>
#include <time.h>

void fail(const char *format, ...) {
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    throw failure(message);
}

void skip(const char *format, ...) {
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    throw skipped(message);
}

std::string text(const char *format, ...) {
    char out[600];
    va_list args;
    va_start(args, format);
    vsnprintf(out, sizeof out, format, args);
    va_end(args);
    return out;
}

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct timing timing_of(std::vector<double> seconds) {
    std::sort(seconds.begin(), seconds.end());
    size_t n = seconds.size();
    return {seconds[n / 2], seconds[n / 10], seconds[(9 * n) / 10], seconds[0], (int)n, 0.0, 0, 0.0};
}

static std::string without_commas(std::string s) {
    std::replace(s.begin(), s.end(), ',', ';');
    std::replace(s.begin(), s.end(), '\n', ' ');
    return s;
}

void row_write(struct context *c, const struct row &row, const struct timing &t) {
    double joules = row.joules > 0.0 ? row.joules : t.joules;
    double rate = row.bytes > 0.0 ? row.bytes / t.median_s : row.flops / t.median_s;
    fprintf(c->rows, "%s,%s,%s,%.0f,%.0f,%.4f,%.4f,%.4f,%.4f,%d,%.3f,%.6g,%.6g,%.3g,%.6g,%d,%s\n", c->group,
            row.variant.c_str(), without_commas(row.params).c_str(), row.bytes, row.flops, t.median_s * 1e6,
            t.p10_s * 1e6, t.p90_s * 1e6, t.min_s * 1e6, t.count, t.submit_s * 1e6, rate, row.ceiling, row.error,
            joules, t.sm_mhz ? t.sm_mhz : nvml_sm_mhz(), without_commas(row.note).c_str());
    fflush(c->rows);
    c->measured++;
    printf("  %-10s %-14s %-58s %10.2f us", c->group, row.variant.c_str(), row.params.c_str(), t.median_s * 1e6);
    if (rate > 0.0)
        printf(" %9.4g/s", rate);
    if (row.ceiling > 0.0)
        printf(" %5.1f %%", 100.0 * rate / row.ceiling);
    if (row.error >= 0.0)
        printf("  err %.1e", row.error);
    printf(" %s\n", row.note.c_str());
    fflush(stdout);
}

static void row_without_time(struct context *c, const char *variant, const std::string &params, const char *what,
                             const char *why) {
    if (c->rows) {
        fprintf(c->rows, "%s,%s,%s,,,,,,,0,,,,,,,%s %s\n", c->group, variant, without_commas(params).c_str(), what,
                without_commas(why).c_str());
        fflush(c->rows);
    }
    printf("  %-10s %-14s %s %s: %s\n", c->group, variant, params.c_str(), what, why);
    fflush(stdout);
}

void row_try(struct context *c, const char *variant, const std::string &params, const std::function<void()> &body) {
    if (now_s() > c->deadline_s) {
        c->left_out++;
        return;
    }
    try {
        body();
    } catch (const skipped &e) {
        c->skipped++;
        row_without_time(c, variant, params, "SKIPPED", e.what());
    } catch (const std::exception &e) {
        c->failed++;
        row_without_time(c, variant, params, "FAILED", e.what());
        cudaGetLastError();
    }
}

static __global__ void spin_kernel(unsigned long long ns) {
    unsigned long long start, t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    } while (t - start < ns);
}
void spin(cudaStream_t stream, double seconds) {
    spin_kernel<<<1, 1, 0, stream>>>((unsigned long long)(seconds * 1e9));
    CUDA_OK(cudaGetLastError());
}

struct timing time_device(struct context *c, int reps, int inner, const std::function<void(int)> &call) {
    device_event from, to;
    std::vector<double> seconds;
    std::vector<int> mhz;
    double busy = 0.0, wall = now_s(), joules = 0.0, hold = 40e-6 + 8e-6 * inner;
    for (int rep = -2; rep < reps; rep++) {
        if (rep == 0) { /* the second warm-up says how long the rest will take */
            joules = (now_s() - wall) * reps > 0.5 ? nvml_joules() : 0.0;
            wall = now_s();
        }
        if (rep == -1)
            wall = now_s();
        spin(c->stream, hold);
        double submitting = now_s();
        CUDA_OK(cudaEventRecord(from.event, c->stream));
        for (int i = 0; i < inner; i++)
            call(i);
        CUDA_OK(cudaEventRecord(to.event, c->stream));
        CUDA_OK(cudaGetLastError());
        if (rep == -1) /* a library that takes the host longer than that is held longer; the first call loads it */
            hold = std::max(hold, std::min(20e-3, 20e-6 + 1.3 * (now_s() - submitting)));
        if (rep == reps / 2 || rep == reps - 1) /* all is enqueued: the reading delays nothing that is timed */
            mhz.push_back(nvml_sm_mhz());
        CUDA_OK(cudaEventSynchronize(to.event));
        float ms;
        CUDA_OK(cudaEventElapsedTime(&ms, from.event, to.event));
        if (rep < 0)
            continue;
        seconds.push_back(1e-3 * (double)ms / inner);
        busy += 1e-3 * (double)ms;
    }
    struct timing t = timing_of(seconds);
    t.sm_mhz = *std::min_element(mhz.begin(), mhz.end());
    wall = now_s() - wall;
    if (joules > 0.0 && wall > 0.4 && busy > 0.9 * wall)
        t.joules = (nvml_joules() - joules) / reps / inner;
    return t;
}

struct timing time_host(struct context *c, int reps, const std::function<void()> &call) {
    std::vector<double> seconds, submits;
    for (int rep = -2; rep < reps; rep++) {
        CUDA_OK(cudaDeviceSynchronize());
        double start = now_s();
        call();
        double submitted = now_s();
        CUDA_OK(cudaStreamSynchronize(c->stream));
        if (rep >= 0) {
            seconds.push_back(now_s() - start);
            submits.push_back(submitted - start);
        }
    }
    struct timing t = timing_of(seconds);
    t.submit_s = timing_of(submits).median_s;
    return t;
}

static __device__ uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}
static __global__ void fill_kernel(uint64_t *data, size_t words, uint64_t seed, enum fill fill) {
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += stride) {
        uint64_t bits = mix(seed * 0x100000001b3ull + i), out = bits;
        if (fill == FILL_BF16) {
            uint64_t more = mix(bits);
            out = 0;
            for (int k = 0; k < 4; k++) { /* the sum of two uniforms: about as wide as N(0, 1/2) */
                float u =
                    (float)((bits >> (16 * k)) & 0xffff) / 65536.0f + (float)((more >> (16 * k)) & 0xffff) / 65536.0f;
                out |= (uint64_t)__bfloat16_as_ushort(__float2bfloat16(1.25f * (u - 1.0f))) << (16 * k);
            }
        } else if (fill == FILL_E4M3) {
            out = bits & 0xbfbfbfbfbfbfbfbfull; /* below 2: exponent under the bias + 1, so never NaN */
        }
        data[i] = out;
    }
}
void fill_random(void *data, size_t bytes, uint64_t seed, enum fill fill, cudaStream_t stream) {
    fill_kernel<<<2048, 256, 0, stream>>>((uint64_t *)data, bytes / 8, seed, fill);
    CUDA_OK(cudaGetLastError());
}

device_buffer::device_buffer(size_t bytes) {
    if (cudaMalloc(&data, bytes) == cudaSuccess)
        return;
    size_t unused = 0, all = 0;
    cudaGetLastError();
    cudaMemGetInfo(&unused, &all);
    fail("too little GPU memory: %.1f GB wanted, %.1f of %.1f GB free", 1e-9 * (double)bytes, 1e-9 * (double)unused,
         1e-9 * (double)all);
}
host_buffer::host_buffer(size_t bytes) {
    cudaError_t status = cudaHostAlloc((void **)&data, bytes, cudaHostAllocPortable);
    if (status == cudaSuccess)
        return;
    cudaGetLastError();
    fail("%.1f GB of host memory could not be pinned: %s", 1e-9 * (double)bytes, cudaGetErrorString(status));
}
