/* <argp.h>, which brings in getopt's struct option: a name that is taken here (sim/base/option.h). */
#ifndef SIM_CLI_ARGS_H
#define SIM_CLI_ARGS_H

#define option getopt_option
#include <argp.h>
#undef option

#endif
