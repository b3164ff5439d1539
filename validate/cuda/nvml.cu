/* The driver's own readings: energy, clock, power. */
#include "validate/cuda/bench.cuh"

#include <dlfcn.h>

/* --- NVML, found at run time: the library belongs to the driver, not to the toolkit. */
struct nvml {
    void *device;
    int (*energy)(void *, unsigned long long *);
    int (*clock)(void *, int, unsigned *);
    int (*power)(void *, unsigned *);
};
static struct nvml *nvml_open(void) {
    static struct nvml n;
    static bool tried;
    if (!tried) {
        tried = true;
        void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW);
        if (!lib)
            return &n;
        int (*init)(void) = (int (*)(void))dlsym(lib, "nvmlInit_v2");
        int (*handle)(const char *, void **) =
            (int (*)(const char *, void **))dlsym(lib, "nvmlDeviceGetHandleByPciBusId_v2");
        char bus[32]; /* CUDA may count the GPUs in another order than the driver */
        int device = 0;
        cudaGetDevice(&device);
        if (!init || !handle || cudaDeviceGetPCIBusId(bus, sizeof bus, device) || init() || handle(bus, &n.device))
            return &n;
        n.energy = (int (*)(void *, unsigned long long *))dlsym(lib, "nvmlDeviceGetTotalEnergyConsumption");
        n.clock = (int (*)(void *, int, unsigned *))dlsym(lib, "nvmlDeviceGetClockInfo");
        n.power = (int (*)(void *, unsigned *))dlsym(lib, "nvmlDeviceGetPowerUsage");
    }
    return &n;
}
double nvml_joules(void) {
    struct nvml *n = nvml_open();
    unsigned long long mj = 0;
    return n->energy && !n->energy(n->device, &mj) ? 1e-3 * (double)mj : 0.0;
}
int nvml_sm_mhz(void) {
    struct nvml *n = nvml_open();
    unsigned mhz = 0;
    return n->clock && !n->clock(n->device, 1, &mhz) ? (int)mhz : 0;
}
double nvml_watts(void) {
    struct nvml *n = nvml_open();
    unsigned mw = 0;
    return n->power && !n->power(n->device, &mw) ? 1e-3 * mw : 0.0;
}
