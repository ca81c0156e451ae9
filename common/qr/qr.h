/*
 * QR codes (ISO/IEC 18004) over libqrencode, whose header is included by this room's one .c file only: as a picture for pages, as text for
 * terminals.
 */
#ifndef TANA_QR_QR_H
#define TANA_QR_QR_H

#include "base/buf.h"
#include "base/error.h"

enum {
	QR_TEXT_MAX = 2000, /* bytes: larger codes are hard to read from a screen */
	QR_QUIET = 4        /* modules of white round the code, as the standard asks for */
};

/*
 * An SVG document of its own (title: its accessible name, plain text), black on white, quiet zone included, one path. Level M: 15 % of it may be
 * lost. ERR_TOO_LARGE.
 */
MUST_CHECK bool qr_svg_write(struct buf *out, struct str text, const char *title, struct error *err);
/*
 * Lines of half blocks in UTF-8, two rows of modules each, with a quiet zone of two; level L, which is smallest. `inverted`: for terminals with a dark
 * background, where blocks are light and what is not drawn is dark. ERR_TOO_LARGE. *columns: how wide it is.
 */
MUST_CHECK bool qr_terminal_write(struct buf *out, struct str text, bool inverted, size_t *columns, struct error *err);

#endif
