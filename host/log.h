/* Messages of hosted programs to the person at the terminal: stderr, one line each. */
#ifndef HOST_LOG_H
#define HOST_LOG_H

/* "vauban: ..." */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
