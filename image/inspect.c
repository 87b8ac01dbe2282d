/* `vauban image inspect`, `ls` and `verify`: what is in an image. The image is hostile: names are printed with control characters
 * made visible. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/types.h"
#include "image/commands.h"
#include "image/file.h"
#include "image/walk.h"

static void print_safely(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127 || *s == '\\')
			printf("\\%03o", (unsigned char)*s);
		else
			putchar(*s);
}

/* --- inspect --- */

struct totals {
	uint64_t files, directories, links, other, bytes;
};

static int count_entry(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	struct totals *t = arg;

	if (S_ISREG(e->inode->mode)) {
		t->files++;
		t->bytes += e->inode->size;
	} else if (S_ISDIR(e->inode->mode)) {
		t->directories++;
	} else if (S_ISLNK(e->inode->mode)) {
		t->links++;
	} else {
		t->other++;
	}
	return 0;
}

static int print_json(const struct image_file *f, const struct totals *t, struct vb_error *err)
{
	char *text, hash[65];
	json_t *root;
	int r = image_manifest_format(&f->manifest, &text, err);

	if (r)
		return r;
	for (size_t i = 0; i < 32; i++)
		sprintf(hash + 2 * i, "%02x", f->trailer.sha256[i]);
	root = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "manifest", json_loads(text, 0, NULL), "sha256", hash, "bytes",
		(json_int_t)f->size, "erofs_bytes", (json_int_t)f->trailer.erofs_bytes, "files", (json_int_t)t->files, "directories",
		(json_int_t)t->directories, "links", (json_int_t)t->links, "file_bytes", (json_int_t)t->bytes, "sites",
		(json_int_t)(f->trailer.sites_bytes / sizeof(struct vb_site)));
	free(text);
	r = root && !json_dumpf(root, stdout, JSON_INDENT(2)) ? 0 : vb_error_set(err, -ENOMEM, "can't print");
	putchar('\n');
	json_decref(root);
	return r;
}

static void print_list(const char *title, const struct image_strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		printf("%-12s ", i ? "" : title);
		print_safely(list->at[i]);
		putchar('\n');
	}
}

static void print_one(const char *title, const char *s)
{
	print_list(title, &(struct image_strings){1, (char *[]){(char *)s, NULL}});
}

static void print_text(const struct image_file *f, const struct totals *t)
{
	const struct image_manifest *m = &f->manifest;

	print_one("program", m->program);
	print_list("entry", &m->entry);
	print_list("arguments", &m->arguments);
	print_list("environment", &m->environment);
	print_one("cwd", m->cwd);
	printf("%-12s %" PRIu32 ":%" PRIu32 "\n", "user", m->uid, m->gid);
	printf("%-12s %" PRIu64 " MiB\n", "memory", m->memory_bytes >> 20);
	printf("%-12s %s\n", "jit", m->jit ? "yes" : "no");
	if (m->created_from)
		print_one("from", m->created_from);
	printf("%-12s %" PRIu64 " files (%" PRIu64 " bytes), %" PRIu64 " directories, %" PRIu64 " links\n", "holds", t->files, t->bytes,
		t->directories, t->links);
	printf("%-12s %" PRIu64 "\n", "call sites", f->trailer.sites_bytes / sizeof(struct vb_site));
	printf("%-12s %" PRIu64 " bytes, sha256 ", "image", f->size);
	for (size_t i = 0; i < 32; i++)
		printf("%02x", f->trailer.sha256[i]);
	putchar('\n');
}

static int inspect(const char *path, bool json, struct vb_error *err)
{
	struct totals totals = {0};
	struct image_file f;
	struct image_map m;
	int r = image_file_open(path, &f, err);

	if (r)
		return r;
	r = image_map(f.fd, f.trailer.erofs_bytes, &m, err);
	if (!r) {
		r = walk_image(&m, "/", true, count_entry, &totals, err);
		if (!r && json)
			r = print_json(&f, &totals, err);
		else if (!r)
			print_text(&f, &totals);
		image_unmap(&m);
	}
	image_file_close(&f);
	return r ? vb_error_wrap(err, r, "%s", path) : 0;
}

int command_inspect(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	struct vb_error err;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == 'j')
			json = true;
		else
			return command_usage("inspect", NULL);
	if (argc - optind != 1)
		return command_usage("inspect", "one FILE is needed");
	return inspect(argv[optind], json, &err) ? command_fail(&err) : 0;
}

/* --- ls --- */

static void mode_text(uint32_t mode, char *ret)
{
	static const char types[] = "?pc?d?b?-?l?s???";

	ret[0] = types[mode >> 12 & 15];
	for (int i = 0; i < 9; i++)
		ret[i + 1] = mode & (0400 >> i) ? "rwxrwxrwx"[i] : '-';
	if (mode & S_ISUID)
		ret[3] = mode & 0100 ? 's' : 'S';
	if (mode & S_ISGID)
		ret[6] = mode & 0010 ? 's' : 'S';
	if (mode & S_ISVTX)
		ret[9] = mode & 0001 ? 't' : 'T';
	ret[10] = 0;
}

static int list_entry(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	time_t seconds = e->inode->mtime_ns / 1000000000;
	char mode[11], date[32] = "?";
	struct tm tm;

	mode_text(e->inode->mode, mode);
	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s %5" PRIu32 ":%-5" PRIu32 " %10" PRIu64 " %s ", mode, e->inode->uid, e->inode->gid, e->inode->size, date);
	print_safely(e->path);
	if (*e->target) {
		printf(" -> ");
		print_safely(e->target);
	}
	putchar('\n');
	return 0;
}

