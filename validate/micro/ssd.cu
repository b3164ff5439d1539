/* The disk below the output directory: io_uring by system calls, O_DIRECT, a file of fresh random data. */
#include "validate/cuda/bench.cuh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>

struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

static void *ring_map(int fd, size_t bytes, off_t what) {
    void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    if (at == MAP_FAILED)
        fail("io_uring: mmap: %s", strerror(errno));
    return at;
}
static struct ring ring_open(unsigned depth) {
    struct io_uring_params p = {};
    struct ring r = {};
    r.fd = (int)syscall(__NR_io_uring_setup, depth, &p);
    if (r.fd < 0)
        fail("io_uring_setup: %s", strerror(errno));
    char *sq = (char *)ring_map(r.fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = (char *)ring_map(r.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    r.sqes = (struct io_uring_sqe *)ring_map(r.fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    r.sq_tail = (unsigned *)(sq + p.sq_off.tail);
    r.sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
    r.sq_array = (unsigned *)(sq + p.sq_off.array);
    r.cq_head = (unsigned *)(cq + p.cq_off.head);
    r.cq_tail = (unsigned *)(cq + p.cq_off.tail);
    r.cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
    r.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
    return r;
}

/* Keeps `depth` in flight until `count` are done; latencies of each in seconds. */
static double ring_run(struct ring *r, int fd, char *buffers, size_t size, int depth, int count, size_t file,
                       bool write, std::vector<double> *latency) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<double> from((size_t)depth);
    std::vector<int> idle;
    for (int i = 0; i < depth; i++)
        idle.push_back(i);
    int sent = 0, done = 0;
    double start = now_s();
    while (done < count) {
        unsigned fresh = 0;
        while (!idle.empty() && sent < count) {
            int slot = idle.back();
            idle.pop_back();
            unsigned at = *r->sq_tail & *r->sq_mask;
            struct io_uring_sqe *e = &r->sqes[at];
            memset(e, 0, sizeof *e);
            e->opcode = write ? IORING_OP_WRITE : IORING_OP_READ;
            e->fd = fd;
            e->addr = (uint64_t)(buffers + (size_t)slot * size);
            e->len = (unsigned)size;
            e->off = random() % (file / size) * size;
            e->user_data = (uint64_t)slot;
            r->sq_array[at] = at;
            __atomic_store_n(r->sq_tail, *r->sq_tail + 1, __ATOMIC_RELEASE);
            from[(size_t)slot] = now_s();
            sent++;
            fresh++;
        }
        if (syscall(__NR_io_uring_enter, r->fd, fresh, 1, IORING_ENTER_GETEVENTS, nullptr, 0) < 0 && errno != EINTR)
            fail("io_uring_enter: %s", strerror(errno));
        unsigned head = *r->cq_head;
        for (; head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE); head++) {
            struct io_uring_cqe *e = &r->cqes[head & *r->cq_mask];
            if (e->res != (int)size)
                fail("%s of %zu bytes: %s", write ? "write" : "read", size,
                     e->res < 0 ? strerror(-e->res) : "came short");
            latency->push_back(now_s() - from[e->user_data]);
            idle.push_back((int)e->user_data);
            done++;
        }
        __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    }
    return now_s() - start;
}

static void ssd_row(struct context *c, int fd, char *buffers, size_t file, size_t size, int depth, bool write) {
    const char *name = write ? "write" : "read";
    std::string params = text("size=%zu depth=%d", size, depth);
    row_try(c, name, params, [&] {
        struct ring r = ring_open((unsigned)depth);
        std::vector<double> latency, rounds;
        size_t most = (write ? (size_t)256 : (size_t)512) << 20;
        int count = (int)std::min<size_t>(most / size, (size_t)depth * 200);
        count = std::max(count, std::min(3 * depth, (int)(most / size)));
        for (int i = 0; i < 3; i++)
            rounds.push_back(ring_run(&r, fd, buffers, size, depth, count, file, write, &latency) / count);
        close(r.fd);
        struct timing l = timing_of(latency);
        struct row row;
        row.variant = name;
        row.params = params;
        row.bytes = (double)size;
        std::vector<double> sorted = latency;
        std::sort(sorted.begin(), sorted.end());
        row.note = text("latency_us p50=%.1f p90=%.1f p99=%.1f; time is per I/O of the whole round", l.median_s * 1e6,
                        l.p90_s * 1e6, sorted[sorted.size() * 99 / 100] * 1e6);
        row_write(c, row, timing_of(rounds));
    });
}

void group_ssd(struct context *c) {
    const size_t file = (c->quick ? (size_t)1 : (size_t)8) << 30, most = (size_t)256 << 20;
    std::string path = std::string(c->dir) + "/ssd.part";
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0)
        fail("%s: %s: its file system may have no O_DIRECT", path.c_str(), strerror(errno));
    unlink(path.c_str()); /* gone with the process */
    char *buffers = (char *)aligned_alloc(4096, most);
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    for (size_t i = 0; i < most / 8; i++)
        ((uint64_t *)buffers)[i] = random();
    double start = now_s();
    size_t written = 0; /* a slow disk gets a smaller file, and says so */
    for (; written < file && now_s() < start + 25.0; written += (size_t)16 << 20) {
        ((uint64_t *)buffers)[written % most / 8] = written;
        if (pwrite(fd, buffers + written % most, (size_t)16 << 20, (off_t)written) != (ssize_t)16 << 20)
            fail("%s: %s", path.c_str(), strerror(errno));
    }
    struct row row;
    row.variant = "fill";
    row.params = text("file=%zu", written);
    row.bytes = (double)written;
    row.note = "16 MB writes one by one; the file that the other rows use";
    double took = now_s() - start;
    row_write(c, row, {took, took, took, took, 1, 0.0});
    for (bool write : {false, true})
        for (size_t kb : {4, 16, 64, 256, 1024, 4096, 16384})
            for (int depth : {1, 4, 16, 64})
                if ((kb << 10) * (size_t)depth <= most)
                    ssd_row(c, fd, buffers, written, kb << 10, depth, write);
    free(buffers);
    close(fd);
}
#else
void group_ssd(struct context *c) {
    (void)c;
    fail("linux/io_uring.h is missing: skipped");
}
#endif
