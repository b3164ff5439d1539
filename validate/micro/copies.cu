/* Tier copies between host memory and HBM: by the host's clock from the first submission to the return of the
 * synchronisation, the submission apart. Bytes are verified in every row. */
#include "validate/micro/copying.cuh"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

static double link_of(const struct context *c, bool to_host) {
    return to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s;
}
static const char *way_of(bool to_host) {
    return to_host ? "d2h" : "h2d";
}

/* kind: pinned, or registered (memory of one's own, pinned later). */
static void copy_row(struct context *c, const struct area &a, enum copy_way way, bool to_host, size_t block,
                     size_t count, int ctas, bool adjacent, const char *kind = "pinned") {
    bool pinned = !strcmp(kind, "pinned");
    std::string params = text("dir=%s block=%zu blocks=%zu ctas=%d %s %s", way_of(to_host), block, count, ctas,
                              adjacent ? "adjacent" : "scattered", kind);
    std::string variant = pinned ? copy_ways[way] : text("registered_%s", copy_ways[way]);
    row_try(c, variant.c_str(), params, [&] {
        struct copies k = copies_make(a, block, count, to_host, adjacent);
        struct row row;
        row.variant = variant;
        row.params = params;
        row.bytes = (double)(block * count);
        row.ceiling = link_of(c, to_host);
        int reps = row.bytes > 2e8 || count > 4000 || (ctas && ctas < 8) ? 7 : 20;
        row_write(c, row, time_host(c, c->quick ? 5 : reps, [&] { copies_submit(k, way, ctas, c->stream); }));
        copies_verify(k);
    });
}

/* As nvbandwidth measures: single copies back to back behind a kernel that holds them, by the device's clock. */
static void device_row(struct context *c, const struct area &a, bool to_host, size_t bytes) {
    std::string params = text("dir=%s block=%zu blocks=1 pinned", way_of(to_host), bytes);
    row_try(c, "by_device", params, [&] {
        struct copies k = copies_make(a, bytes, 1, to_host, false);
        struct row row;
        row.variant = "by_device";
        row.params = params;
        row.bytes = (double)bytes;
        row.ceiling = link_of(c, to_host);
        row.note = "4 calls back to back";
        row_write(c, row, time_device(c, c->quick ? 3 : 9, 4, [&](int) { copies_submit(k, COPY_LOOP, 0, c->stream); }));
        copies_verify(k);
    });
}

/* cold: calls rotate over a gigabyte, so that the host's own copy into the driver's pinned buffers comes from DRAM. */
static void pageable_row(struct context *c, char *device, char *host, size_t space, size_t bytes, bool to_host,
                         bool cold) {
    std::string params = text("dir=%s block=%zu blocks=1 pageable %s", way_of(to_host), bytes, cold ? "cold" : "warm");
    row_try(c, "pageable", params, [&] {
        struct row row;
        row.variant = "pageable";
        row.params = params;
        row.bytes = (double)bytes;
        row.ceiling = link_of(c, to_host);
        size_t places = cold ? std::max<size_t>(1, space / bytes) : 1, call = 0, at = 0;
        row_write(c, row, time_host(c, bytes > 1e8 ? 5 : 15, [&] {
                      at = call++ % places * bytes;
                      CUDA_OK(cudaMemcpyAsync(to_host ? host + at : device + at, to_host ? device + at : host + at,
                                              bytes, cudaMemcpyDefault, c->stream));
                  }));
        struct copies k;
        k.block = bytes;
        k.to = {to_host ? host + at : device + at};
        k.from = {to_host ? device + at : host + at};
        copies_verify(k);
    });
}

static void own_memory_rows(struct context *c, char *device) {
    const size_t space = (size_t)1 << 30;
    char *host = (char *)mmap(nullptr, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host == MAP_FAILED)
        fail("1 GB of host memory: none");
    struct area a = {device, host, space};
    area_fill(c, a);
    for (size_t bytes = 65536; bytes <= ((size_t)256 << 20); bytes *= 16)
        for (bool to_host : {false, true})
            for (bool cold : {true, false})
                pageable_row(c, device, host, space, bytes, to_host, cold);
    row_try(c, "registered", "all", [&] {
        double start = now_s();
        CUDA_OK(cudaHostRegister(host, space, cudaHostRegisterPortable));
        double took = now_s() - start;
        struct row row;
        row.variant = "register";
        row.params = text("bytes=%zu", space);
        row.bytes = (double)space;
        row.note = "cudaHostRegister of touched memory: pages of 4 KB";
        row_write(c, row, {took, took, took, took, 1, took, 0, 0.0});
        for (bool to_host : {false, true}) {
            for (size_t b = 65536; b <= space; b *= 16)
                copy_row(c, a, COPY_LOOP, to_host, b, 1, 0, false, "registered");
            for (size_t kb : {4, 16, 64, 2048})
                copy_row(c, a, COPY_BATCH, to_host, kb << 10, std::min<size_t>(1024, (256u << 10) / kb), 0, false,
                         "registered");
        }
        CUDA_OK(cudaHostUnregister(host));
    });
    munmap(host, space);
}

