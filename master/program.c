#include "master/program.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

static const char *const cyrus_programs[] = {
#define CYRUS_PROGRAM(name) name,
#include "master/cyrus-programs.def"
#undef CYRUS_PROGRAM
};

static bool is_cyrus_program(const char *name)
{
    const char *slash = strrchr(name, '/');

    name = slash != NULL ? slash + 1 : name;
    for (size_t i = 0; i < ARRAY_SIZE(cyrus_programs); i++) {
        if (strcmp(cyrus_programs[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The program in one of the directories of a colon-separated list, malloc'ed, or NULL. */
static char *find_in(const char *dirs, const char *name)
{
    while (dirs != NULL && *dirs != '\0') {
        size_t n = strcspn(dirs, ":");
        char *path = xstrprintf("%.*s/%s", (int)n, dirs, name);

        if (n > 0 && is_program(path))
            return path;
        free(path);
        dirs += n + (dirs[n] == ':');
    }
    return NULL;
}

/* The directory of this program, malloc'ed, or NULL. */
static char *own_directory(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    path[n] = '\0';
    slash = strrchr(path, '/');
    return slash != NULL ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

enum program_state program_find(const char *name, char **path_r)
{
    char *own;

    *path_r = NULL;
    if (strchr(name, '/') != NULL) {
        if (is_program(name))
            *path_r = xstrdup(name);
    } else {
        own = own_directory();
        *path_r = find_in(getenv("IATLAS_BINDIR"), name);
        if (*path_r == NULL)
            *path_r = find_in(own, name);
        if (*path_r == NULL)
            *path_r = find_in(LIBEXECDIR ":" SBINDIR ":" BINDIR, name);
        free(own);
    }
    if (*path_r != NULL)
        return PROGRAM_FOUND;
    return is_cyrus_program(name) ? PROGRAM_ABSENT : PROGRAM_UNKNOWN;
}
