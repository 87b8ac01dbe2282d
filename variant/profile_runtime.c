/* Linked into programs that are built with --profile-generate: adds the counters of this run to the file $VAUBAN_PROFILE (vauban.profile
 * if that isn't set) when the program exits. The counters are in the section vauban_profile, as variant/assembly/profile.c writes
 * them. Lines are appended whole, so that several processes can share a file; the reader adds up. Needs only what any libc has. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct counter {
	uint64_t count, function, block;
};
extern struct counter __start_vauban_profile[] __attribute__((weak, visibility("hidden")));
extern struct counter __stop_vauban_profile[] __attribute__((weak, visibility("hidden")));

static char *put_number(char *at, uint64_t value, unsigned base)
{
	char digits[24];
	unsigned n = 0;
	do
		digits[n++] = "0123456789abcdef"[value % base];
	while (value /= base);
	while (n)
		*at++ = digits[--n];
	return at;
}

__attribute__((destructor)) static void vauban_profile_write(void)
{
	const char *path = getenv("VAUBAN_PROFILE");
	char buffer[4096], *at = buffer;
	int fd = open(path && *path ? path : "vauban.profile", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	for (struct counter *c = __start_vauban_profile; c && c < __stop_vauban_profile; c++) {
		if (!c->count)
			continue;
		at = put_number(at, c->function, 16);
		*at++ = ' ';
		at = put_number(at, c->block, 10);
		*at++ = ' ';
		at = put_number(at, c->count, 10);
		*at++ = '\n';
		c->count = 0; /* a second call adds nothing */
		if (at > buffer + sizeof(buffer) - 64) {
			if (write(fd, buffer, (size_t)(at - buffer)) < 0)
				break;
			at = buffer;
		}
	}
	if (at > buffer && write(fd, buffer, (size_t)(at - buffer)) < 0)
		at = buffer; /* nobody to tell */
	close(fd);
}
