/* A file of fresh random data below the output directory, read and written past this machine's page cache. */
#ifndef VALIDATE_MICRO_DISK_CUH
#define VALIDATE_MICRO_DISK_CUH

#include "validate/cuda/bench.cuh"

struct disk_file {
    static const size_t piece = (size_t)16 << 20, buffer_bytes = (size_t)256 << 20;
    std::string path; /* of a file that has no name any more, unless `named` */
    int fd = -1;
    size_t bytes = 0;
    char *buffer = nullptr;     /* random bytes, for O_DIRECT */
    std::vector<double> pieces; /* seconds that each piece took to write */
    double took = 0.0;
    /* Writes for at most `seconds`; throws where the disk is full. */
    disk_file(struct context *c, size_t wanted, double seconds, bool named = false);
    ~disk_file();
    disk_file(const disk_file &) = delete;
    disk_file &operator=(const disk_file &) = delete;
};
/* Storage and HBM by cuFile, with the mode that it ran in. */
void cufile_rows(struct context *c);

#endif
