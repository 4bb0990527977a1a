/* sasl-private.h: what both sides share: libsasl2's callbacks, results and layer. */
#ifndef LIB_SASL_SASL_PRIVATE_H
#define LIB_SASL_SASL_PRIVATE_H

#include <sasl/sasl.h>
#include <stdbool.h>

#include "lib/sasl/layer.h"

/* "address;port" as libsasl2 wants it, into `to`; NULL for no address. */
enum { SASL_ADDRESS_MAX = 80 };
const char *sasl_address(char to[SASL_ADDRESS_MAX], const char *address, unsigned port);

/* A libsasl2 result as SASL_STATUS_* or ERR_*. */
int sasl_result(int r);

/* External strength, and the options' limits for our own layer: none under TLS.  0, or ERR_CONFIG. */
int sasl_set_properties(sasl_conn_t *conn, bool tls, unsigned tls_bits, unsigned flags);

unsigned sasl_layer_ssf(sasl_conn_t *conn);
void sasl_layer_get(sasl_conn_t *conn, struct sasl_layer *layer_r);

#endif
