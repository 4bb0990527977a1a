/* layer.h: a SASL security layer as the stream sees it (RFC 4422 3.7). */
#ifndef LIB_SASL_LAYER_H
#define LIB_SASL_LAYER_H

#include <stddef.h>

struct sasl_layer {
    void *context; /* the exchange that negotiated it; must outlive the stream */
    /* Wraps n bytes (at most max_out), unwraps whatever came (partial packets are kept inside).
     * *out is valid until the next call of the same function.  0, or ERR_PROTOCOL. */
    int (*encode)(void *context, const char *in, size_t n, const char **out, size_t *out_n);
    int (*decode)(void *context, const char *in, size_t n, const char **out, size_t *out_n);
    size_t max_out;
};

#endif
