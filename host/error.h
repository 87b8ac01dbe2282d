/* Error texts of hosted code: the code says what happened to the program, the text to the reader. Functions that can fail take
 * `struct vb_error *err` last (NULL: nobody wants the text) and return -errno. */
#ifndef HOST_ERROR_H
#define HOST_ERROR_H

struct vb_error {
	char text[512];
};

/* Sets the text; returns code. */
int vb_error_set(struct vb_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text; returns code. */
int vb_error_wrap(struct vb_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
