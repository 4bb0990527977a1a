/* sieved: shows what a Sieve script is understood to be. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/sievehost/compiled.h"
#include "imap/tools/tool.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/str.h"

static int usage(void)
{
    fprintf(stderr, "usage: sieved [-C imapd.conf] SCRIPT\n");
    return EX_USAGE;
}

/* Byte code of Cyrus begins with that. */
static bool is_byte_code(const struct buf *text)
{
    return str_has_prefix(buf_cstr(text), "CyrSBytecode");
}

static int show(const char *path)
{
    struct buf text = BUF_INIT, errors = BUF_INIT, shown = BUF_INIT;
    struct sieve_script *script = NULL;
    int r = file_read_all(path, SIEVE_SCRIPT_MAX, &text);

    if (r == 0 && is_byte_code(&text)) {
        buf_puts(&errors, "this is byte code of Cyrus; the script itself is needed\n");
        r = ERR_UNSUPPORTED;
    }
    if (r == 0)
        r = compiled_compile(buf_cstr(&text), text.len, &errors, &script);
    if (r == 0)
        sieve_script_print(script, &shown);
    else
        fprintf(stderr, "%s: %s\n%s", path, error_text(r), buf_cstr(&errors));
    fwrite(buf_cstr(&shown), 1, shown.len, stdout);
    sieve_script_free(&script);
    buf_free(&text);
    buf_free(&errors);
    buf_free(&shown);
    return r < 0 ? EX_DATAERR : EX_OK;
}

int main(int argc, char **argv)
{
    const char *config = NULL;
    int option, r;

    while ((option = getopt(argc, argv, "C:")) != -1) {
        if (option != 'C')
            return usage();
        config = optarg;
    }
    if (argc - optind != 1)
        return usage();
    r = tool_start("sieved", config);
    return r != 0 ? r : show(argv[optind]);
}
