/* What pictures are drawn on: SVG, or PNG with a small font of its own. */
#ifndef VARIANT_MEASURE_CANVAS_H
#define VARIANT_MEASURE_CANVAS_H

#include <stddef.h>
#include <stdint.h>

struct vb_error;
struct canvas;

enum anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

/* By the end of the file's name, .svg or .png. NULL, with -EINVAL or -ENOMEM in *ret, if it is another or memory is short. */
struct canvas *canvas_new(const char *path, unsigned width, unsigned height, int *ret);
/* colour: 0xRRGGBB. note: what a pointer over it shows, where there are pointers; may be NULL. */
void canvas_square(struct canvas *c, unsigned x, unsigned y, unsigned size, uint32_t colour, const char *note);
/* At the base line. Any text: what is no printable ASCII becomes '?'. */
void canvas_text(struct canvas *c, unsigned x, unsigned y, enum anchor anchor, const char *text);
/* Replaces the file as a whole, or leaves it, and frees the canvas. 0 or -errno. */
int canvas_finish(struct canvas *c, struct vb_error *err);

#endif
