/* The OpenID Provider's pages: questions with two answers, and the code that a device shows. Plain forms, no script. */
#ifndef TANA_IDENTITYD_OIDC_PAGES_H
#define TANA_IDENTITYD_OIDC_PAGES_H

#include "oidc_authorize.h"

/* May this application know who you are? */
struct http_reply *oidc_consent_page(struct http_request *r, const struct authorization *a);
/* Log out? With what is sent back when the answer is yes; `target` is where that may lead (absent: nowhere). */
struct oidc_logout_ask {
	struct str id_token_hint, client_id, redirect_uri, state, target;
};
struct http_reply *oidc_logout_page(struct http_request *r, const struct token_row *who, const struct oidc_logout_ask *ask);
/* Which code does the device show? `typed` stands in the field already (may be absent), `wrong` says why it is asked again (may be NULL). */
struct http_reply *oidc_device_code_page(struct http_request *r, const struct token_row *who, struct str typed, const char *wrong, int status);
/* May this device be logged in? */
struct http_reply *oidc_device_confirm_page(struct http_request *r, const struct token_row *who, const struct oidc_client *client, const struct device_row *d,
					    struct str user_code, struct str ip);
/* "BCDF-GHJK" */
void oidc_user_code_show(const char code[USER_CODE_LETTERS + 1], char out[USER_CODE_LETTERS + 2]);

#endif
