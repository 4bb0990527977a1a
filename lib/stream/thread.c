#include <openssl/crypto.h>

#include "lib/stream/stream.h"

void stream_thread_exit(void)
{
    OPENSSL_thread_stop();
}
