#include "sim/base/record.h"

#include "sim/base/error.h"

const char *cause_name(enum cause cause) {
    static const char *const names[] = {"queue", "prefill", "decode", "load", "stall", "swap", "preempt"};
    MUST(cause >= 0 && cause < CAUSE_COUNT);
    return names[cause];
}
