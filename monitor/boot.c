/* The boot page: what the kernel is told. Written once into a sealed memory file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/processor.h"
#include "monitor/cell.h"
#include "monitor/registry.h"

/* Less than a huge page, which the host would have to clear as a whole. */
#define BUILD_BYTES (VB_BOOT_MAX_BYTES - 4096)

#define NAMES_BYTES 4096 /* at most, of resolv.conf and of hosts */

/* The page under construction: strings go to its end. */
struct builder {
	char *bytes;
	uint32_t len;
	bool full;
};

static uint32_t append(struct builder *b, const void *data, size_t len)
{
	uint32_t at = b->len;
	if (len > BUILD_BYTES - b->len) {
		b->full = true;
		return 0;
	}
	memcpy(b->bytes + at, data, len);
	b->len += (uint32_t)len;
	return at;
}

static uint32_t append_string(struct builder *b, const char *s)
{
	return append(b, s, strlen(s) + 1);
}

static uint32_t append_list(struct builder *b, char *const *list, uint32_t *ret_count)
{
	uint32_t at = b->len, count = 0;
	for (; list[count] && !b->full; count++)
		append_string(b, list[count]);
	*ret_count = count;
	return at;
}

static void fill(struct monitor *m, struct builder *b)
{
	const struct monitor_options *o = m->options;
	struct vb_boot *boot = (struct vb_boot *)b->bytes;
	b->len = sizeof(*boot);
	boot->magic = VB_BOOT_MAGIC;
	boot->version = VB_BOOT_VERSION;
	boot->flags = o->boot_flags;
	boot->groups = append(b, o->groups, o->group_count * sizeof(uint32_t));
	boot->group_count = o->group_count;
	boot->program = append_string(b, o->program);
	boot->argv = append_list(b, o->arguments, &boot->argc);
	boot->envv = append_list(b, o->environment, &boot->envc);
	boot->cwd = append_string(b, o->cwd);
	boot->hostname = append_string(b, o->hostname);
	boot->uid = o->uid;
	boot->gid = o->gid;
	boot->volume_count = o->volume_count;
	for (unsigned i = 0; i < o->volume_count; i++) {
		boot->volume[i].target = append_string(b, o->volumes[i].target);
		boot->volume[i].flags = o->volumes[i].read_only;
	}
	char text[NAMES_BYTES];
	net_resolv_conf(m, text, sizeof(text));
	boot->resolv_conf = append_string(b, text);
	net_hosts(m, text, sizeof(text));
	boot->hosts = append_string(b, text);
	boot->net_count = m->net_count;
	for (unsigned i = 0; i < m->net_count; i++)
		boot->net[i] = m->net[i].boot;
	boot->site_count = o->site_folder_count;
	for (unsigned i = 0; i < o->site_folder_count; i++)
		boot->site[i] = append_string(b, o->site_folders[i]);
	const char *folder;
	struct vb_error ignored;
	struct vb_cpuid cpuid[VB_CPUID_MAX];
	if (registry_runtime_dir(&folder, &ignored) == 0)
		boot->cpuid_count = cpuid_answers(folder, cpuid, VB_CPUID_MAX);
	boot->cpuid = append(b, cpuid, boot->cpuid_count * sizeof(*cpuid));
	memcpy(boot->stdio, m->stdio, sizeof(boot->stdio));
	boot->memory_bytes = o->memory_bytes;
	boot->image_bytes = o->image_bytes;
	boot->sites_offset = o->sites_offset;
	boot->sites_bytes = o->sites_bytes;
	boot->size_bytes = b->len;
}

int boot_create(struct monitor *m, struct vb_error *err)
{
	/* Anonymous memory: only what is written is ever there. */
	struct builder b = {.bytes = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	if (b.bytes == MAP_FAILED)
		return vb_error_errno(err, "no memory for the boot page");
	fill(m, &b);
	int r = 0;
	if (b.full)
		r = vb_error_set(err, -E2BIG, "arguments and environment are too long: the limit is %u bytes", BUILD_BYTES);
	else if (getrandom(((struct vb_boot *)b.bytes)->seed, 32, 0) != 32)
		r = vb_error_errno(err, "no random numbers from the host");
	if (r == 0) {
		m->boot_fd = memfd_create("vauban-boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (m->boot_fd < 0 || pwrite(m->boot_fd, b.bytes, b.len, 0) != (ssize_t)b.len ||
			fcntl(m->boot_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
			r = vb_error_errno(err, "can't make the boot page");
	}
	munmap(b.bytes, BUILD_BYTES);
	return r;
}
