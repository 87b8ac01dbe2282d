/* /proc/cpuinfo: the one processor of the cell, described by CPUID. */
#include "kernel/fs/proc.h"

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

/* Linux's names of feature bits, in the order it prints them; "" is a bit without a name. */
struct feature_word {
	uint32_t leaf, sub;
	char reg;
	const char *names;
};

static const struct feature_word feature_words[] = {
	{1, 0, 'd',
		"fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht "
		"tm ia64 pbe"},
	{0x80000001, 0, 'd', "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
	{1, 0, 'c',
		"pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic "
		"movbe popcnt "
		"tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"},
	{0x80000001, 0, 'c',
		"lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - "
		"nodeid_msr - tbm "
		"topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx"},
	{7, 0, 'b',
		"fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap "
		"avx512ifma - clflushopt "
		"clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"},
	{0xd, 1, 'a', "xsaveopt xsavec xgetbv1 xsaves"},
	{7, 1, 'a', "- - - - avx_vnni avx512_bf16"},
	{7, 0, 'c',
		"- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - "
		"- - - - - - rdpid - "
		"bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc"},
	{7, 0, 'd',
		"- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize tsxldtrk - - pconfig arch_lbr - "
		"- - avx512_fp16 "
		"- -"},
};

static void show_flags(struct proc_text *out)
{
	uint32_t basic = cpuid(0, 0).eax, extended = cpuid(0x80000000, 0).eax;

	for (unsigned w = 0; w < VB_ARRAY_LEN(feature_words); w++) {
		const struct feature_word *word = &feature_words[w];
		if (word->leaf > (word->leaf >> 31 ? extended : basic))
			continue;
		struct cpuid c = cpuid(word->leaf, word->sub);
		uint32_t bits = word->reg == 'a' ? c.eax : word->reg == 'b' ? c.ebx : word->reg == 'c' ? c.ecx : c.edx;
		const char *name = word->names;
		for (int bit = 0; bit < 32 && *name; bit++) {
			const char *space = strchr(name, ' ');
			size_t len = space ? (size_t)(space - name) : strlen(name);
			if ((bits >> bit & 1) && *name != '-')
				proc_printf(out, " %.*s", (int)len, name);
			name += len + (space ? 1 : 0);
		}
	}
	proc_printf(out, "\n");
}

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Of the time stamp counter, measured against the clock since the machine started. */
static uint64_t tsc_khz(void)
{
	uint64_t ms = now_monotonic_ns() / 1000000;

	return ms ? tsc() / ms : 0;
}

static void show_model(struct proc_text *out)
{
	struct cpuid id = cpuid(0, 0), signature = cpuid(1, 0);
	uint32_t family = signature.eax >> 8 & 15, model = signature.eax >> 4 & 15;
	char vendor[13] = "", brand[49] = "";

	memcpy(vendor, &id.ebx, 4);
	memcpy(vendor + 4, &id.edx, 4);
	memcpy(vendor + 8, &id.ecx, 4);
	if (family == 6 || family == 15)
		model |= signature.eax >> 12 & 0xf0;
	if (family == 15)
		family += signature.eax >> 20 & 0xff;
	for (uint32_t i = 0; i < 3 && cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
		struct cpuid part = cpuid(0x80000002 + i, 0);
		memcpy(brand + i * 16, &part, 16);
	}
	const char *name = brand;
	while (*name == ' ')
		name++;
	proc_printf(out, "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", vendor, family, model,
		*name ? name : "unknown", signature.eax & 15);
}

static unsigned cache_kb(void)
{
	unsigned largest = 0;

	if (cpuid(0, 0).eax < 4)
		return 0;
	for (uint32_t i = 0; i < 8; i++) {
		struct cpuid c = cpuid(4, i);
		if (!(c.eax & 31))
			break;
		uint64_t bytes =
			(uint64_t)((c.ebx >> 22) + 1) * ((c.ebx >> 12 & 0x3ff) + 1) * ((c.ebx & 0xfff) + 1) * ((uint64_t)c.ecx + 1);
		largest = vb_max(largest, (unsigned)(bytes >> 10));
	}
	return largest;
}

int proc_show_cpuinfo(struct proc_text *out, const struct proc_subject *s)
{
	unsigned long long khz = tsc_khz();
	uint32_t clflush = (cpuid(1, 0).ebx >> 8 & 0xff) * 8, sizes = 0;

	if (cpuid(0x80000000, 0).eax >= 0x80000008)
		sizes = cpuid(0x80000008, 0).eax;
	proc_printf(out, "processor\t: 0\n");
	show_model(out);
	proc_printf(out,
		"cpu MHz\t\t: %llu.%03llu\ncache size\t: %u KB\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: "
		"1\napicid\t\t: 0\n"
		"initial apicid\t: 0\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:",
		khz / 1000, khz % 1000, cache_kb(), cpuid(0, 0).eax);
	show_flags(out);
	proc_printf(out,
		"bugs\t\t:\nbogomips\t: %llu.%02llu\nclflush size\t: %u\ncache_alignment\t: %u\naddress sizes\t: %u bits physical, %u bits "
		"virtual\n"
		"power management:\n\n",
		khz * 2 / 1000, khz * 2 / 10 % 100, clflush, clflush, sizes & 0xff, sizes >> 8 & 0xff);
	return 0;
}
