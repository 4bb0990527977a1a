/* sievec, masssievec: do Sieve scripts compile?  Nothing is made: scripts are compiled where they run. */
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/sievehost/compiled.h"
#include "imap/tools/tool.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

enum { DIRECTORIES_OPEN = 20 };

static int usage(const char *name)
{
    if (strcmp(name, "masssievec") == 0)
        fprintf(stderr, "usage: masssievec [-C imapd.conf] [DIRECTORY]\n");
    else
        fprintf(stderr, "usage: sievec [-C imapd.conf] SCRIPT [FILE]\n");
    return EX_USAGE;
}

/* Tells what is wrong with it, a line each, its name before it where there are many. */
static int check(const char *path, bool many)
{
    struct buf text = BUF_INIT, errors = BUF_INIT;
    struct sieve_script *script = NULL;
    int r = file_read_all(path, SIEVE_SCRIPT_MAX, &text);

    if (r == 0)
        r = compiled_compile(buf_cstr(&text), text.len, &errors, &script);
    if (r < 0 && (many || errors.len == 0))
        fprintf(stderr, "%s: %s\n", path, error_text(r));
    fputs(buf_cstr(&errors), stderr);
    sieve_script_free(&script);
    buf_free(&text);
    buf_free(&errors);
    return r;
}

static unsigned wrong; /* of check_all(), which one thread calls once */

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_F && str_has_suffix(path, ".script"))
        wrong += check(path, true) < 0;
    return 0;
}

static int check_all(const char *directory)
{
    if (nftw(directory, visit, DIRECTORIES_OPEN, FTW_PHYS) != 0) {
        perror(directory);
        return EX_NOINPUT;
    }
    return wrong == 0 ? EX_OK : EX_DATAERR;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0], *config = NULL;
    bool mass = str_has_suffix(name, "masssievec");
    int option, r;

    while ((option = getopt(argc, argv, "C:")) != -1) {
        if (option != 'C')
            return usage(mass ? "masssievec" : "sievec");
        config = optarg;
    }
    argc -= optind;
    argv += optind;
    if (mass ? argc > 1 : argc < 1 || argc > 2)
        return usage(mass ? "masssievec" : "sievec");
    r = tool_start(mass ? "masssievec" : "sievec", config);
    if (r != 0)
        return r;
    if (mass)
        return check_all(argc > 0 ? argv[0] : opt_string(OPT_SIEVEDIR));
    return check(argv[0], false) < 0 ? EX_DATAERR : EX_OK;
}
