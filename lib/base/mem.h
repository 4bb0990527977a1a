/* mem.h: allocation that does not fail, and the checks for bugs.
 *
 * Every size that a peer controls is bounded before it reaches an allocation,
 * so running out of memory means a broken machine: the process says so on
 * standard error and aborts; master starts another. */
#ifndef LIB_BASE_MEM_H
#define LIB_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* n * size is checked for overflow (which aborts). */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xstrprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* assert for bugs, kept in every build; never for input. */
#define BUG_ON(cond)                                                                                         \
    do {                                                                                                     \
        if (cond)                                                                                            \
            mem_bug(#cond, __FILE__, __LINE__);                                                              \
    } while (0)
_Noreturn void mem_bug(const char *what, const char *file, int line);

/* A magic number is the first member of every object that crosses a void *. */
#define MAGIC_CHECK(p, m) BUG_ON((p) == NULL || (p)->magic != (m))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
