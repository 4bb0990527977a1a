/* program.h: finding the programs that cyrus.conf names. */
#ifndef MASTER_PROGRAM_H
#define MASTER_PROGRAM_H

enum program_state { PROGRAM_FOUND, PROGRAM_ABSENT /* of Cyrus, not here */, PROGRAM_UNKNOWN };

/* A name with a slash is a path.  Any other is looked for in the directories of the environment
 * variable IATLAS_BINDIR (separated by colons), where master itself lies, in the installation's
 * libexecdir, sbindir and bindir.  *path_r (malloc'ed) is set when it was found and can be executed. */
enum program_state program_find(const char *name, char **path_r);

#endif
