/* cuFile: storage and HBM, by DMA where the nvidia-fs driver is, else through the host in compatibility mode: the row
 * says which. The library is opened at run time; to build it, its header is needed. */
#include "validate/micro/disk.cuh"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <random>
#include <unistd.h>

#if __has_include(<cufile.h>)
#include <cufile.h>

struct cufile {
    void *library = nullptr;
    decltype(&cuFileDriverOpen) open = nullptr;
    decltype(&cuFileHandleRegister) attach = nullptr;
    decltype(&cuFileHandleDeregister) detach = nullptr;
    decltype(&cuFileBufRegister) pin = nullptr;
    decltype(&cuFileBufDeregister) unpin = nullptr;
    decltype(&cuFileRead) read = nullptr;
    decltype(&cuFileWrite) write = nullptr;
};
template <typename F> static void find(void *library, const char *name, F *function) {
    *function = (F)dlsym(library, name);
    if (!*function)
        skip("libcufile has no %s", name);
}
static struct cufile cufile_open(void) {
    struct cufile f;
    for (const char *name : {"libcufile.so.0", "libcufile.so"})
        if (!f.library)
            f.library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (!f.library)
        skip("libcufile could not be opened: %s", dlerror());
    find(f.library, "cuFileDriverOpen", &f.open);
    find(f.library, "cuFileHandleRegister", &f.attach);
    find(f.library, "cuFileHandleDeregister", &f.detach);
    find(f.library, "cuFileBufRegister", &f.pin);
    find(f.library, "cuFileBufDeregister", &f.unpin);
    find(f.library, "cuFileRead", &f.read);
    find(f.library, "cuFileWrite", &f.write);
    CUfileError_t status = f.open();
    if (status.err != CU_FILE_SUCCESS)
        skip("cuFile's driver does not open: error %d", (int)status.err);
    return f;
}

/* One call after another: cuFile's calls block. */
static void cufile_row(struct context *c, const struct cufile &f, CUfileHandle_t handle, const struct disk_file &file,
                       char *device, size_t size, bool write, const char *mode) {
    const char *name = write ? "cufile_write" : "cufile_read";
    std::string params = text("size=%zu depth=1 %s", size, mode);
    row_try(c, name, params, [&] {
        std::mt19937_64 random((uint64_t)(now_s() * 1e9));
        std::vector<double> seconds;
        off_t at = 0;
        for (int i = -1; i < (c->quick ? 4 : 12); i++) {
            at = (off_t)(random() % (file.bytes / size) * size);
            double from = now_s();
            ssize_t n = write ? f.write(handle, device, size, at, 0) : f.read(handle, device, size, at, 0);
            if (n != (ssize_t)size)
                fail("%s of %zu bytes gave %zd", name, size, n);
            if (i >= 0)
                seconds.push_back(now_s() - from);
        }
        std::vector<char> got(size);
        CUDA_OK(cudaMemcpy(got.data(), device, size, cudaMemcpyDeviceToHost));
        if (pread(file.fd, file.buffer, size, at) != (ssize_t)size || memcmp(file.buffer, got.data(), size))
            fail("other bytes than the file has");
        struct row row;
        row.variant = name;
        row.params = params;
        row.bytes = (double)size;
        row.note = text("%s mode", mode);
        row_write(c, row, timing_of(seconds));
    });
}

/* The file has a name, and a constructor that throws leaves it. */
struct name_remover {
    std::string path;
    ~name_remover() { unlink(path.c_str()); }
};

void cufile_rows(struct context *c) {
    row_try(c, "cufile", "all", [&] {
        struct name_remover remover = {std::string(c->dir) + "/ssd.part"};
        struct cufile f = cufile_open();
        struct disk_file file(c, (size_t)1 << 30, 3.0, true); /* it asks for the name of the file */
        const size_t most = (size_t)16 << 20;
        device_buffer device(most);
        fill_random(device.data, most, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
        CUDA_OK(cudaStreamSynchronize(c->stream));
        CUfileDescr_t description = {};
        CUfileHandle_t handle;
        description.handle.fd = file.fd;
        description.type = CU_FILE_HANDLE_TYPE_OPAQUE_FD;
        CUfileError_t status = f.attach(&handle, &description);
        if (status.err != CU_FILE_SUCCESS)
            skip("cuFile does not take a file below %s: error %d", c->dir, (int)status.err);
        bool pinned = f.pin(device.data, most, 0).err == CU_FILE_SUCCESS;
        const char *mode = access("/dev/nvidia-fs0", F_OK) ? "compatibility" : "nvidia-fs";
        for (bool write : {false, true})
            for (size_t kb : {64, 1024, 4096, 16384})
                cufile_row(c, f, handle, file, device.as<char>(), kb << 10, write, mode);
        if (pinned)
            f.unpin(device.data);
        f.detach(handle);
    });
}
#else
void cufile_rows(struct context *c) {
    row_try(c, "cufile", "all", [] { skip("cufile.h was not found as this was built"); });
}
#endif
