#include "sim/base/option.h"

const char *basis_name(enum basis basis) {
    static const char *const names[] = {"measured", "extrapolated", "spec"};
    MUST(basis >= 0 && basis < BASIS_COUNT);
    return names[basis];
}
