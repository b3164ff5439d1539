/* What is wrong with a file of one's own timings is said: which op, which column, where, and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "validate/op_timings.h"

static char folder[64], path[128];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tiersim-own-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/timings.csv", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int read_text(const char *text, enum timing_kind kind, struct arena *arena, struct timings *out,
                     struct error *err) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
    return op_timings_read(folder, kind, arena, out, err);
}

static const struct {
    const char *text, *where, *what;
} bad[] = {
    {"", ":1:0:", "empty"},
    {"op,m,n,k\ngemm,1,2,3\n", ":1:1:", "time_us"},
    {"op,time_us,time_ms\n", ":1:1:", "two times"},
    {"dtype,m,n,k,time_us\nbf16,1,2,3,4\n", ":1:1:", "no column 'op'"},
    {"op,dtype,m,n,time_us\ngemm,bf16,1,2,3\n", ":2:1:", "gemm needs a column 'k'"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,1,2,,3\n", ":2:15:", "gemm needs k, which is empty"},
    {"op,dtype,m,n,k,time_us\ngemm,,1,2,3,3\n", ":2:6:", "gemm needs dtype"},
    {"op,dtype,m,n,k,time_us\ngemm,fp16,1,2,3,3\n", ":2:6:", "one of bf16, fp8"},
    {"op,dtype,m,n,k,time_us\ngem,bf16,1,2,3,3\n", ":2:1:", "did you mean gemm?"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,one,2,3,3\n", ":2:11:", "'one' is not a number"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,0,2,3,3\n", ":2:11:", "gemm: m is 0"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,nan,2,3,3\n", ":2:11:", "gemm: m is nan"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,1,2,3,0\n", ":2:17:", "a time of 0 s"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,1,2,3,-4\n", ":2:17:", "a time of -4e-06 s"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,1,2,3,nan\n", ":2:17:", "a time of nan s"},
    {"op,dtype,m,n,k,time_s\ngemm,bf16,1,2,3,12345\n", ":2:17:", "is the unit the column's?"},
    {"op,dtype,m,n,k,time_us\ngemm,bf16,1,2,3\n", ":2:0:", "5 fields where the header has 6"},
    {"op,batch,q_heads,kv_heads,head_dim,length,time_us\nprefill,1,30,8,128,100,9\n",
     ":2:11:", "30 query heads do not share 8 KV heads"},
    {"op,gpus,bytes,time_us\nallreduce,1,100,9\n", ":2:11:", "2 or more"},
    {"op,direction,api,block_bytes,blocks,time_us\ncopy,h2d,kernel,65536,8,9\n",
     ":2:1:", "copy by kernel needs a column 'ctas'"},
    {"op,direction,api,block_bytes,blocks,time_us\ncopy,up,batch,65536,8,9\n", ":2:6:", "one of h2d, d2h"},
};

static void said(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena *arena = arena_create();
        struct timings timings;
        struct error err = {0};
        /* Whatever is asked for, every line is checked. */
        assert_int_equal(read_text(bad[i].text, TIMING_COPY, arena, &timings, &err), -1);
        if (strncmp(err.text, path, strlen(path)) != 0 ||
            strncmp(err.text + strlen(path), bad[i].where, strlen(bad[i].where)) != 0 ||
            !strstr(err.text, bad[i].what) || !strstr(err.text, "\n  hint: ") || err.exit_code != EXIT_BAD_INPUT)
            fail_msg("%s\nsaid: %s\nwanted: %s %s", bad[i].text, err.text, bad[i].where, bad[i].what);
        arena_destroy(arena);
    }
}

/* As Excel or pandas may write it: a byte-order mark, CR LF, quotes, blanks, empty lines, notes, other columns. */
static void forgiven(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct timings timings;
    struct error err;
    const char *text = "\xef\xbb\xbf# source: nsys on a GPU\r\n\r\n"
                       "\"op\", dtype,Name,batch,q_heads,kv_heads,head_dim,context,page,time_ns,Instances\r\n"
                       "# a note, with commas\r\n"
                       "decode,fp8,\"void flash_fwd<T<64, 64>, \"\"x\"\">(int, int)\",4, 32 ,8,128,1000,,25000,7\r\n"
                       "decode,bf16,x,4,32,8,128,1000,64,50000,7\r\n";
    if (read_text(text, TIMING_DECODE, arena, &timings, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(timings.count, 2);
    assert_true(timings.rows[0].fp8 && !timings.rows[1].fp8);
    assert_true(timings.rows[0].q_heads == 32 && timings.rows[0].page == 0 && timings.rows[1].page == 64);
    assert_float_equal(timings.rows[0].seconds, 25e-6, 1e-18);
    assert_string_equal(timings.rows[1].row->params,
                        "bf16 batch=4 q_heads=32 kv_heads=8 head_dim=128 context=1000 page=64");
    assert_int_equal(timings.rows[1].row->at.line, 6);
    assert_string_equal(op_timings_ignored(folder, arena), "Name, Instances");
    arena_destroy(arena);
}

/* The kinds apart, and what a copy and an all-reduce say of themselves. */
static void kinds(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct timings timings;
    struct error err;
    const char *text = "op,direction,api,block_bytes,blocks,ctas,gpus,bytes,time_us\n"
                       "copy,d2h,batch,65536,16,,,,40\n"
                       "copy,h2d,kernel,65536,16,8,,,50\n"
                       "allreduce,,custom,,,,2,1024,5\n"
                       "allreduce,,,,,,2,8388608,60\n";
    assert_int_equal(read_text(text, TIMING_COPY, arena, &timings, &err), 0);
    assert_int_equal(timings.count, 2);
    assert_true(!timings.rows[0].up && timings.rows[0].api == TIMING_COPY_BATCH);
    assert_true(timings.rows[1].up && timings.rows[1].api == TIMING_COPY_KERNEL && timings.rows[1].ctas == 8);
    assert_int_equal(read_text(text, TIMING_COMM, arena, &timings, &err), 0);
    assert_int_equal(timings.count, 2);
    assert_true(!timings.rows[0].nccl && timings.rows[1].nccl && !timings.rows[1].nccl_only);
    assert_int_equal(read_text(text, TIMING_GEMM, arena, &timings, &err), 0);
    assert_int_equal(timings.count, 0);
    assert_string_equal(op_timings_source(folder, arena), "timings.csv");
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(said), cmocka_unit_test(forgiven), cmocka_unit_test(kinds)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
