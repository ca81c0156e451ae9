#include "qr.h"

#include <errno.h>

#include <qrencode.h>

enum { TERMINAL_QUIET = 2 };

static QRcode *encode(struct str text, QRecLevel level, struct error *err)
{
	if (text.n == 0 || text.n > QR_TEXT_MAX) {
		error_set(err, ERR_TOO_LARGE, "a text of %zu bytes makes no QR code here (1 to %d)", text.n, QR_TEXT_MAX);
		return NULL;
	}
	QRcode *code = QRcode_encodeData((int)text.n, (const unsigned char *)text.p, 0, level);
	if (!code)
		error_errno(err, ERR_INTERNAL, errno, "the QR code could not be made");
	return code;
}

static bool dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && (code->data[y * code->width + x] & 1);
}

static void put_escaped(struct buf *out, const char *z)
{
	for (; *z; z++) {
		if (*z == '<')
			buf_puts(out, "&lt;");
		else if (*z == '&')
			buf_puts(out, "&amp;");
		else
			buf_putc(out, *z);
	}
}

/* Each run of dark modules in a row is one rectangle of the path. */
static void put_path(struct buf *out, const QRcode *code)
{
	for (int y = 0; y < code->width; y++) {
		for (int x = 0; x < code->width;) {
			int run = 0;
			while (dark(code, x + run, y))
				run++;
			if (run > 0)
				buf_printf(out, "M%d %dh%dv1h-%dz", x + QR_QUIET, y + QR_QUIET, run, run);
			x += run > 0 ? run : 1;
		}
	}
}

bool qr_svg_write(struct buf *out, struct str text, const char *title, struct error *err)
{
	QRcode *code = encode(text, QR_ECLEVEL_M, err);
	if (!code)
		return false;
	int size = code->width + 2 * QR_QUIET;
	buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" shape-rendering=\"crispEdges\"><title>", size, size);
	put_escaped(out, title);
	buf_printf(out, "</title><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path fill=\"#000\" d=\"", size, size);
	put_path(out, code);
	buf_puts(out, "\"/></svg>");
	QRcode_free(code);
	return true;
}

bool qr_terminal_write(struct buf *out, struct str text, bool inverted, size_t *columns, struct error *err)
{
	static const char *const blocks[] = {" ", "\u2584", "\u2580", "\u2588"}; /* nothing, lower half, upper half, both */
	QRcode *code = encode(text, QR_ECLEVEL_L, err);
	if (!code)
		return false;
	*columns = (size_t)code->width + 2 * TERMINAL_QUIET;
	for (int y = -TERMINAL_QUIET; y < code->width + TERMINAL_QUIET; y += 2) {
		for (int x = -TERMINAL_QUIET; x < code->width + TERMINAL_QUIET; x++) {
			bool upper = dark(code, x, y) != inverted;
			bool lower = y + 1 < code->width + TERMINAL_QUIET ? dark(code, x, y + 1) != inverted : false;
			buf_puts(out, blocks[(upper ? 2 : 0) + (lower ? 1 : 0)]);
		}
		buf_putc(out, '\n');
	}
	QRcode_free(code);
	return true;
}
