/* The CPUID table and its file. Asking a trapping processor everything takes a millisecond, and even one question more than
 * all other work on the boot page, so it is done once a boot of the host: the host's kernel does not expect another
 * processor under it either.
 */
#include "host/processor.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUBLEAVES_MAX 16u

static void ask(struct vb_cpuid *a, uint32_t leaf, uint32_t subleaf)
{
	*a = (struct vb_cpuid){.leaf = leaf};
	a->subleaf = subleaf;
	__cpuid_count(leaf, subleaf == VB_CPUID_ANY ? 0 : subleaf, a->eax, a->ebx, a->ecx, a->edx);
	/* The number of the core that happens to answer: the cell has one CPU, number 0. */
	if (leaf == 1)
		a->ebx &= 0x00ffffff;
	else if (leaf == 0xb || leaf == 0x1f)
		a->edx = 0;
}

/* Leaves whose answer depends on ecx (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E). */
static int has_subleaves(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || (leaf >= 0xf && leaf <= 0x12) || leaf == 0x14 || leaf == 0x17 ||
	       leaf == 0x18 || leaf == 0x1b || (leaf >= 0x1d && leaf <= 0x20) || leaf == 0x23 || leaf == 0x24 || leaf == 0x8000001d ||
	       leaf == 0x80000020 || leaf == 0x80000026;
}

static unsigned ask_range(uint32_t first, struct vb_cpuid *ret, unsigned max)
{
	struct vb_cpuid a;
	unsigned count = 0;
	ask(&a, first, VB_CPUID_ANY);
	if (a.eax < first || a.eax > first + 0x100)
		return 0;
	for (uint32_t leaf = first, last = a.eax; leaf <= last; leaf++) {
		unsigned subleaves = has_subleaves(leaf) ? SUBLEAVES_MAX : 1;
		for (unsigned s = 0; s < subleaves; s++) {
			ask(&a, leaf, subleaves > 1 ? s : VB_CPUID_ANY);
			if (count == max)
				return max + 1;
			ret[count++] = a;
			/* An empty answer ends most leaves, and programs ask up to it; 0xd has gaps. */
			if (subleaves > 1 && s > 1 && leaf != 0xd && !a.eax && !a.ebx && !a.ecx && !a.edx)
				break;
		}
	}
	return count;
}

static unsigned ask_all(struct vb_cpuid *ret, unsigned max)
{
	static const uint32_t ranges[] = {0, 0x80000000, 0x40000000};
	unsigned count = 0;
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		unsigned n = ask_range(ranges[i], ret + count, max - count);
		if (n > max - count)
			return 0;
		count += n;
	}
	return count;
}

/* Of this boot, and not contrary to what the host tells each process for nothing: the features in leaf 1 edx. */
static bool is_current(int fd, const struct vb_cpuid *table, unsigned count)
{
	struct stat st;
	struct timespec now, up;
	if (fstat(fd, &st) || clock_gettime(CLOCK_REALTIME, &now) || clock_gettime(CLOCK_BOOTTIME, &up) ||
		st.st_ctime <= now.tv_sec - up.tv_sec)
		return false;
	uint32_t features = (uint32_t)getauxval(AT_HWCAP);
	for (unsigned i = 0; i < count; i++)
		if (table[i].leaf == 1)
			return (table[i].edx & features) == features;
	return false;
}

unsigned cpuid_answers(const char *folder, struct vb_cpuid *ret, unsigned max)
{
	char path[4096], temp[4200];
	snprintf(path, sizeof(path), "%s/cpuid", folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		ssize_t n = read(fd, ret, max * sizeof(*ret));
		unsigned count = n > 0 && n % sizeof(*ret) == 0 ? (unsigned)(n / sizeof(*ret)) : 0;
		bool current = is_current(fd, ret, count);
		close(fd);
		if (current)
			return count;
	}
	unsigned count = ask_all(ret, max);
	snprintf(temp, sizeof(temp), "%s.%d", path, getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (count && fd >= 0) { /* a cache: if it can't be written, the next start asks again */
		ssize_t size = (ssize_t)(count * sizeof(*ret));
		if (write(fd, ret, (size_t)size) != size || rename(temp, path))
			unlink(temp);
	}
	if (fd >= 0)
		close(fd);
	return count;
}
