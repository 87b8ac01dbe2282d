/* Opens image files. Owns the descriptor and the manifest; the file is hostile. */
#include "image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"

enum { EROFS_SUPER_OFFSET = 1024, EROFS_MAGIC = 0xe0f5e1e2u };

static int read_at(int fd, void *buf, size_t len, uint64_t offset, struct vb_error *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return vb_error_set(err, n ? -errno : -EIO, "can't read: %s", n ? strerror(errno) : "the file has shrunk");
		done += n;
	}
	return 0;
}

static int check_trailer(const struct vb_image_trailer *t, uint64_t size, struct vb_error *err)
{
	uint64_t end = size - VB_IMAGE_TRAILER_BYTES;

	if (t->version != VB_IMAGE_VERSION)
		return vb_error_set(err, -EINVAL, "image version %u; this build reads version %u", t->version, VB_IMAGE_VERSION);
	if (t->manifest_bytes > VB_IMAGE_MANIFEST_MAX_BYTES || t->sites_bytes % sizeof(struct vb_site) || t->sites_offset % 8 ||
		t->erofs_bytes % VB_PAGE_SIZE || !t->erofs_bytes || t->erofs_bytes > t->manifest_offset ||
		!vb_range_within(t->manifest_offset, t->manifest_bytes, end) || t->manifest_offset + t->manifest_bytes > t->sites_offset ||
		!vb_range_within(t->sites_offset, t->sites_bytes, end))
		return vb_error_set(err, -EUCLEAN, "broken image: its trailer contradicts the file");
	return 0;
}

/* Without a trailer: an image that was cut short still begins with a superblock. */
static int no_image(struct image_file *f, struct vb_error *err)
{
	uint32_t magic;
	int r = read_at(f->fd, &magic, sizeof(magic), EROFS_SUPER_OFFSET, err);

	if (r)
		return r;
	if (magic == EROFS_MAGIC)
		return vb_error_set(err, -EUCLEAN,
			"an image that was cut short, or an EROFS file system without Vauban's trailer: copy or build it again");
	return vb_error_set(err, -ENOEXEC, "not a Vauban image");
}

static int load(struct image_file *f, struct vb_error *err)
{
	uint8_t page[VB_IMAGE_TRAILER_BYTES];
	char *text;
	int r;

	if (f->size < VB_IMAGE_TRAILER_BYTES)
		return vb_error_set(err, -ENOEXEC, "not a Vauban image (too short)");
	r = read_at(f->fd, page, sizeof(page), f->size - sizeof(page), err);
	if (r)
		return r;
	memcpy(&f->trailer, page, sizeof(f->trailer));
	if (f->trailer.magic != VB_IMAGE_MAGIC)
		return no_image(f, err);
	r = check_trailer(&f->trailer, f->size, err);
	if (r)
		return r;
	text = malloc(f->trailer.manifest_bytes + 1);
	if (!text)
		return vb_error_set(err, -ENOMEM, "out of memory");
	r = read_at(f->fd, text, f->trailer.manifest_bytes, f->trailer.manifest_offset, err);
	if (!r)
		r = image_manifest_load(text, f->trailer.manifest_bytes, &f->manifest, err);
	free(text);
	return r;
}

int image_file_open(const char *path, struct image_file *ret, struct vb_error *err)
{
	struct image_file f = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
	struct stat st;
	int r;

	if (f.fd < 0 || fstat(f.fd, &st))
		r = vb_error_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = vb_error_set(err, -EINVAL, "%s: not a regular file", path);
	else {
		f.size = st.st_size;
		r = load(&f, err);
		if (r)
			vb_error_wrap(err, r, "%s", path);
	}
	if (r)
		image_file_close(&f);
	else
		*ret = f;
	return r;
}

void image_file_close(struct image_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	image_manifest_release(&f->manifest);
	f->fd = -1;
}
