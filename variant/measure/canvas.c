/* Owns the two formats. SVG 1.1 without scripts or outside references; PNG of 8 bits a colour, compressed by zlib. */
#include "variant/measure/canvas.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "host/error.h"
#include "host/file.h"

#define GLYPH_COLUMNS 5
#define GLYPH_STEP    6
#define GLYPH_HEIGHT  7

struct canvas {
	char *path;
	unsigned width, height;
	FILE *svg; /* NULL: PNG */
	char *text;
	size_t text_bytes;
	uint8_t *pixels; /* rows of a filter byte and 3 bytes a pixel */
};

/* Printable ASCII, five columns each, the lowest bit on top. */
static const uint8_t font[][GLYPH_COLUMNS] = {{0, 0, 0, 0, 0}, {0, 0, 0x5f, 0, 0}, {0, 7, 0, 7, 0}, {0x14, 0x7f, 0x14, 0x7f, 0x14},
	{0x24, 0x2a, 0x7f, 0x2a, 0x12}, {0x23, 0x13, 8, 0x64, 0x62}, {0x36, 0x49, 0x56, 0x20, 0x50}, {0, 8, 7, 3, 0},
	{0, 0x1c, 0x22, 0x41, 0}, {0, 0x41, 0x22, 0x1c, 0}, {0x2a, 0x1c, 0x7f, 0x1c, 0x2a}, {8, 8, 0x3e, 8, 8}, {0, 0x80, 0x70, 0x30, 0},
	{8, 8, 8, 8, 8}, {0, 0, 0x60, 0x60, 0}, {0x20, 0x10, 8, 4, 2}, {0x3e, 0x51, 0x49, 0x45, 0x3e}, {0, 0x42, 0x7f, 0x40, 0},
	{0x72, 0x49, 0x49, 0x49, 0x46}, {0x21, 0x41, 0x49, 0x4d, 0x33}, {0x18, 0x14, 0x12, 0x7f, 0x10}, {0x27, 0x45, 0x45, 0x45, 0x39},
	{0x3c, 0x4a, 0x49, 0x49, 0x31}, {0x41, 0x21, 0x11, 9, 7}, {0x36, 0x49, 0x49, 0x49, 0x36}, {0x46, 0x49, 0x49, 0x29, 0x1e},
	{0, 0, 0x14, 0, 0}, {0, 0x40, 0x34, 0, 0}, {0, 8, 0x14, 0x22, 0x41}, {0x14, 0x14, 0x14, 0x14, 0x14}, {0, 0x41, 0x22, 0x14, 8},
	{2, 1, 0x59, 9, 6}, {0x3e, 0x41, 0x5d, 0x59, 0x4e}, {0x7c, 0x12, 0x11, 0x12, 0x7c}, {0x7f, 0x49, 0x49, 0x49, 0x36},
	{0x3e, 0x41, 0x41, 0x41, 0x22}, {0x7f, 0x41, 0x41, 0x41, 0x3e}, {0x7f, 0x49, 0x49, 0x49, 0x41}, {0x7f, 9, 9, 9, 1},
	{0x3e, 0x41, 0x41, 0x51, 0x73}, {0x7f, 8, 8, 8, 0x7f}, {0, 0x41, 0x7f, 0x41, 0}, {0x20, 0x40, 0x41, 0x3f, 1},
	{0x7f, 8, 0x14, 0x22, 0x41}, {0x7f, 0x40, 0x40, 0x40, 0x40}, {0x7f, 2, 0x1c, 2, 0x7f}, {0x7f, 4, 8, 0x10, 0x7f},
	{0x3e, 0x41, 0x41, 0x41, 0x3e}, {0x7f, 9, 9, 9, 6}, {0x3e, 0x41, 0x51, 0x21, 0x5e}, {0x7f, 9, 0x19, 0x29, 0x46},
	{0x26, 0x49, 0x49, 0x49, 0x32}, {3, 1, 0x7f, 1, 3}, {0x3f, 0x40, 0x40, 0x40, 0x3f}, {0x1f, 0x20, 0x40, 0x20, 0x1f},
	{0x3f, 0x40, 0x38, 0x40, 0x3f}, {0x63, 0x14, 8, 0x14, 0x63}, {3, 4, 0x78, 4, 3}, {0x61, 0x59, 0x49, 0x4d, 0x43},
	{0, 0x7f, 0x41, 0x41, 0x41}, {2, 4, 8, 0x10, 0x20}, {0, 0x41, 0x41, 0x41, 0x7f}, {4, 2, 1, 2, 4}, {0x40, 0x40, 0x40, 0x40, 0x40},
	{0, 3, 7, 8, 0}, {0x20, 0x54, 0x54, 0x78, 0x40}, {0x7f, 0x28, 0x44, 0x44, 0x38}, {0x38, 0x44, 0x44, 0x44, 0x28},
	{0x38, 0x44, 0x44, 0x28, 0x7f}, {0x38, 0x54, 0x54, 0x54, 0x18}, {0, 8, 0x7e, 9, 2}, {0x18, 0xa4, 0xa4, 0x9c, 0x78},
	{0x7f, 8, 4, 4, 0x78}, {0, 0x44, 0x7d, 0x40, 0}, {0x20, 0x40, 0x40, 0x3d, 0}, {0x7f, 0x10, 0x28, 0x44, 0}, {0, 0x41, 0x7f, 0x40, 0},
	{0x7c, 4, 0x78, 4, 0x78}, {0x7c, 8, 4, 4, 0x78}, {0x38, 0x44, 0x44, 0x44, 0x38}, {0xfc, 0x18, 0x24, 0x24, 0x18},
	{0x18, 0x24, 0x24, 0x18, 0xfc}, {0x7c, 8, 4, 4, 8}, {0x48, 0x54, 0x54, 0x54, 0x24}, {4, 4, 0x3f, 0x44, 0x24},
	{0x3c, 0x40, 0x40, 0x20, 0x7c}, {0x1c, 0x20, 0x40, 0x20, 0x1c}, {0x3c, 0x40, 0x30, 0x40, 0x3c}, {0x44, 0x28, 0x10, 0x28, 0x44},
	{0x4c, 0x90, 0x90, 0x90, 0x7c}, {0x44, 0x64, 0x54, 0x4c, 0x44}, {0, 8, 0x36, 0x41, 0}, {0, 0, 0x77, 0, 0}, {0, 0x41, 0x36, 8, 0},
	{2, 1, 2, 4, 2}};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n > m && strcmp(text + n - m, end) == 0;
}

