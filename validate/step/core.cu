/* The step's C files, for a program that links the CUDA toolkit and libc alone. */
#include "validate/step/points.c"
#include "validate/step/reference.c"