static void duplex_row(struct context *c, const struct area &a, enum copy_way way, size_t block, size_t in,
                       size_t out) {
    std::string params =
        text("block=%zu in=%zu out=%zu pinned", block, in, out) + (way == COPY_KERNEL ? " ctas=16" : "");
    row_try(c, "duplex", params, [&] {
        size_t half = a.space / 2;
        cudaStream_t other;
        device_event done(cudaEventDisableTiming);
        CUDA_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        struct copies h2d = copies_make({a.device, a.host, half}, block, in, false, false);
        struct copies d2h = copies_make({a.device + half, a.host + half, half}, block, out, true, false);
        struct row row;
        row.variant = text("duplex_%s", copy_ways[way]);
        row.params = params;
        row.bytes = (double)block * (double)(in + out);
        row.ceiling = c->ceilings->h2d_bytes_per_s + c->ceilings->d2h_bytes_per_s;
        row_write(c, row, time_host(c, 7, [&] {
                      copies_submit(d2h, way, 16, other);
                      CUDA_OK(cudaEventRecord(done.event, other));
                      copies_submit(h2d, way, 16, c->stream);
                      CUDA_OK(cudaStreamWaitEvent(c->stream, done.event, 0));
                  }));
        copies_verify(h2d);
        copies_verify(d2h);
        cudaStreamDestroy(other);
    });
}

static void block_rows(struct context *c, const struct area &a, bool to_host) {
    /* towards the GPU, blocks under about 28 KiB fall off a cliff: they go through the host's hands, one by one */
    for (size_t kb : {4, 8, 12, 16, 20, 24, 26, 28, 32, 40, 48, 64, 128, 256, 512, 2048})
        for (size_t n : {1, 16, 256, 1024, 10000})
            if (kb * 1024 * n <= (size_t)1 << 30 && (!c->quick || n == 256))
                copy_row(c, a, COPY_BATCH, to_host, kb << 10, n, 0, false);
    for (size_t kb : {4, 16, 24, 28, 64, 256, 2048})
        for (size_t n : {16, 256, 1024})
            if (kb * 1024 * n <= (size_t)1 << 30 && (!c->quick || n == 256))
                copy_row(c, a, COPY_LOOP, to_host, kb << 10, n, 0, false);
    for (size_t kb : {4, 16, 28, 64, 256, 2048})
        for (int ctas : {1, 2, 4, 8, 16, 32}) {
            if (c->quick && ctas != 16)
                continue;
            size_t most = (size_t)(ctas < 4 ? 64 : 256) << 20;
            copy_row(c, a, COPY_KERNEL, to_host, kb << 10, std::min<size_t>(4096, most / (kb << 10)), ctas, false);
        }
    for (size_t kb : {4, 16, 64})
        copy_row(c, a, COPY_BATCH, to_host, kb << 10, 1024, 0, true);
}

void group_copies(struct context *c) {
    const size_t space = (size_t)2 << 30;
    device_buffer device(space);
    host_buffer host(space);
    struct area a = {device.as<char>(), host.data, space};
    area_fill(c, a);
    for (bool to_host : {false, true}) {
        for (size_t b : {4096, 16384, 65536, 262144})
            copy_row(c, a, COPY_LOOP, to_host, b, 1, 0, false);
        for (size_t b = (size_t)1 << 20; b <= ((size_t)1 << 30); b *= 2)
            copy_row(c, a, COPY_LOOP, to_host, b, 1, 0, false);
        for (size_t mb : {64, 256, 512, 1024})
            device_row(c, a, to_host, mb << 20);
        block_rows(c, a, to_host);
    }
    for (enum copy_way way : {COPY_BATCH, COPY_KERNEL})
        for (size_t kb : {16, 32, 64, 2048}) {
            size_t n = std::min<size_t>(4096, ((size_t)256 << 20) / (kb << 10));
            for (size_t part : {1, 2, 4}) {
                duplex_row(c, a, way, kb << 10, n, n / part);
                if (part > 1)
                    duplex_row(c, a, way, kb << 10, n / part, n);
            }
        }
    own_memory_rows(c, device.as<char>());
}