struct canvas *canvas_new(const char *path, unsigned width, unsigned height, int *ret)
{
	bool is_svg = ends_with(path, ".svg");
	*ret = -EINVAL;
	if (!is_svg && !ends_with(path, ".png"))
		return NULL;
	*ret = -ENOMEM;
	struct canvas *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct canvas){.path = strdup(path), .width = width, .height = height};
	if (is_svg)
		c->svg = open_memstream(&c->text, &c->text_bytes);
	else
		c->pixels = malloc((size_t)height * (3 * (size_t)width + 1));
	if (!c->path || (is_svg ? !c->svg : !c->pixels)) {
		free(c->path);
		free(c->pixels);
		free(c);
		return NULL;
	}
	if (c->svg)
		fprintf(c->svg,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" "
			"font-size=\"11\">\n"
			"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			width, height);
	for (unsigned y = 0; c->pixels && y < height; y++) {
		uint8_t *row = c->pixels + (size_t)y * (3 * (size_t)width + 1);
		memset(row, 0xff, 3 * (size_t)width + 1);
		row[0] = 0; /* no filter */
	}
	return c;
}

static void put_pixel(struct canvas *c, unsigned x, unsigned y, uint32_t colour)
{
	if (x >= c->width || y >= c->height)
		return;
	uint8_t *at = c->pixels + (size_t)y * (3 * (size_t)c->width + 1) + 1 + 3 * (size_t)x;
	at[0] = (uint8_t)(colour >> 16);
	at[1] = (uint8_t)(colour >> 8);
	at[2] = (uint8_t)colour;
}