int command_ls(int argc, char **argv)
{
	struct vb_error err;
	struct image_file f;
	struct image_map m;
	int r;

	if (argc < 2 || argc > 3 || argv[1][0] == '-')
		return command_usage("ls", "FILE and at most one PATH are needed");
	r = image_file_open(argv[1], &f, &err);
	if (r)
		return command_fail(&err);
	r = image_map(f.fd, f.trailer.erofs_bytes, &m, &err);
	if (!r) {
		r = walk_image(&m, argc == 3 ? argv[2] : "/", true, list_entry, NULL, &err);
		image_unmap(&m);
	}
	image_file_close(&f);
	return r ? command_fail(&err) : 0;
}

/* --- verify --- */

/* Reads every byte and every attribute. */
static int verify_entry(void *arg, const struct image_map *m, const struct walk_entry *e, struct vb_error *err)
{
	struct erofs_xattr x;
	uint64_t at = 0, run;
	int r;

	switch (e->inode->mode & S_IFMT) {
	case S_IFREG:
		while (at < e->inode->size) {
			erofs_span(&m->fs, e->inode, at, &run);
			if (!run || run > e->inode->size - at)
				return vb_error_set(err, -EUCLEAN, "broken image: %s: its data lie outside", e->path);
			at += run;
		}
		break;
	case S_IFDIR:
	case S_IFLNK: /* the walk has read them */
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return vb_error_set(err, -EUCLEAN, "broken image: %s: of no known type", e->path);
	}
	for (uint32_t i = 0; (r = erofs_xattr(&m->fs, e->inode, i, &x)); i++)
		if (r < 0)
			return vb_error_set(err, -EUCLEAN, "broken image: %s: its attributes can't be read", e->path);
	return 0;
}

/* What struct vb_site promises and can be seen without decoding instructions. */
static int verify_site(const struct image_map *m, const struct vb_site *site, const struct vb_site *before, struct vb_error *err)
{
	struct erofs_inode inode;
	uint8_t code[VB_SITE_MAX_BYTES];
	static const uint8_t zero[sizeof(site->reserved)];

	if (site->length < 5 || site->length > VB_SITE_MAX_BYTES || site->syscall_at > site->length - 2 ||
		memcmp(site->reserved, zero, sizeof(zero)))
		return vb_error_set(err, -EUCLEAN, "broken image: a call site of impossible size");
	if (before && (before->nid > site->nid || (before->nid == site->nid && before->offset + before->length > site->offset)))
		return vb_error_set(err, -EUCLEAN, "broken image: call sites out of order");
	if (erofs_inode(&m->fs, site->nid, &inode) || !S_ISREG(inode.mode) || !vb_range_within(site->offset, site->length, inode.size) ||
		site->offset / VB_PAGE_SIZE != (site->offset + site->length - 1) / VB_PAGE_SIZE ||
		erofs_read(&m->fs, &inode, site->offset, code, site->length) != site->length ||
		(memcmp(code + site->syscall_at, "\x0f\x05", 2) && memcmp(code + site->syscall_at, "\x0f\xa2", 2))) /* syscall, cpuid */
		return vb_error_set(err, -EUCLEAN, "broken image: a call site that is none");
	return 0;
}

static int verify_sites(const struct image_file *f, const struct image_map *m, const uint8_t *all, struct vb_error *err)
{
	const struct vb_site *sites = (const struct vb_site *)(all + f->trailer.sites_offset);
	size_t count = f->trailer.sites_bytes / sizeof(*sites);
	int r = 0;

	for (size_t i = 0; i < count && !r; i++)
		r = verify_site(m, &sites[i], i ? &sites[i - 1] : NULL, err);
	return r;
}

static int verify(const struct image_file *f, struct vb_error *err)
{
	static const uint8_t zero[VB_IMAGE_TRAILER_BYTES];
	uint64_t end = f->size - VB_IMAGE_TRAILER_BYTES;
	struct erofs_inode program;
	struct image_map m;
	uint8_t hash[32];
	uint8_t *all;
	int r = image_map(f->fd, f->trailer.erofs_bytes, &m, err);

	if (r)
		return r;
	all = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);
	if (all == MAP_FAILED) {
		image_unmap(&m);
		return vb_error_errno(err, "can't map the image");
	}
	if (EVP_Digest(all, end, hash, NULL, EVP_sha256(), NULL) != 1 || memcmp(hash, f->trailer.sha256, sizeof(hash)))
		r = vb_error_set(err, -EUCLEAN, "broken image: its checksum doesn't fit");
	else if (memcmp(all + end + sizeof(f->trailer), zero, VB_IMAGE_TRAILER_BYTES - sizeof(f->trailer)) || f->trailer.reserved)
		r = vb_error_set(err, -EUCLEAN, "broken image: its trailer isn't clean");
	else if (!(r = walk_image(&m, "/", true, verify_entry, NULL, err)) && !(r = verify_sites(f, &m, all, err)))
		r = walk_find(&m, f->manifest.program, &program, NULL) == -ENOENT
			    ? vb_error_set(err, -ENOENT, "the program %s is not in the image", f->manifest.program)
			    : 0;
	munmap(all, f->size);
	image_unmap(&m);
	return r;
}

int command_verify(int argc, char **argv)
{
	struct vb_error err;
	struct image_file f;
	int r;

	if (argc != 2 || argv[1][0] == '-')
		return command_usage("verify", "one FILE is needed");
	if (image_file_open(argv[1], &f, &err))
		return command_fail(&err);
	r = verify(&f, &err);
	if (r)
		vb_error_wrap(&err, r, "%s", argv[1]);
	image_file_close(&f);
	return r ? command_fail(&err) : 0;
}
