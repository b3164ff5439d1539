/* tiersim-calibrate: measures this machine. One process a group; see validate/README.md. */
#include "validate/cuda/run.cuh"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* name, help, most seconds, function, seconds on an H200 (for what is left; 0: the most counts) */
const struct group groups[] = {
    {"ceilings", "bandwidth of reads, copies and writes; bf16 rate; link, each way", 40, group_ceilings, 5},
    {"launch", "launches from a stream and from a graph, 1 to 1000 kernels", 20, group_launch, 2},
    {"versions", "the decode kernel's versions side by side", 60, group_versions},
    {"decode", "paged decode attention: batch, context, heads, group, page, dtype, layout, skew", 130, group_decode},
    {"prefill", "prefill attention by cuDNN: length, prefix, batch, models' heads", 90, group_prefill},
    {"versus", "our decode kernel and cuDNN's, turn by turn over the same pages", 40, group_versus},
    {"memory", "gathers by chunk size; working sets within L2", 30, group_memory, 3},
    {"gemm", "cuBLASLt products of the models' shapes, bf16 and e4m3", 60, group_gemm, 35},
    {"one_kernel", "products by the kernel that the library picks for another batch, or split", 40, group_one_kernel,
     15},
    {"moe_gemm", "routed experts: grouped products of cuBLAS; single ones in a graph", 40, group_moe_gemm, 8},
    {"power", "products as bursts after idling and on and on: clock, joules", 40, group_power, 18},
    {"copies", "tier copies: pinned, pageable, scattered by loop, batch and kernel, duplex", 110, group_copies, 25},
    {"overlap", "copies beside a running decode: both slow-downs", 30, group_overlap, 5},
    {"ssd", "io_uring with O_DIRECT: size, depth, read and write", 90, group_ssd, 32},
    {"energy", "joules by the driver's counter, idle and at each ceiling", 30, group_energy, 9},
    {"links", "all GPUs' links to host memory at once: each way, both, NUMA nodes, scattered", 60, group_links, 3},
    {"p2p", "GPU to GPU: sizes, the whole matrix, several pairs at once", 60, group_p2p, 1},
    {"collectives", "NCCL over 2, 4, 8 GPUs: in a graph and eager", 90, group_collectives, 1},
    {"handover", "a context's KV from GPU to GPU beside a decode on both", 30, group_handover, 1},
    {"shared", "disk and DRAM under all GPUs' loads together", 30, group_shared, 4},
    {"step", "whole steps of Llama-3.1-8B and Qwen2.5-7B: decode, prefill, mixed, beside copies", 150, group_step, 60},
    {"loop", "a serving loop over HBM, DRAM and disk, fed by a trace; runs where --only names it", 280, group_loop, 140,
     true},
};
const int group_count = sizeof groups / sizeof *groups;

const char rows_header[] =
    "group,variant,params,bytes,flops,us_median,us_p10,us_p90,us_min,n,us_submit,rate_per_s,ceiling_per_s,error,joules,"
    "sm_mhz,note";

static int usage(FILE *to, int code) {
    fputs("usage: tiersim-calibrate -o DIR [--only GROUP[,GROUP]] [--quick] [--continue]\n"
          "                         [--loop-trace FILE] [--loop-rates X,...] | --list\n"
          "Measures the GPUs of this machine, their links and the disk below DIR; writes DIR/rows.csv and "
          "DIR/machine.txt.\n\n"
          "  --only        these groups alone\n"
          "  --quick       fewer repetitions and points\n"
          "  --continue    goes on with a run into DIR that did not end\n"
          "  --loop-trace  requests of the group loop (results/calibration/loop.jsonl)\n"
          "  --loop-rates  how many times as fast as in it they come (1.94,3.42: 40 and 70 % of what it can serve)\n"
          "  --list        the groups, and the most seconds that each may take\n\n"
          "Exit code 1: some rows failed, the rest are there; 2: nothing was measured, or the rows could not be "
          "written.\n",
          to);
    return code;
}

