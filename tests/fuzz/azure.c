#include "tests/fuzz/trace_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return try_reader("azure", data, size);
}
