/* Error texts: owns nothing; long texts are cut. */
#include "host/error.h"

#include <stdarg.h>
#include <stdio.h>

int vb_error_set(struct vb_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int vb_error_wrap(struct vb_error *err, int code, const char *fmt, ...)
{
	char context[sizeof(err->text)], old[sizeof(err->text)];
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	snprintf(old, sizeof(old), "%s", err->text);
	if (snprintf(err->text, sizeof(err->text), "%.*s: %s", (int)sizeof(context) / 2, context, old) < 0)
		err->text[0] = 0;
	return code;
}
