/* certs.h: certificates for unit tests, made on the spot in a temporary directory. */
#ifndef CUNIT_LIB_STREAM_CERTS_H
#define CUNIT_LIB_STREAM_CERTS_H

/* Files in PEM: an authority; `server` for be1.lab and 127.0.0.1, `client` with the common name
 * "murder", both signed by it; `stranger`, signed by itself; a CRL that revokes `client`.  Keys
 * stand in the same files.  Made at the first call, removed at exit. */
struct certs {
    char dir[64];
    char ca[96], server[96], client[96], stranger[96], crl[96];
};

const struct certs *certs(void);

#endif
