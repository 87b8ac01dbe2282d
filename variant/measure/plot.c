/* Owns the drawing of the matrix, as SVG 1.1 without scripts or outside references. */
#include "variant/measure/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/file.h"

#define SQUARE 26
#define LEFT   150
#define TOP    60

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		const char *entity = *text == '<'   ? "&lt;"
				     : *text == '>' ? "&gt;"
				     : *text == '&' ? "&amp;"
				     : *text == '"' ? "&quot;"
						    : NULL;
		if (entity)
			fputs(entity, out);
		else
			fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
	}
}

/* White to dark blue by the logarithm of the percentage from 0.01 to 100, so that both 0.1% and 85% can be told apart. */
static void put_colour(FILE *out, double fraction)
{
	double x = fraction <= 0 ? 0 : (log10(fraction) + 4) / 4;
	x = x < 0 ? 0 : x > 1 ? 1 : x;
	fprintf(out, "#%02x%02x%02x", (int)(255 - 223 * x), (int)(255 - 190 * x), (int)(255 - 127 * x));
}

static void draw(FILE *out, const char *title, const double *fractions, const char *const *labels, unsigned count)
{
	unsigned width = LEFT + count * SQUARE + 110, height = TOP + count * SQUARE + 20, least = TOP + 6 * SQUARE;
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"11\">\n",
		width, height > least ? height : least);
	fputs("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"20\" font-size=\"14\">", out);
	put_text(out, title);
	fputs("</text>\n", out);
	for (unsigned row = 0; row < count; row++) {
		fprintf(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">", LEFT - 6, TOP + row * SQUARE + 17);
		put_text(out, labels[row]);
		fprintf(out, "</text>\n<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">%u</text>\n", LEFT + row * SQUARE + SQUARE / 2,
			TOP - 6, row + 1);
		for (unsigned column = 0; column < count; column++) {
			double f = fractions[row * count + column];
			fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" stroke=\"#ccc\" fill=\"", LEFT + column * SQUARE,
				TOP + row * SQUARE, SQUARE, SQUARE);
			if (row == column)
				fputs("#eee", out);
			else
				put_colour(out, f);
			fputs("\">", out);
			if (row != column)
				fprintf(out, "<title>%u to %u: %.3f%%</title>", row + 1, column + 1, 100 * f);
			fputs("</rect>\n", out);
		}
	}
	static const double steps[] = {0, 0.0001, 0.001, 0.01, 0.1, 1};
	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		unsigned x = LEFT + count * SQUARE + 20, y = TOP + i * (SQUARE - 6);
		fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"16\" height=\"16\" stroke=\"#ccc\" fill=\"", x, y);
		put_colour(out, steps[i]);
		fprintf(out, "\"/><text x=\"%u\" y=\"%u\">%g%%</text>\n", x + 22, y + 12, 100 * steps[i]);
	}
	fputs("</svg>\n", out);
}

int plot_matrix(
	const char *path, const char *title, const double *fractions, const char *const *labels, unsigned count, struct vb_error *err)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return vb_error_set(err, -ENOMEM, "out of memory");
	draw(out, title, fractions, labels, count);
	if (fclose(out) != 0) {
		free(text);
		return vb_error_set(err, -ENOMEM, "out of memory");
	}
	int r = file_replace(AT_FDCWD, path, text, length);
	free(text);
	return r < 0 ? vb_error_set(err, r, "can't write %s: %s", path, strerror(-r)) : 0;
}
