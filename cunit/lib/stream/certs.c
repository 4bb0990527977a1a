#include "cunit/lib/stream/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

static struct certs made;
static EVP_PKEY *ca_key;
static X509 *ca_cert;
static long serial = 1;

static void extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    BUG_ON(e == NULL);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *make(EVP_PKEY *key, const char *name, const char *alt, int ca, X509 *issuer,
                  EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    extension(cert, NID_basic_constraints, ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (alt != NULL)
        extension(cert, NID_subject_alt_name, alt);
    BUG_ON(X509_sign(cert, issuer_key, EVP_sha256()) == 0);
    return cert;
}

static void write_pem(char *path, size_t size, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f;

    snprintf(path, size, "%s/%s.pem", made.dir, name);
    f = fopen(path, "w");
    BUG_ON(f == NULL);
    PEM_write_X509(f, cert);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static long signed_cert(char *path, size_t size, const char *file, const char *name, const char *alt, int own)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make(key, name, alt, 0, own ? NULL : ca_cert, own ? key : ca_key);
    long number = ASN1_INTEGER_get(X509_get_serialNumber(cert));

    write_pem(path, size, file, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return number;
}

static void write_crl(long revoked)
{
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 86400);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    FILE *f;

    ASN1_INTEGER_set(number, revoked);
    X509_REVOKED_set_serialNumber(entry, number);
    X509_REVOKED_set_revocationDate(entry, now);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca_cert));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    X509_CRL_add0_revoked(crl, entry);
    X509_CRL_sign(crl, ca_key, EVP_sha256());
    snprintf(made.crl, sizeof(made.crl), "%s/crl.pem", made.dir);
    f = fopen(made.crl, "w");
    BUG_ON(f == NULL);
    PEM_write_X509_CRL(f, crl);
    fclose(f);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(crl);
}

static void clean(void)
{
    file_remove_tree(made.dir);
}

const struct certs *certs(void)
{
    if (made.dir[0] != '\0')
        return &made;
    snprintf(made.dir, sizeof(made.dir), "/tmp/iatlas-certs-XXXXXX");
    BUG_ON(mkdtemp(made.dir) == NULL);
    atexit(clean);
    ca_key = EVP_EC_gen("P-256");
    ca_cert = make(ca_key, "Unit test CA", NULL, 1, NULL, ca_key);
    write_pem(made.ca, sizeof(made.ca), "ca", ca_cert, ca_key);
    signed_cert(made.server, sizeof(made.server), "server", "be1.lab", "DNS:be1.lab,IP:127.0.0.1", 0);
    write_crl(signed_cert(made.client, sizeof(made.client), "client", "murder", NULL, 0));
    signed_cert(made.stranger, sizeof(made.stranger), "stranger", "murder", NULL, 1);
    X509_free(ca_cert);
    EVP_PKEY_free(ca_key);
    return &made;
}
