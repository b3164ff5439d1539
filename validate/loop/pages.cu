#include "validate/loop/pages.cuh"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <unistd.h>

loop_pages::loop_pages(char *pool, size_t page_bytes, const uint32_t counts[LOOP_TIERS], const char *dir)
    : hbm(pool), bytes(page_bytes) {
    for (int t = 0; t < LOOP_TIERS; t++)
        blocks[t] = counts[t];
    CUDA_OK(cudaStreamCreateWithFlags(&in, cudaStreamNonBlocking));
    CUDA_OK(cudaStreamCreateWithFlags(&out, cudaStreamNonBlocking));
    if (blocks[LOOP_DRAM])
        CUDA_OK(cudaMallocHost(&dram, (size_t)blocks[LOOP_DRAM] * bytes));
    if (!blocks[LOOP_SSD])
        return;
    std::string path = std::string(dir) + "/loop.pages";
    fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0)
        fail("%s: %s: its file system may have no O_DIRECT", path.c_str(), strerror(errno));
    unlink(path.c_str());
    off_t size = (off_t)((size_t)blocks[LOOP_SSD] * bytes);
    /* A file system that cannot reserve blocks gets a file with holes. */
    if (fallocate(fd, 0, 0, size) && ((errno != EOPNOTSUPP && errno != ENOSYS) || ftruncate(fd, size)))
        fail("%s: %zu bytes: %s", path.c_str(), (size_t)size, strerror(errno));
    for (int i = 0; i < READERS; i++) {
        char *buffer;
        CUDA_OK(cudaMallocHost(&buffer, bytes));
        buffers.push_back(buffer);
    }
    for (int i = 0; i < READERS; i++)
        threads.emplace_back([this] { work(&reads, false); });
    for (int i = 0; i < WRITERS; i++)
        threads.emplace_back([this] { work(&writes, true); });
}

loop_pages::~loop_pages() {
    for (struct queue *q : {&reads, &writes}) {
        std::lock_guard<std::mutex> lock(q->mutex);
        q->over = true;
        q->filled.notify_all();
    }
    for (std::thread &t : threads)
        t.join();
    for (struct progress &p : moves)
        if (p.event)
            cudaEventDestroy(p.event);
    for (char *buffer : buffers)
        cudaFreeHost(buffer);
    cudaFreeHost(dram);
    cudaStreamDestroy(in);
    cudaStreamDestroy(out);
    if (fd >= 0)
        close(fd);
}

void loop_pages::give_up(const std::string &why) {
    std::lock_guard<std::mutex> lock(failure_mutex);
    if (!failed)
        failure = why;
    failed = true;
}

void loop_pages::write_page(const struct job &job) {
    if (pwrite(fd, dram + job.page * bytes, bytes, (off_t)(job.slot * bytes)) != (ssize_t)bytes)
        fail("the loop's file: a write of %zu bytes: %s", bytes, strerror(errno));
}

void loop_pages::read_page(const struct job &job, char *buffer, cudaStream_t stream) {
    if (pread(fd, buffer, bytes, (off_t)(job.slot * bytes)) != (ssize_t)bytes)
        fail("the loop's file: a read of %zu bytes: %s", bytes, strerror(errno));
    CUDA_OK(cudaMemcpyAsync(hbm + job.page * bytes, buffer, bytes, cudaMemcpyHostToDevice, stream));
    CUDA_OK(cudaStreamSynchronize(stream));
}

void loop_pages::work(struct queue *queue, bool writing) {
    cudaStream_t stream = nullptr;
    char *buffer = nullptr;
    try {
        if (!writing) {
            std::lock_guard<std::mutex> lock(failure_mutex);
            buffer = buffers.back();
            buffers.pop_back();
        }
        CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        for (;;) {
            struct job job;
            {
                std::unique_lock<std::mutex> lock(queue->mutex);
                queue->filled.wait(lock, [queue] { return queue->over || !queue->jobs.empty(); });
                if (queue->over)
                    break;
                job = queue->jobs.front();
                queue->jobs.pop_front();
            }
            writing ? write_page(job) : read_page(job, buffer, stream);
            job.progress->left.fetch_sub(1, std::memory_order_release);
        }
    } catch (const std::exception &e) {
        give_up(e.what());
    }
    if (stream)
        cudaStreamDestroy(stream);
    if (buffer)
        cudaFreeHost(buffer);
}

