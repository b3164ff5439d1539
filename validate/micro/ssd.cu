/* The disk below the output directory: io_uring by system calls, O_DIRECT, a file of fresh random data; and cuFile. */
#include "validate/micro/disk.cuh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

disk_file::disk_file(struct context *c, size_t wanted, double seconds, bool named)
    : path(std::string(c->dir) + "/ssd.part") {
    fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0)
        fail("%s: %s%s", path.c_str(), strerror(errno), errno == EINVAL ? ": its file system has no O_DIRECT" : "");
    if (!named)
        unlink(path.c_str()); /* gone with the process */
    struct statvfs disk = {};
    fstatvfs(fd, &disk);
    double room = (double)disk.f_bavail * (double)disk.f_frsize - 1e9; /* the disk is not ours alone */
    size_t most = std::min(wanted, (size_t)std::max(0.0, room)) & ~(piece - 1);
    if (most < ((size_t)1 << 30))
        fail("the disk below %s is full: %.1f GB are free, 2 GB are the least", c->dir,
             1e-9 * (double)disk.f_bavail * (double)disk.f_frsize);
    buffer = (char *)aligned_alloc(4096, buffer_bytes);
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    for (size_t i = 0; i < buffer_bytes / 8; i++)
        ((uint64_t *)buffer)[i] = random();
    double start = now_s();
    for (; bytes < most && now_s() < start + seconds; bytes += piece) { /* a slow disk gets a smaller file */
        double from = now_s();
        ((uint64_t *)buffer)[bytes % buffer_bytes / 8] = bytes;
        ssize_t wrote = pwrite(fd, buffer + bytes % buffer_bytes, piece, (off_t)bytes);
        if (wrote != (ssize_t)piece && bytes < ((size_t)1 << 30))
            fail("%s: after %.1f GB: %s", path.c_str(), 1e-9 * (double)bytes,
                 wrote < 0 ? strerror(errno) : "the disk is full");
        if (wrote != (ssize_t)piece)
            break; /* goes on with what is there; its size is in the row */
        pieces.push_back(now_s() - from);
    }
    took = now_s() - start;
}
disk_file::~disk_file() {
    free(buffer);
    close(fd);
    unlink(path.c_str());
}

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

/* What a round does: `reads` of a hundred I/Os read, the others write. */
struct load {
    size_t size;
    int depth, reads;
};
struct latencies {
    std::vector<double> read, write;
};

static void submit_one(struct ring *r, const struct disk_file &file, const struct load &load, int slot, bool write,
                       uint64_t place) {
    unsigned at = *r->sq_tail & *r->sq_mask;
    struct io_uring_sqe *e = &r->sqes[at];
    memset(e, 0, sizeof *e);
    e->opcode = write ? IORING_OP_WRITE : IORING_OP_READ;
    e->fd = file.fd;
    e->addr = (uint64_t)(file.buffer + (size_t)slot * load.size);
    e->len = (unsigned)load.size;
    e->off = place * load.size;
    e->user_data = (uint64_t)slot * 2 + write;
    r->sq_array[at] = at;
    __atomic_store_n(r->sq_tail, *r->sq_tail + 1, __ATOMIC_RELEASE);
}

/* Keeps `depth` in flight for `seconds` and at least twice the depth of I/Os. Seconds of an I/O of the whole round. */
static double ring_run(struct ring *r, const struct disk_file &file, const struct load &load, double seconds,
                       struct latencies *latency) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<double> from((size_t)load.depth);
    std::vector<int> idle;
    for (int i = 0; i < load.depth; i++)
        idle.push_back(i);
    int sent = 0, done = 0;
    double start = now_s(), end = start + seconds;
    bool going = true;
    while (going || done < sent) {
        unsigned fresh = 0;
        for (; going && !idle.empty(); fresh++, sent++) {
            int slot = idle.back();
            idle.pop_back();
            submit_one(r, file, load, slot, (int)(random() % 100) >= load.reads, random() % (file.bytes / load.size));
            from[(size_t)slot] = now_s();
        }
        if (syscall(__NR_io_uring_enter, r->fd, fresh, 1, IORING_ENTER_GETEVENTS, nullptr, 0) < 0 && errno != EINTR)
            fail("io_uring_enter: %s", strerror(errno));
        unsigned head = *r->cq_head;
        for (; head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE); head++, done++) {
            struct io_uring_cqe *e = &r->cqes[head & *r->cq_mask];
            bool write = e->user_data & 1;
            size_t slot = e->user_data / 2;
            if (e->res != (int)load.size)
                fail("%s of %zu bytes: %s", write ? "write" : "read", load.size,
                     e->res < 0 ? strerror(-e->res) : "came short");
            (write ? latency->write : latency->read).push_back(now_s() - from[slot]);
            idle.push_back((int)slot);
        }
        __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
        going = now_s() < end || sent < 2 * load.depth;
    }
    return (now_s() - start) / done;
}

