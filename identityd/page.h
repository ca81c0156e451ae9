/*
 * HTML pages: one shape, one style sheet, one strict policy (nothing from elsewhere, nothing inline, in no frame). Text from outside goes
 * through page_text only.
 */
#ifndef TANA_IDENTITYD_PAGE_H
#define TANA_IDENTITYD_PAGE_H

#include "http/server.h"
#include "login.h"

/* Everything up to the begin of <main>; `script`: with /login.js. The title is plain text. */
void page_begin(struct buf *out, const char *title, bool script);
void page_end(struct buf *out);
/* Text from outside, for the inside of an element or of a quoted attribute. */
void page_text(struct buf *out, struct str text);
/* With the headers that every page has; takes the buffer's bytes. */
struct http_reply *page_reply(struct http_request *r, int status, struct buf *out);
/* The same for a page with a form whose answer may lead to `target` (an origin, or an app's scheme with its colon), besides to us. */
struct http_reply *page_reply_leading(struct http_request *r, int status, struct buf *out, struct str target);
/* A page with one message and, if `link` is not NULL, a link (all plain text; where it leads is ours or was checked): for what a person has to be told. */
struct http_reply *page_message(struct http_request *r, int status, const char *title, const char *message, const char *link, const char *link_text);

/* The page of a session that has just begun; also gives the browser its cookies. */
struct http_reply *page_of_login(struct http_request *r, const struct login_ask *ask, const struct login_begun *b);

/* What pages load (identityd/pages/): built into the program. */
struct str page_asset_style(void);
struct str page_asset_script(void);
struct str page_asset_icon(void);

#endif
