#include "lib/backend/lines.h"

#include <string.h>

#include "lib/backend/backend-private.h"
#include "lib/base/str.h"

const char *backend_lines_find(const struct buf *lines, const char *word, size_t *len_r)
{
    const char *p = buf_cstr(lines);
    size_t n = strlen(word);

    while (*p != '\0') {
        size_t len = strcspn(p, "\n"), first = strcspn(p, " \n");

        if (first == n && str_ieq_n(p, word, n)) {
            *len_r = len - n;
            return p + n;
        }
        p += len + (p[len] == '\n');
    }
    return NULL;
}

void backend_lines_args(const struct buf *lines, const char *word, struct buf *to)
{
    size_t n;
    const char *p = backend_lines_find(lines, word, &n);

    for (size_t i = 0; p != NULL && i < n; i++) {
        if (p[i] != '"' && (p[i] != ' ' || i > 0))
            buf_putc(to, p[i]);
    }
}

/* ---- of a connection whose capabilities they are ---- */

bool backend_lines_has(const struct backend *b, const char *word)
{
    size_t n;

    return backend_lines_find(&b->caps, word, &n) != NULL;
}

void backend_lines_mechs(const struct backend *b, struct buf *to)
{
    backend_lines_args(&b->caps, "AUTH", to);
}

bool backend_initial_always(const struct backend *b)
{
    (void)b;
    return true;
}