static bool wanted(const char *only, const struct group *group) {
    const char *name = group->name;
    if (!only)
        return !group->asked;
    size_t n = strlen(name);
    for (const char *at = strstr(only, name); at; at = strstr(at + 1, name))
        if ((at == only || at[-1] == ',') && (!at[n] || at[n] == ','))
            return true;
    return false;
}

/* NULL: all names of --only are groups. */
static const char *unknown_group(const char *only, std::string *name) {
    for (const char *at = only; at && *at; at += strcspn(at, ","), at += *at == ',') {
        *name = std::string(at, strcspn(at, ","));
        int known = 0;
        for (int i = 0; i < group_count; i++)
            known += *name == groups[i].name;
        if (!known)
            return name->c_str();
    }
    return nullptr;
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
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a run that is cut off leaves no group behind */
    c.rows = fopen(part, "a");
    c.group = g->name;
    c.dir = a->dir;
    c.quick = a->quick;
    c.loop_trace = a->loop_trace;
    c.loop_rates = a->loop_rates;
    c.deadline_s = start + g->seconds_max;
    c.ceilings = ceilings;
    row_try(&c, "start", "", [&] {
        if (!c.rows)
            fail("%s: %s", part, strerror(errno));
        CUDA_OK(cudaGetDeviceCount(&c.gpus));
        CUDA_OK(cudaGetDeviceProperties(&c.gpu, 0));
        CUDA_OK(cudaStreamCreateWithFlags(&c.stream, cudaStreamNonBlocking));
        g->run(&c);
    });
    if (c.left_out)
        printf("  %s: %d rows left out: its %.0f s were over\n", g->name, c.left_out, g->seconds_max);
    if (c.left_out && c.rows)
        fprintf(c.rows, "%s,time,,,,,,,,0,,,,,,,SKIPPED %d rows: the group's %.0f s were over\n", g->name, c.left_out,
                g->seconds_max);
    fflush(stdout);
    bool bad = !c.rows || ferror(c.rows);
    if (c.rows && fclose(c.rows))
        bad = true;
    _exit(bad ? unwritten : c.failed ? 1 : 0);
}

static double usual(const struct group *g) {
    return g->seconds > 0.0 ? g->seconds : g->seconds_max;
}
static double seconds_left(const struct arguments *a, const struct half_run *run, int from) {
    double left = 0.0;
    for (int i = from; i < group_count; i++)
        if (wanted(a->only, &groups[i]) && !half_run_has(run, groups[i].name))
            left += usual(&groups[i]);
    return left;
}

/* Exit code of the group's process; a group that was killed leaves a row that says so. */
static int one_group(const struct group *g, const struct arguments *a, struct ceilings *ceilings,
                     const struct half_run *run) {
    double from = now_s();
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "tiersim-calibrate: fork: %s\n", strerror(errno));
        return unwritten;
    }
    if (!child)
        run_group(g, a, ceilings, run->part.c_str(), from);
    int code = wait_until(child, from + g->seconds_max + 30.0);
    FILE *out = code > 1 && code != unwritten ? fopen(run->part.c_str(), "a") : nullptr;
    if (out) {
        std::string why = code == 124 ? text("it hung for %.0f s and was ended", g->seconds_max + 30.0)
                                      : text("it ended with %d", code);
        printf("  %s: %s\n", g->name, why.c_str());
        fprintf(out, "%s,end,,,,,,,,0,,,,,,,FAILED %s\n", g->name, why.c_str());
        fclose(out);
    }
    return code;
}

