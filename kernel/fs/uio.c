/* Data in flight between kernel and program. Owns the cursor of struct uio; trusts no address in it unless it is a kernel uio. */
#include "kernel/fs/fs.h"

void uio_init_user(struct uio *u, struct uio_vec *one, uint64_t base, size_t len)
{
	*one = (struct uio_vec){base, len};
	*u = (struct uio){.vec = one, .count = 1, .left = len};
}

void uio_init_kernel(struct uio *u, struct uio_vec *one, void *base, size_t len)
{
	uio_init_user(u, one, (uint64_t)base, len);
	u->kernel = true;
}

enum direction { PUT, PUT_ZERO, GET };

static int move_piece(struct uio *u, uint64_t at, uint8_t *data, size_t n, enum direction how)
{
	if (!u->kernel)
		return how == PUT ? copy_to_user(at, data, n) : how == GET ? copy_from_user(data, at, n) : zero_user(at, n);
	if (how == PUT)
		memcpy((void *)at, data, n);
	else if (how == GET)
		memcpy(data, (const void *)at, n);
	else
		memset((void *)at, 0, n);
	return 0;
}

/* A fault within a piece: its readable pages still count, as on Linux. */
static size_t move_until_fault(struct uio *u, uint64_t at, uint8_t *data, size_t n, enum direction how)
{
	size_t done = 0;

	while (done < n) {
		size_t step = vb_min(n - done, (size_t)(VB_PAGE_SIZE - (at + done) % VB_PAGE_SIZE));

		if (move_piece(u, at + done, data ? data + done : NULL, step, how))
			break;
		done += step;
	}
	return done;
}

static long move(struct uio *u, uint8_t *data, size_t n, enum direction how)
{
	size_t done = 0;

	n = vb_min(n, u->left);
	while (done < n) {
		struct uio_vec *v = u->vec;
		size_t step = vb_min(n - done, (size_t)v->len);
		bool fault = step && move_piece(u, v->base, data ? data + done : NULL, step, how);

		if (fault)
			step = move_until_fault(u, v->base, data ? data + done : NULL, step, how);
		v->base += step;
		v->len -= step;
		u->left -= step;
		done += step;
		if (fault)
			return done ? (long)done : -EFAULT;
		if (!v->len) {
			u->vec++;
			u->count--;
		}
	}
	return (long)done;
}

long uio_put(struct uio *u, const void *src, size_t n)
{
	return move(u, (uint8_t *)src, n, PUT);
}

long uio_put_zero(struct uio *u, size_t n)
{
	return move(u, NULL, n, PUT_ZERO);
}

long uio_get(struct uio *u, void *dst, size_t n)
{
	return move(u, dst, n, GET);
}
