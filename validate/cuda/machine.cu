/* What is measured on: machine.txt; or, plainly, why this machine cannot be. */
#include "validate/cuda/run.cuh"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static const double memory_wanted = 24e9, disk_wanted = 9e9;

static void first_line(FILE *out, const char *key, const char *path, const char *prefix) {
    char line[400];
    FILE *in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, prefix, strlen(prefix))) {
            fprintf(out, "%s: %s", key, line + strlen(prefix));
            break;
        }
    if (in)
        fclose(in);
}

static int nodes_of_memory(void) {
    int count = 0;
    DIR *nodes = opendir("/sys/devices/system/node");
    for (struct dirent *e; nodes && (e = readdir(nodes));)
        count += !strncmp(e->d_name, "node", 4) && e->d_name[4] >= '0' && e->d_name[4] <= '9';
    if (nodes)
        closedir(nodes);
    return count ? count : 1;
}

static __global__ void present(void) {}

/* NULL: it can be measured. */
static const char *unfit(std::string *hint) {
    int driver = 0, runtime = 0, devices = 0;
    cudaDeviceProp p;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaError_t status = cudaGetDeviceCount(&devices);
    if (driver == 0 || status == cudaErrorNoDevice) {
        *hint = "it measures an NVIDIA GPU; nvidia-smi should show one";
        return driver == 0 ? "no GPU: no NVIDIA driver was found" : "no GPU: the driver shows none";
    }
    if (status == cudaErrorInsufficientDriver) {
        *hint =
            text("the driver knows CUDA %d.%d, this was built with %d.%d: it needs a driver of at least version %d, "
                 "or the nvcc of an older toolkit",
                 driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
                 runtime >= 13000   ? 580
                 : runtime >= 12000 ? 525
                                    : 450);
        return "the driver is too old";
    }
    if (status != cudaSuccess || (status = cudaGetDeviceProperties(&p, 0)) != cudaSuccess) {
        *hint = "nvidia-smi may say more";
        return cudaGetErrorString(status);
    }
    if (p.major < 8) {
        *hint = text("%s has compute capability %d.%d; the kernels need 8.0 (A100) or later", p.name, p.major, p.minor);
        return "the GPU is too old";
    }
    cudaFuncAttributes attributes;
    status = cudaFuncGetAttributes(&attributes, present);
    if (status != cudaSuccess) {
        *hint = text("%s wants ARCH=sm_%d%d validate/run.sh ...", p.name, p.major, p.minor);
        return status == cudaErrorNoKernelImageForDevice ? "built for another GPU" : cudaGetErrorString(status);
    }
    return nullptr;
}

static void describe_gpus(FILE *out, int devices) {
    for (int i = 0; i < devices; i++) {
        char bus[32] = "?";
        cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) == cudaSuccess && cudaDeviceGetPCIBusId(bus, sizeof bus, i) == cudaSuccess)
            fprintf(out, "gpu%d: %s %s\n", i, p.name, bus);
    }
}

void machine_describe(const char *path) {
    std::string hint, dir = std::string(path).substr(0, std::string(path).rfind('/'));
    const char *why = unfit(&hint);
    if (why) {
        fprintf(stderr, "tiersim-calibrate: %s\n  hint: %s\n", why, hint.c_str());
        _exit(3);
    }
    FILE *out = fopen(path, "w");
    if (!out) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", path, strerror(errno));
        _exit(3);
    }
    cudaDeviceProp p;
    int driver = 0, runtime = 0, devices = 0, mhz = 0;
    size_t unused = 0, all = 0;
    cudaGetDeviceCount(&devices);
    cudaGetDeviceProperties(&p, 0);
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaDeviceGetAttribute(&mhz, cudaDevAttrMemoryClockRate, 0);
    cudaMemGetInfo(&unused, &all);
    struct utsname u;
    uname(&u);
    time_t t = time(nullptr);
    char date[40];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
    fprintf(out, "date: %s\ngpu: %s\ngpus: %d\ncompute_capability: %d.%d\nsms: %d\nl2_bytes: %d\nmemory_bytes: %zu\n",
            date, p.name, devices, p.major, p.minor, p.multiProcessorCount, p.l2CacheSize, p.totalGlobalMem);
    fprintf(out, "memory_free_bytes: %zu\nmemory_bus_bits: %d\nmemory_khz: %d\nsmem_per_sm: %zu\ndriver_api: %d\n",
            unused, p.memoryBusWidth, mhz, p.sharedMemPerMultiprocessor, driver);
    fprintf(out, "cuda_runtime: %d\nidle_watts: %.1f\nkernel: %s %s\n", runtime, nvml_watts(), u.sysname, u.release);
    first_line(out, "driver", "/proc/driver/nvidia/version", "NVRM version: ");
    first_line(out, "cpu", "/proc/cpuinfo", "model name\t: ");
    first_line(out, "ram", "/proc/meminfo", "MemTotal:       ");
    struct statvfs disk = {};
    statvfs(dir.c_str(), &disk);
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    fprintf(out, "cpus: %ld\nnuma_nodes: %d\ndisk_free_bytes: %.0f\nnvidia_fs: %s\n", sysconf(_SC_NPROCESSORS_ONLN),
            nodes_of_memory(), room,
            access("/dev/nvidia-fs0", F_OK) ? "no device, cuFile runs in compatibility mode" : "present");
    describe_gpus(out, devices);
    if ((double)unused < memory_wanted)
        printf("note: %.1f GB of GPU memory are free; all groups want %.0f GB: rows that do not fit fail and say so\n",
               1e-9 * (double)unused, 1e-9 * memory_wanted);
    if (room < disk_wanted)
        printf("note: %.1f GB of disk are free below %s; the SSD's file wants %.0f GB and will be smaller\n",
               1e-9 * room, dir.c_str(), 1e-9 * disk_wanted);
    fflush(stdout);
    bool bad = ferror(out);
    if (fclose(out) || bad) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", path, strerror(errno));
        _exit(3);
    }
    _exit(0);
}
