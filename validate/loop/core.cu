/* The loop's C files, for a program that links the CUDA toolkit and libc alone. */
#include "validate/loop/loop_batch.c"
#include "validate/loop/loop_kv.c"
#include "validate/loop/loop_run.c"
#include "validate/loop/loop_tier.c"
#include "validate/loop/loop_trace.c"
#include "validate/loop/loop_write.c"
