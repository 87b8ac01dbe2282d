/* Owns the drawing of the matrix. */
#include "variant/measure/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/types.h"
#include "host/error.h"
#include "variant/measure/canvas.h"

#define SQUARE 26
#define LEFT   150
#define TOP    60

/* White to dark blue by the logarithm of the percentage from 0.01 to 100, so that both 0.1% and 85% can be told apart. */
static uint32_t colour_of(double fraction)
{
	double x = fraction <= 0 ? 0 : (log10(fraction) + 4) / 4;
	x = vb_min(vb_max(x, 0.0), 1.0);
	return (uint32_t)(255 - 223 * x) << 16 | (uint32_t)(255 - 190 * x) << 8 | (uint32_t)(255 - 127 * x);
}

static void draw(struct canvas *c, const char *title, const double *fractions, const char *const *labels, unsigned count)
{
	static const double steps[] = {0, 0.0001, 0.001, 0.01, 0.1, 1};
	char text[64];
	canvas_text(c, 10, 20, ANCHOR_START, title);
	for (unsigned row = 0; row < count; row++) {
		snprintf(text, sizeof(text), "%u", row + 1);
		canvas_text(c, LEFT - 6, TOP + row * SQUARE + 17, ANCHOR_END, labels[row]);
		canvas_text(c, LEFT + row * SQUARE + SQUARE / 2, TOP - 6, ANCHOR_MIDDLE, text);
		for (unsigned column = 0; column < count; column++) {
			double f = fractions[row * count + column];
			snprintf(text, sizeof(text), "%u to %u: %.3f%%", row + 1, column + 1, 100 * f);
			canvas_square(c, LEFT + column * SQUARE, TOP + row * SQUARE, SQUARE, row == column ? 0xeeeeee : colour_of(f),
				row == column ? NULL : text);
		}
	}
	for (unsigned i = 0; i < VB_ARRAY_LEN(steps); i++) {
		unsigned x = LEFT + count * SQUARE + 20, y = TOP + i * (SQUARE - 6);
		snprintf(text, sizeof(text), "%g%%", 100 * steps[i]);
		canvas_square(c, x, y, 16, colour_of(steps[i]), NULL);
		canvas_text(c, x + 22, y + 12, ANCHOR_START, text);
	}
}

int plot_matrix(
	const char *path, const char *title, const double *fractions, const char *const *labels, unsigned count, struct vb_error *err)
{
	int r;
	unsigned squares = vb_max(count, 6u); /* the legend's height */
	struct canvas *c = canvas_new(path, vb_max(LEFT + count * SQUARE + 90, 400u), TOP + squares * SQUARE + 20, &r);
	if (!c)
		return vb_error_set(err, r, r == -EINVAL ? "a plot's name ends in .svg or .png, unlike %s" : "%s: out of memory", path);
	draw(c, title, fractions, labels, count);
	return canvas_finish(c, err);
}
