/* The verbs. Each parses its own arguments (argv[0] is the verb) and returns an exit code of enum exit_code. */
#ifndef SIM_CLI_VERBS_H
#define SIM_CLI_VERBS_H

int verb_run(int argc, char **argv);
int verb_why(int argc, char **argv);
int verb_step(int argc, char **argv);
int verb_transfer(int argc, char **argv);
int verb_cache(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_calibrate(int argc, char **argv);
int verb_fit(int argc, char **argv);
int verb_validate(int argc, char **argv);
int verb_cases(int argc, char **argv);
int verb_docs(int argc, char **argv);

#endif
