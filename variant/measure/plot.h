/* A picture of survivors: one square a pair of variants, the darker the more of the row's gadgets the column has. */
#ifndef VARIANT_MEASURE_PLOT_H
#define VARIANT_MEASURE_PLOT_H

struct vb_error;

/* fractions: count * count, row by row, within [0, 1]; labels: count, any text. path ends in .svg or .png. Replaces the file as a whole, or leaves it. 0 or -errno. */
int plot_matrix(
	const char *path, const char *title, const double *fractions, const char *const *labels, unsigned count, struct vb_error *err);

#endif
