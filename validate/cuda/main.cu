/* tiersim-calibrate: measures this machine. One process a group; see validate/README.md. */
#include "validate/cuda/bench.cuh"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const struct group groups[] = {
    {"ceilings", "bandwidth of reads, copies and writes; bf16 rate; link, each way", 40, group_ceilings},
    {"launch", "launches from a stream and from a graph, 1 to 1000 kernels", 20, group_launch},
    {"versions", "the decode kernel's versions side by side", 60, group_versions},
    {"decode", "paged decode attention: batch, context, heads, group, page, dtype, layout, skew", 130, group_decode},
    {"prefill", "prefill attention by cuDNN: length, prefix, batch, models' heads", 90, group_prefill},
    {"versus", "our decode kernel and cuDNN's, turn by turn over the same pages", 40, group_versus},
    {"memory", "gathers by chunk size; working sets within L2", 30, group_memory},
    {"gemm", "cuBLAS products of the models' shapes", 60, group_gemm},
    {"copies", "tier copies: pinned, pageable, scattered by loop, batch and kernel, duplex", 110, group_copies},
    {"overlap", "copies beside a running decode: both slow-downs", 30, group_overlap},
    {"ssd", "io_uring with O_DIRECT: size, depth, read and write", 90, group_ssd},
    {"energy", "joules by the driver's counter, idle and at each ceiling", 30, group_energy},
};
const int group_count = sizeof groups / sizeof *groups;

static const char header[] =
    "group,variant,params,bytes,flops,us_median,us_p10,us_p90,us_min,n,us_submit,rate_per_s,ceiling_per_s,error,joules,"
    "sm_mhz,note\n";

struct arguments {
    const char *dir, *only;
    bool quick, list;
};

static int usage(FILE *to, int code) {
    fprintf(to, "usage: tiersim-calibrate -o DIR [--only GROUP[,GROUP]] [--quick] | --list\n"
                "Measures the first GPU, its links and the disk below DIR; writes DIR/rows.csv and DIR/machine.txt.\n");
    return code;
}

static bool wanted(const char *only, const char *name) {
    if (!only)
        return true;
    size_t n = strlen(name);
    for (const char *at = strstr(only, name); at; at = strstr(at + 1, name))
        if ((at == only || at[-1] == ',') && (!at[n] || at[n] == ','))
            return true;
    return false;
}

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

/* Runs in a child too: the parent never opens CUDA, so that each group starts fresh. Exit code 3: no GPU. */
static void describe(const char *path) {
    FILE *out = fopen(path, "w");
    cudaDeviceProp p;
    int driver = 0, runtime = 0, devices = 0, mhz = 0;
    cudaError_t status = cudaGetDeviceCount(&devices);
    if (!out || status != cudaSuccess || cudaGetDeviceProperties(&p, 0) != cudaSuccess) {
        if (!out)
            fprintf(stderr, "tiersim-calibrate: %s: %s\n", path, strerror(errno));
        else
            fprintf(stderr, "tiersim-calibrate: %s\nhint: it measures a GPU; nvidia-smi should show one\n",
                    cudaGetErrorString(status));
        _exit(3);
    }
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaDeviceGetAttribute(&mhz, cudaDevAttrMemoryClockRate, 0);
    struct utsname u;
    uname(&u);
    time_t t = time(nullptr);
    char date[40];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
    fprintf(out, "date: %s\ngpu: %s\ngpus: %d\ncompute_capability: %d.%d\nsms: %d\nl2_bytes: %d\nmemory_bytes: %zu\n",
            date, p.name, devices, p.major, p.minor, p.multiProcessorCount, p.l2CacheSize, p.totalGlobalMem);
    fprintf(out, "memory_bus_bits: %d\nmemory_khz: %d\nsmem_per_sm: %zu\ndriver_api: %d\ncuda_runtime: %d\n",
            p.memoryBusWidth, mhz, p.sharedMemPerMultiprocessor, driver, runtime);
    fprintf(out, "idle_watts: %.1f\nkernel: %s %s\n", nvml_watts(), u.sysname, u.release);
    first_line(out, "driver", "/proc/driver/nvidia/version", "NVRM version: ");
    first_line(out, "cpu", "/proc/cpuinfo", "model name\t: ");
    first_line(out, "ram", "/proc/meminfo", "MemTotal:       ");
    fprintf(out, "cpus: %ld\nnvidia_fs: %s\n", sysconf(_SC_NPROCESSORS_ONLN),
            access("/dev/nvidia-fs0", F_OK) ? "no device, cuFile would run in compatibility mode" : "present");
    bool bad = ferror(out);
    if (fclose(out) || bad) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", path, strerror(errno));
        _exit(3);
    }
    _exit(0);
}

