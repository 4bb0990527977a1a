/* Messages: parse, render, locate sections; everything must agree (cunit/lib/mail/consistent.h). */
#include <stdint.h>

#include "cunit/lib/mail/consistent.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUG_ON(mail_consistent((const char *)data, size) != NULL);
    return 0;
}