void loop_pages::batch(const struct loop_move &what, cudaStream_t stream) {
    std::vector<void *> to(what.count), from(what.count);
    std::vector<size_t> sizes(what.count, bytes);
    bool down = what.from == LOOP_HBM;
    for (uint32_t i = 0; i < what.count; i++) {
        from[i] = (down ? hbm : dram) + what.source[i] * bytes;
        to[i] = (down ? dram : hbm) + what.target[i] * bytes;
    }
#if CUDART_VERSION >= 13000
    cudaMemcpyAttributes attributes = {};
    attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    size_t first = 0;
    CUDA_OK(cudaMemcpyBatchAsync((void *const *)to.data(), (const void *const *)from.data(), sizes.data(), what.count,
                                 &attributes, &first, 1, stream));
#else
    for (uint32_t i = 0; i < what.count; i++)
        CUDA_OK(cudaMemcpyAsync(to[i], from[i], bytes, cudaMemcpyDefault, stream));
#endif
}

void loop_pages::start(uint32_t move, const struct loop_move &what) {
    while (moves.size() <= move)
        moves.emplace_back();
    struct progress *p = &moves[move];
    p->on_stream = what.from != LOOP_SSD && what.to != LOOP_SSD;
    if (p->on_stream) {
        cudaStream_t stream = what.to == LOOP_HBM ? in : out;
        if (!p->event)
            CUDA_OK(cudaEventCreateWithFlags(&p->event, cudaEventDisableTiming));
        batch(what, stream);
        CUDA_OK(cudaEventRecord(p->event, stream));
        return;
    }
    bool write = what.to == LOOP_SSD;
    struct queue *q = write ? &writes : &reads;
    p->left.store(what.count, std::memory_order_relaxed);
    std::lock_guard<std::mutex> lock(q->mutex);
    for (uint32_t i = 0; i < what.count; i++)
        q->jobs.push_back(write ? job{what.source[i], what.target[i], p} : job{what.target[i], what.source[i], p});
    q->filled.notify_all();
}

bool loop_pages::landed(uint32_t move) {
    if (failed) {
        std::lock_guard<std::mutex> lock(failure_mutex);
        fail("%s", failure.c_str());
    }
    struct progress *p = &moves[move];
    if (!p->on_stream)
        return p->left.load(std::memory_order_acquire) == 0;
    cudaError_t status = cudaEventQuery(p->event);
    if (status != cudaErrorNotReady)
        CUDA_OK(status);
    return status == cudaSuccess;
}

void loop_pages::verify(void) {
    const uint32_t n = 8;
    uint32_t ends[4][n]; /* slots in HBM, DRAM, the file, and in HBM again */
    std::vector<uint64_t> text(n * bytes / 8), back(text.size());
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    for (uint64_t &x : text)
        x = random();
    bool file = fd >= 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t tiers[4] = {LOOP_HBM, LOOP_DRAM, LOOP_SSD, LOOP_HBM};
        for (int k = 0; k < 4; k++) {
            uint32_t count = blocks[tiers[k]];
            if (tiers[k] != LOOP_HBM && !count)
                continue;
            if (count < 4 * n)
                fail("a tier of %u pages is too small", count);
            /* Scattered, the last pages among them, and other ones in HBM the second time. */
            ends[k][i] = count - 1 - (2 * i + (k == 3)) * (count / (2 * n));
        }
        CUDA_OK(cudaMemcpy(hbm + ends[0][i] * bytes, &text[i * bytes / 8], bytes, cudaMemcpyHostToDevice));
    }
    const int hops[][2] = {{0, 1}, {1, file ? 2 : 3}, {2, 3}};
    const uint8_t tier_of[] = {LOOP_HBM, LOOP_DRAM, LOOP_SSD, LOOP_HBM};
    for (int h = 0; blocks[LOOP_DRAM] && h < (file ? 3 : 2); h++) {
        struct loop_move move = {};
        move.from = tier_of[hops[h][0]];
        move.to = tier_of[hops[h][1]];
        move.count = n;
        move.source = ends[hops[h][0]];
        move.target = ends[hops[h][1]];
        start(0, move);
        while (!landed(0))
            usleep(50);
    }
    for (uint32_t i = 0; blocks[LOOP_DRAM] && i < n; i++)
        CUDA_OK(cudaMemcpy(&back[i * bytes / 8], hbm + ends[3][i] * bytes, bytes, cudaMemcpyDeviceToHost));
    if (blocks[LOOP_DRAM] && text != back)
        fail("pages came back from DRAM%s with other bytes", file ? " and the file" : "");
}
