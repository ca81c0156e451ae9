/*
 * The server's certificate chain and private key, from PEM files, and newer ones in their place while it runs. libmicrohttpd asks for
 * them at each handshake, on the worker's thread, which has said whose server it works for. What a handshake may still use is kept until
 * the server's end: a certificate is renewed a few times a year.
 */
#ifndef TANA_HTTP_TLS_H
#define TANA_HTTP_TLS_H

#include "base/error.h"

struct tls;
/* ERR_CONFIG: a file cannot be read, is no PEM file, or the key is not the certificate's. */
MUST_CHECK struct tls *tls_new(const char *cert_file, const char *key_file, struct error *err);
void tls_free(struct tls *t); /* NULL is allowed */
/* Reads the files again; new handshakes get what is in them now. After an error, as tls_new's, the old stays. *changed: they were new. */
MUST_CHECK bool tls_reload(struct tls *t, bool *changed, struct error *err);
/* The calling thread makes handshakes for this server; NULL: for none. */
void tls_enter(struct tls *t);
/* What MHD_OPTION_HTTPS_CERT_CALLBACK takes. */
void *tls_callback(void);

#endif