static void put_escaped(FILE *out, const char *text)
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
			fputc(*text < ' ' || *text > '~' ? '?' : *text, out);
	}
}

void canvas_square(struct canvas *c, unsigned x, unsigned y, unsigned size, uint32_t colour, const char *note)
{
	if (c->svg) {
		fprintf(c->svg, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" stroke=\"#ccc\" fill=\"#%06x\">", x, y, size, size,
			colour);
		if (note) {
			fputs("<title>", c->svg);
			put_escaped(c->svg, note);
			fputs("</title>", c->svg);
		}
		fputs("</rect>\n", c->svg);
		return;
	}
	for (unsigned i = 0; i <= size; i++)
		for (unsigned k = 0; k <= size; k++)
			put_pixel(c, x + i, y + k, i == 0 || k == 0 || i == size || k == size ? 0xcccccc : colour);
}

void canvas_text(struct canvas *c, unsigned x, unsigned y, enum anchor anchor, const char *text)
{
	static const char *const names[] = {"start", "middle", "end"};
	if (c->svg) {
		fprintf(c->svg, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\">", x, y, names[anchor]);
		put_escaped(c->svg, text);
		fputs("</text>\n", c->svg);
		return;
	}
	unsigned length = (unsigned)strlen(text) * GLYPH_STEP;
	x -= anchor == ANCHOR_END ? length : anchor == ANCHOR_MIDDLE ? length / 2 : 0; /* what wraps around isn't drawn */
	for (; *text; text++, x += GLYPH_STEP) {
		const uint8_t *glyph = font[*text < ' ' || *text > '~' ? '?' - ' ' : *text - ' '];
		for (unsigned i = 0; i < GLYPH_COLUMNS; i++)
			for (unsigned k = 0; k < 8; k++)
				if (glyph[i] >> k & 1)
					put_pixel(c, x + i, y - GLYPH_HEIGHT + k, 0);
	}
}

static void put_chunk(FILE *out, const char *type, const void *bytes, size_t size)
{
	uint32_t length = htonl((uint32_t)size);
	uLong sum = crc32(crc32(0, NULL, 0), (const Bytef *)type, 4);
	if (size)
		sum = crc32(sum, bytes, (uInt)size);
	uint32_t check = htonl((uint32_t)sum);
	fwrite(&length, 4, 1, out);
	fwrite(type, 4, 1, out);
	if (size)
		fwrite(bytes, size, 1, out);
	fwrite(&check, 4, 1, out);
}

static int finish_png(struct canvas *c)
{
	struct {
		uint32_t width, height;
		uint8_t rest[5];
	} __attribute__((packed)) header = {htonl(c->width), htonl(c->height), {8, 2, 0, 0, 0}}; /* 8 bits, RGB */
	uLong raw = (uLong)c->height * (3 * (uLong)c->width + 1);
	uLongf packed = compressBound(raw);
	Bytef *data = malloc(packed);
	FILE *out = open_memstream(&c->text, &c->text_bytes);
	int r = data && out && compress(data, &packed, c->pixels, raw) == Z_OK ? 0 : -ENOMEM;
	if (r == 0) {
		fwrite("\x89PNG\r\n\x1a\n", 8, 1, out);
		put_chunk(out, "IHDR", &header, sizeof(header));
		put_chunk(out, "IDAT", data, packed);
		put_chunk(out, "IEND", NULL, 0);
	}
	if (out && fclose(out) != 0)
		r = -ENOMEM;
	free(data);
	return r;
}

int canvas_finish(struct canvas *c, struct vb_error *err)
{
	int r;
	if (c->svg) {
		fputs("</svg>\n", c->svg);
		r = fclose(c->svg) == 0 ? 0 : -ENOMEM;
	} else {
		r = finish_png(c);
	}
	if (r == 0)
		r = file_replace(AT_FDCWD, c->path, c->text, c->text_bytes);
	if (r < 0)
		vb_error_set(err, r, "can't write %s: %s", c->path, strerror(-r));
	free(c->text);
	free(c->pixels);
	free(c->path);
	free(c);
	return r;
}