static int run_all(const struct arguments *a) {
    struct half_run run;
    std::string machine = std::string(a->dir) + "/machine.txt", machine_part = machine + ".part";
    if (!half_run_open(a, &run))
        return 2;
    pid_t child = fork(); /* the parent never opens CUDA, so that each group starts fresh */
    if (!child)
        machine_describe(machine_part.c_str());
    int code = wait_until(child, now_s() + 60.0);
    if (code) {
        if (code != 3)
            fprintf(stderr, "tiersim-calibrate: the GPU did not answer (%d)\n  hint: nvidia-smi may say why\n", code);
        return 2;
    }
    if (!half_run_ready(a, &run, machine))
        return 2;
    struct ceilings *ceilings =
        (struct ceilings *)mmap(nullptr, sizeof *ceilings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ceilings == MAP_FAILED)
        return 2;
    *ceilings = run.ceilings;
    double start = now_s();
    for (int i = 0; i < group_count; i++) {
        const struct group *g = &groups[i];
        if (!wanted(a->only, g) || half_run_has(&run, g->name))
            continue;
        printf("[%5.1f s, about %.0f s left] %s: %s\n", now_s() - start, seconds_left(a, &run, i), g->name, g->help);
        fflush(stdout);
        code = one_group(g, a, ceilings, &run);
        if (code == unwritten) {
            fprintf(stderr,
                    "tiersim-calibrate: %s could not be written\n  hint: is the disk full? --continue goes on "
                    "after the groups that are whole\n",
                    run.part.c_str());
            return 2;
        }
        run.bad += code != 0;
        if (!half_run_note(&run, g->name, code != 0, ceilings))
            return 2;
    }
    if (!half_run_end(&run))
        return 2;
    printf("[%5.1f s] wrote %s%s\n", now_s() - start, run.rows.c_str(),
           run.bad ? "; some rows failed, see its notes" : "");
    return run.bad ? 1 : 0;
}

static bool parse(int argc, char **argv, struct arguments *a) {
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--list"))
            a->list = true;
        else if (!strcmp(argv[i], "--quick"))
            a->quick = true;
        else if (!strcmp(argv[i], "--continue"))
            a->go_on = true;
        else if (!strcmp(argv[i], "--only") && i + 1 < argc)
            a->only = argv[++i];
        else if (!strcmp(argv[i], "--loop-trace") && i + 1 < argc)
            a->loop_trace = argv[++i];
        else if (!strcmp(argv[i], "--loop-rates") && i + 1 < argc)
            a->loop_rates = argv[++i];
        else if (!strcmp(argv[i], "-o") && i + 1 < argc)
            a->dir = argv[++i];
        else {
            fprintf(stderr, "tiersim-calibrate: '%s' is no option, or lacks its value\n", argv[i]);
            return false;
        }
    }
    return a->list || a->dir;
}

/* Numbers above 0 with commas between. */
static bool rates_are_fine(const char *at) {
    for (;;) {
        char *end;
        double rate = strtod(at, &end);
        if (end == at || !(rate > 0.0 && rate < 1e6) || (*end && *end != ','))
            return false;
        if (!*end)
            return true;
        at = end + 1;
    }
}

int main(int argc, char **argv) {
    struct arguments a = {};
    a.loop_trace = "results/calibration/loop.jsonl";
    a.loop_rates = "1.94,3.42";
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
        return usage(stdout, 0);
    if (!parse(argc, argv, &a))
        return usage(stderr, 2);
    for (int i = 0; a.list && i < group_count; i++)
        printf("%-12s %3.0f s  %s\n", groups[i].name, groups[i].seconds_max, groups[i].help);
    if (a.list)
        return 0;
    std::string name;
    if (unknown_group(a.only, &name)) {
        fprintf(stderr, "tiersim-calibrate: there is no group '%s'\n  hint: --list has them\n", name.c_str());
        return 2;
    }
    if (!rates_are_fine(a.loop_rates)) {
        fprintf(stderr, "tiersim-calibrate: --loop-rates %s\n  hint: numbers above 0, with commas between\n",
                a.loop_rates);
        return 2;
    }
    if (mkdir(a.dir, 0777) && errno != EEXIST) {
        fprintf(stderr, "tiersim-calibrate: %s: %s\n", a.dir, strerror(errno));
        return 2;
    }
    return run_all(&a);
}
