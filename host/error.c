/* Error texts. */
#include "host/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters: ASCII's, and those of ISO 6429 in UTF-8 (c2 80 to c2 9f). */
char *printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < 32 || *c == 127)
			*c = '?';
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
	}
	return text;
}

int vb_error_set(struct vb_error *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		printable(err->text);
	}
	return code;
}

/* Where the limit lies that was met. */
static const char *hint(int code)
{
	switch (code) {
	case EMFILE:
		return " (see `ulimit -n`)";
	case EAGAIN: /* of fork() */
		return " (too many processes: see `ulimit -u`)";
	default:
		return "";
	}
}

int vb_error_errno(struct vb_error *err, const char *fmt, ...)
{
	int code = errno;
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		size_t len = strlen(err->text);
		snprintf(err->text + len, sizeof(err->text) - len, ": %s%s", strerror(code), hint(code));
		printable(err->text);
	}
	return -code;
}

int vb_error_wrap(struct vb_error *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	struct vb_error old = *err;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", old.text);
	printable(err->text);
	return code;
}