static std::string quantiles(const char *name, std::vector<double> seconds) {
    if (seconds.empty())
        return "";
    std::sort(seconds.begin(), seconds.end());
    size_t n = seconds.size();
    return text("%s p50=%.1f p90=%.1f p99=%.1f of %zu; ", name, seconds[n / 2] * 1e6, seconds[n * 9 / 10] * 1e6,
                seconds[n * 99 / 100] * 1e6, n);
}

static void ssd_row(struct context *c, const struct disk_file &file, const char *name, const struct load &load,
                    double seconds) {
    std::string params = text("size=%zu depth=%d", load.size, load.depth);
    if (load.reads > 0 && load.reads < 100)
        params += text(" reads=%d", load.reads);
    row_try(c, name, params, [&] {
        if ((size_t)load.depth * load.size > file.buffer_bytes)
            fail("larger than the buffers");
        struct ring r = ring_open((unsigned)load.depth);
        struct latencies latency;
        std::vector<double> rounds;
        for (int i = 0; i < 3; i++)
            rounds.push_back(ring_run(&r, file, load, c->quick ? seconds / 4 : seconds, &latency));
        close(r.fd);
        struct row row;
        row.variant = name;
        row.params = params;
        row.bytes = (double)load.size;
        row.note = "latency_us " + quantiles("read", latency.read) + quantiles("write", latency.write) +
                   "time is per I/O of the whole round";
        row_write(c, row, timing_of(rounds));
    });
}

/* The file's own writing: seconds of 16 MB, one after another, early and late. */
static void fill_row(struct context *c, const struct disk_file &file) {
    size_t n = file.pieces.size(), part = std::max<size_t>(1, n / 8);
    auto rate = [&](size_t from) {
        double s = 0.0;
        for (size_t i = from; i < from + part; i++)
            s += file.pieces[i];
        return (double)(part * file.piece) / s;
    };
    struct row row;
    row.variant = "fill";
    row.params = text("file=%zu", file.bytes);
    row.bytes = (double)file.bytes;
    row.note = text("16 MB writes one by one; first eighth %.2f GB/s; last %.2f GB/s; O_DIRECT passes this machine's "
                    "cache but not that of a virtual disk's host",
                    1e-9 * rate(0), 1e-9 * rate(n - part));
    row_write(c, row, {file.took, file.took, file.took, file.took, 1, 0.0, 0, 0.0});
}

void group_ssd(struct context *c) {
    struct disk_file file(c, (size_t)(c->quick ? 2 : 16) << 30, 9.0);
    fill_row(c, file);
    for (size_t kb : {16, 256, 4096}) /* while the drive still digests it */
        ssd_row(c, file, "write_after_fill", {kb << 10, 16, 0}, 0.2);
    for (size_t kb : {16, 256, 4096})
        ssd_row(c, file, "read_after_fill", {kb << 10, 16, 100}, 0.2);
    for (bool write : {false, true})
        for (size_t kb : {4, 16, 64, 256, 1024, 4096, 16384})
            for (int depth : {1, 2, 4, 16, 64})
                if ((kb << 10) * (size_t)depth <= file.buffer_bytes && (depth != 2 || kb <= 256) &&
                    (!c->quick || depth == 16))
                    ssd_row(c, file, write ? "write" : "read", {kb << 10, depth, write ? 0 : 100}, 0.07);
    for (int reads : {90, 70, 50})
        for (size_t kb : {16, 256, 2048})
            for (int depth : {4, 32})
                ssd_row(c, file, "mixed", {kb << 10, depth, reads}, 0.09);
    cufile_rows(c);
}
#else
void group_ssd(struct context *c) {
    row_try(c, "read", "all", [] { skip("linux/io_uring.h was missing as this was built"); });
    cufile_rows(c);
}
#endif
