/* The loop's memory: pages of HBM (the decoder's pool), of pinned DRAM and of a file, and copies between them. */
#ifndef VALIDATE_LOOP_PAGES_CUH
#define VALIDATE_LOOP_PAGES_CUH

#include "validate/cuda/bench.cuh"
#include "validate/loop/loop.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

/* Copies between HBM and DRAM are batches on a stream a direction, begun from the host in one call. The file is read
 * and written with O_DIRECT by threads, page by page in order; a page that is read goes through the thread's pinned
 * buffer to HBM. Failures are thrown by the thread that runs the loop, when it next asks. */
class loop_pages {
  public:
    /* hbm: device memory of `blocks[LOOP_HBM]` pages. The file lies in `dir` and is gone with the process. */
    loop_pages(char *hbm, size_t page_bytes, const uint32_t blocks[LOOP_TIERS], const char *dir);
    ~loop_pages();
    loop_pages(const loop_pages &) = delete;
    loop_pages &operator=(const loop_pages &) = delete;

    void start(uint32_t move, const struct loop_move &what);
    bool landed(uint32_t move);
    /* Sends random pages around HBM, DRAM, file, HBM and compares them byte by byte. */
    void verify(void);

  private:
    enum { WRITERS = 4, READERS = 4 };
    struct progress {
        cudaEvent_t event = nullptr;
        bool on_stream = false;
        std::atomic<uint32_t> left{0};
    };
    struct job {
        uint32_t page, slot; /* of memory; of the file */
        struct progress *progress;
    };
    struct queue {
        std::mutex mutex;
        std::condition_variable filled;
        std::deque<struct job> jobs;
        bool over = false;
    };
    void batch(const struct loop_move &what, cudaStream_t stream);
    void work(struct queue *queue, bool writes);
    void write_page(const struct job &job);
    void read_page(const struct job &job, char *buffer, cudaStream_t stream);
    void give_up(const std::string &why);

    char *hbm, *dram = nullptr;
    size_t bytes;
    uint32_t blocks[LOOP_TIERS];
    int fd = -1;
    cudaStream_t in = nullptr, out = nullptr;
    std::deque<struct progress> moves; /* grows; its entries stay where they are */
    struct queue reads, writes;
    std::vector<std::thread> threads;
    std::vector<char *> buffers;
    std::mutex failure_mutex;
    std::string failure;
    std::atomic<bool> failed{false};
};

#endif
