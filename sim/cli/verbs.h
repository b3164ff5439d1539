/* One function a verb, each in the file of its name. argv[0] is what usage calls the program ("tiersim step"). Returns the
 * exit code. */
#ifndef SIM_CLI_VERBS_H
#define SIM_CLI_VERBS_H

int verb_step(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_fit(int argc, char **argv);

#endif
