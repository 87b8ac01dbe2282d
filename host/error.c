/* Error texts. */
#include "host/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vb_error_set(struct vb_error *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
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
	return code;
}