/* A group that could not write its rows: what is there is not a whole run. */
enum { unwritten = 2 };

static int wait_until(pid_t child, double deadline) {
    int status;
    for (;;) {
        pid_t got = waitpid(child, &status, WNOHANG);
        if (got == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (now_s() > deadline) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return 124;
        }
        usleep(2000);
    }
}

static void run_group(const struct group *g, const struct arguments *a, struct ceilings *ceilings, const char *part,
                      double start) {
    struct context c = {};
    c.rows = fopen(part, "a");
    c.group = g->name;
    c.dir = a->dir;
    c.quick = a->quick;
    c.deadline_s = start + g->seconds_max;
    c.ceilings = ceilings;
    row_try(&c, "start", "", [&] {
        if (!c.rows)
            fail("%s: %s", part, strerror(errno));
        CUDA_OK(cudaGetDeviceProperties(&c.gpu, 0));
        CUDA_OK(cudaStreamCreateWithFlags(&c.stream, cudaStreamNonBlocking));
        g->run(&c);
    });
    if (c.left_out)
        printf("  %s: %d rows left out: its %.0f s were over\n", g->name, c.left_out, g->seconds_max);
    if (c.left_out && c.rows)
        fprintf(c.rows, "%s,time,,,,,,,,0,,,,,,,LEFT_OUT %d rows: the group's %.0f s were over\n", g->name, c.left_out,
                g->seconds_max);
    fflush(stdout);
    bool bad = !c.rows || ferror(c.rows);
    if (c.rows && fclose(c.rows))
        bad = true;
    _exit(bad ? unwritten : c.failed ? 1 : 0);
}

static int run_all(const struct arguments *a) {
    std::string rows = std::string(a->dir) + "/rows.csv", part = rows + ".part";
    std::string machine = std::string(a->dir) + "/machine.txt", machine_part = machine + ".part";
    pid_t child = fork();
    if (!child)
        describe(machine_part.c_str());
    if (wait_until(child, now_s() + 60.0) || rename(machine_part.c_str(), machine.c_str()))
        return 2;
    FILE *out = fopen(part.c_str(), "w");
    if (!out || fputs(header, out) < 0 || fclose(out)) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", part.c_str(), strerror(errno));
        return 2;
    }
    struct ceilings *ceilings =
        (struct ceilings *)mmap(nullptr, sizeof *ceilings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double start = now_s();
    int bad = 0;
    for (int i = 0; i < group_count; i++) {
        const struct group *g = &groups[i];
        if (!wanted(a->only, g->name))
            continue;
        printf("[%5.1f s] %s: %s\n", now_s() - start, g->name, g->help);
        fflush(stdout);
        double from = now_s();
        child = fork();
        if (!child)
            run_group(g, a, ceilings, part.c_str(), from);
        int code = wait_until(child, from + g->seconds_max + 30.0);
        if (code == unwritten) {
            fprintf(stderr, "tiersim-calibrate: %s could not be written. hint: is the disk full?\n", part.c_str());
            return 2;
        }
        bad += code != 0;
        if (code > 1 && (out = fopen(part.c_str(), "a"))) {
            printf("  %s ended with %d\n", g->name, code);
            fprintf(out, "%s,end,,,,,,,,0,,,,,,,FAILED the group ended with %d\n", g->name, code);
            fclose(out);
        }
    }
    if (rename(part.c_str(), rows.c_str())) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", rows.c_str(), strerror(errno));
        return 2;
    }
    printf("[%5.1f s] wrote %s%s\n", now_s() - start, rows.c_str(), bad ? "; some rows failed, see its notes" : "");
    return bad ? 1 : 0;
}

int main(int argc, char **argv) {
    struct arguments a = {};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--list"))
            a.list = true;
        else if (!strcmp(argv[i], "--quick"))
            a.quick = true;
        else if (!strcmp(argv[i], "--help"))
            return usage(stdout, 0);
        else if (!strcmp(argv[i], "--only") && i + 1 < argc)
            a.only = argv[++i];
        else if (!strcmp(argv[i], "-o") && i + 1 < argc)
            a.dir = argv[++i];
        else
            return usage(stderr, 2);
    }
    for (int i = 0; a.list && i < group_count; i++)
        printf("%-10s %3.0f s  %s\n", groups[i].name, groups[i].seconds_max, groups[i].help);
    if (a.list)
        return 0;
    if (!a.dir)
        return usage(stderr, 2);
    if (mkdir(a.dir, 0777) && errno != EEXIST) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", a.dir, strerror(errno));
        return 2;
    }
    return run_all(&a);
}
