/* Why something failed, as one line for a person, built on the way up. Callers own the storage; the code is -errno or
 * whatever the callee documents. err may be NULL where the caller needs only the code. */
#ifndef HOST_ERROR_H
#define HOST_ERROR_H

struct vb_error {
	char text[512];
};

/* Sets the text and returns code. */
int vb_error_set(struct vb_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets the text to "...: strerror(errno)" and returns -errno. */
int vb_error_errno(struct vb_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "...: " in front of the text and returns code. */
int vb_error_wrap(struct vb_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Makes text from elsewhere safe to show on a terminal, in place: control characters become '?'. Every error's text is. */
char *printable(char *text);

#endif
