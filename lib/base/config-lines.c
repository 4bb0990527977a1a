#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/config-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { FILE_MAX = 4 << 20, LINES_MAX = 20000, INCLUDES_MAX = 16 };

static int read_file(struct config_lines *lines, const char *path, int depth, char **error_r);

static int fail(const char *path, unsigned number, const char *what, char **error_r)
{
    *error_r = xstrprintf("%s:%u: %s", path, number, what);
    return ERR_CONFIG;
}

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
        n--;
    s[n] = '\0';
    return s;
}

/* The file that an @include names, malloc'ed. */
static char *included_path(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    if (name[0] == '/' || slash == NULL)
        return xstrdup(name);
    return xstrprintf("%.*s/%s", (int)(slash - path), path, name);
}

static int include(struct config_lines *lines, const char *path, unsigned number, const char *name, int depth,
                   char **error_r)
{
    char *target;
    int r;

    if (depth >= INCLUDES_MAX)
        return fail(path, number, "@include: nested too deeply", error_r);
    target = included_path(path, name);
    r = read_file(lines, target, depth + 1, error_r);
    free(target);
    return r;
}

int config_lines_add(struct config_lines *lines, const char *path, unsigned number, const char *name,
                     const char *value, char **error_r)
{
    struct config_line *l;

    if (lines->count >= LINES_MAX)
        return fail(path, number, "too many lines", error_r);
    if ((lines->count & (lines->count - 1)) == 0)
        lines->items =
            xreallocarray(lines->items, lines->count ? lines->count * 2 : 1, sizeof(lines->items[0]));
    l = &lines->items[lines->count++];
    l->name = xstrdup(name);
    l->value = xstrdup(value);
    l->file = xstrdup(path);
    l->number = number;
    str_lower(l->name);
    return 0;
}

static int parse_line(struct config_lines *lines, const char *path, unsigned number, char *text, int depth,
                      char **error_r)
{
    char *name = trim(text), *colon = strchr(name, ':'), *value;

    if (*name == '\0' || *name == '#')
        return 0;
    if (colon == NULL)
        return fail(path, number, "expected \"name: value\"", error_r);
    *colon = '\0';
    value = trim(colon + 1);
    name = trim(name);
    if (*name == '\0' || strpbrk(name, " \t") != NULL)
        return fail(path, number, "no option's name before the colon", error_r);
    if (str_ieq(name, "@include"))
        return include(lines, path, number, value, depth, error_r);
    return config_lines_add(lines, path, number, name, value, error_r);
}

/* Cuts the next line off *rest, joining those that end in a backslash, and counts. */
static char *next_line(char **rest, unsigned *number)
{
    char *line = *rest, *to = line, *from = line;

    for (;;) {
        size_t n = strcspn(from, "\n");
        bool last = from[n] == '\0', joined = n > 0 && from[n - 1] == '\\' && *line != '#';

        memmove(to, from, n);
        to += n;
        from += n + !last;
        (*number)++;
        if (last || !joined)
            break;
        to[-1] = ' ';
    }
    *rest = from;
    *to = '\0';
    return line;
}

static int read_file(struct config_lines *lines, const char *path, int depth, char **error_r)
{
    struct buf text = BUF_INIT;
    int r = file_read_all(path, FILE_MAX, &text);
    unsigned number = 0;
    char *rest;

    if (r < 0) {
        *error_r = xstrprintf("%s: %s", path, error_text(r));
        buf_free(&text);
        return ERR_CONFIG;
    }
    if (memchr(buf_cstr(&text), '\0', text.len) != NULL)
        r = fail(path, 1, "the file contains NUL bytes", error_r);
    for (rest = text.data; r == 0 && rest != NULL && *rest != '\0';) {
        unsigned first = number + 1;
        char *line = next_line(&rest, &number);

        r = parse_line(lines, path, first, line, depth, error_r);
    }
    buf_free(&text);
    return r;
}

int config_lines_read(struct config_lines *lines, const char *path, char **error_r)
{
    return read_file(lines, path, 0, error_r);
}

void config_lines_free(struct config_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->items[i].name);
        free(lines->items[i].value);
        free(lines->items[i].file);
    }
    free(lines->items);
    lines->items = NULL;
    lines->count = 0;
}
