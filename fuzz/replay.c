/* Feeds a harness its corpus without libFuzzer: each file whole, and cut off at every byte (at a step for
 * long ones).  The corpus is CORPUS below the source tree; empty is a failure. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

#ifndef CUTS_MAX
#define CUTS_MAX 500 /* less for a harness that runs whole sessions */
#endif

enum { INPUT_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its exact size, so that the address sanitizer sees a read behind its end. */
static void feed(const char *data, size_t n)
{
    uint8_t *copy = xmalloc(n + (n == 0));

    for (size_t i = 0; i < n; i++)
        copy[i] = (uint8_t)data[i];
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void replay(const char *path)
{
    struct buf input = BUF_INIT;
    size_t step;

    if (file_read_all(path, INPUT_MAX, &input) < 0) {
        fprintf(stderr, "%s: cannot read\n", path);
        exit(1);
    }
    step = input.len / CUTS_MAX + 1;
    for (size_t n = 0; n < input.len; n += step)
        feed(buf_cstr(&input), n);
    feed(buf_cstr(&input), input.len);
    buf_free(&input);
}

int main(void)
{
    const char *source = getenv("srcdir");
    struct buf path = BUF_INIT;
    struct dirent *e;
    unsigned count = 0;
    DIR *dir;

    buf_printf(&path, "%s/" CORPUS, source != NULL ? source : ".");
    dir = opendir(buf_cstr(&path));
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        buf_reset(&path);
        buf_printf(&path, "%s/" CORPUS "/%s", source != NULL ? source : ".", e->d_name);
        replay(buf_cstr(&path));
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    buf_free(&path);
    printf("%u inputs of " CORPUS "\n", count);
    return count == 0;
}
