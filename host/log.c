/* Messages to the person at the terminal. One write each, so that lines of several processes don't mix. */
#include "host/log.h"

#include "host/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void log_error(const char *fmt, ...)
{
	char line[1024] = "vauban: ";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + 8, sizeof(line) - 9, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	fd_write_all(STDERR_FILENO, line, strlen(line));
}
