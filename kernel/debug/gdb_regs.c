/* Registers of a thread as gdb wants them, and their description. Owns nothing.
 *
 * The order is that of gdb's own x86-64 Linux description: core, SSE, orig_rax, segment bases, upper halves of AVX.
 */
#include "kernel/debug/gdb.h"

#include "kernel/platform/platform.h"
#include "kernel/task/patch.h"

#define RFLAGS_TF     0x100ull
#define XSTATE_X87    1u
#define XSTATE_SSE    2u
#define XSTATE_AVX    4u
#define XSTATE_BV_AT  512
#define XSTATE_AVX_AT 576 /* in the standard layout on every CPU */

/* Runs of registers of one size. */
static const struct {
	uint8_t count, bytes;
} runs[] = {
	{17, 8},  /* rax ... rip */
	{7, 4},   /* eflags, segments */
	{8, 10},  /* st */
	{8, 4},   /* x87 control */
	{16, 16}, /* xmm */
	{1, 4},   /* mxcsr */
	{3, 8},   /* orig_rax, fs_base, gs_base */
	{16, 16}, /* ymmh */
};
enum {
	AT_RIP = 16 * 8,
	AT_EFLAGS = AT_RIP + 8,
	AT_CS = AT_EFLAGS + 4,
	AT_ST = AT_EFLAGS + 7 * 4,
	AT_X87 = AT_ST + 80,
	AT_XMM = AT_X87 + 32,
	AT_MXCSR = AT_XMM + 256,
	AT_ORIG_RAX = AT_MXCSR + 4,
	AT_FS_BASE = AT_ORIG_RAX + 8,
	AT_GS_BASE = AT_FS_BASE + 8,
	AT_YMMH = AT_GS_BASE + 8
};
_Static_assert(AT_YMMH + 256 == GDB_REGS_BYTES, "the runs and the block agree");

bool gdb_reg_place(unsigned n, unsigned *ret_offset, unsigned *ret_bytes)
{
	unsigned offset = 0;
	for (unsigned i = 0; i < VB_ARRAY_LEN(runs); i++) {
		if (n < runs[i].count) {
			*ret_offset = offset + n * runs[i].bytes;
			*ret_bytes = runs[i].bytes;
			return true;
		}
		n -= runs[i].count;
		offset += (unsigned)runs[i].count * runs[i].bytes;
	}
	return false;
}

/* The general registers in gdb's order, within struct regs. */
static uint64_t *general(struct regs *r, unsigned i)
{
	uint64_t *const order[16] = {&r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp, &r->rsp, &r->r8, &r->r9, &r->r10,
		&r->r11, &r->r12, &r->r13, &r->r14, &r->r15};
	return order[i];
}

/* clang-format off */
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }
static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
/* clang-format on */

/* The thread's XSAVE area, up to date. The running thread's is free to be used: its state is in the CPU. */
static uint8_t *xstate_of(struct task *t)
{
	if (t == current)
		platform_xstate_save(t->xstate);
	return t->xstate;
}

static void x87_get(const uint8_t *x, uint8_t *block)
{
	uint16_t tags = 0;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(block + AT_ST + i * 10, x + 32 + i * 16, 10);
		if (!(x[4] >> i & 1)) /* FXSAVE keeps one bit: in use or empty */
			tags |= (uint16_t)(3u << 2 * i);
	}
	const uint32_t control[8] = {get16(x), get16(x + 2), tags, 0, get32(x + 8), 0, get32(x + 16), get16(x + 6)};
	memcpy(block + AT_X87, control, sizeof(control));
}

static void x87_set(uint8_t *x, const uint8_t *block)
{
	const uint8_t *control = block + AT_X87;
	put16(x, (uint16_t)get32(control));
	put16(x + 2, (uint16_t)get32(control + 4));
	x[4] = 0;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(x + 32 + i * 16, block + AT_ST + i * 10, 10);
		if ((get32(control + 8) >> 2 * i & 3) != 3)
			x[4] |= (uint8_t)(1u << i);
	}
}

void gdb_regs_get(struct task *t, uint8_t block[GDB_REGS_BYTES])
{
	struct regs *r = t->regs;
	const uint8_t *x = xstate_of(t);
	uint64_t live = get64(x + XSTATE_BV_AT);

	memset(block, 0, GDB_REGS_BYTES);
	for (unsigned i = 0; i < 16; i++)
		put64(block + i * 8, *general(r, i));
	put64(block + AT_RIP, patch_user_rip(r->rip));
	put32(block + AT_EFLAGS, (uint32_t)(r->rflags & ~RFLAGS_TF));
	put32(block + AT_CS, 0x33);
	put32(block + AT_CS + 4, 0x2b);
	if (live & XSTATE_X87)
		x87_get(x, block);
	else
		put32(block + AT_X87, 0x37f), put32(block + AT_X87 + 8, 0xffff);
	if (live & XSTATE_SSE)
		memcpy(block + AT_XMM, x + 160, 256);
	put32(block + AT_MXCSR, live & (XSTATE_SSE | XSTATE_AVX) ? get32(x + 24) : 0x1f80);
	if (live & platform_xstate_mask & XSTATE_AVX)
		memcpy(block + AT_YMMH, x + XSTATE_AVX_AT, 256);
	put64(block + AT_ORIG_RAX, r->orig_rax);
	put64(block + AT_FS_BASE, t == current ? platform_fs_base_get() : t->fs_base);
	put64(block + AT_GS_BASE, t == current ? platform_gs_base_get() : t->gs_base);
}

static void xstate_set(struct task *t, const uint8_t *block)
{
	uint8_t *x = xstate_of(t);
	uint64_t live = get64(x + XSTATE_BV_AT) | XSTATE_X87 | XSTATE_SSE;
	x87_set(x, block);
	memcpy(x + 160, block + AT_XMM, 256);
	put32(x + 24, get32(block + AT_MXCSR) & get32(x + 28)); /* reserved bits would fault */
	if (platform_xstate_mask & XSTATE_AVX) {
		memcpy(x + XSTATE_AVX_AT, block + AT_YMMH, 256);
		live |= XSTATE_AVX;
	}
	put64(x + XSTATE_BV_AT, live);
	if (t == current)
		platform_xstate_load(x);
}

/* Only what the debugger changed is touched: a call in progress keeps its place in a trampoline. */
void gdb_regs_set(struct task *t, const uint8_t block[GDB_REGS_BYTES])
{
	uint8_t old[GDB_REGS_BYTES];
	struct regs *r = t->regs;
	gdb_regs_get(t, old);

	for (unsigned i = 0; i < 16; i++)
		*general(r, i) = get64(block + i * 8);
	if (memcmp(block + AT_RIP, old + AT_RIP, 8))
		r->rip = patch_resume_rip(get64(block + AT_RIP));
	const uint64_t arithmetic = 0xcd5 | 0x40000 | 0x200000; /* what a program may change: not interrupts, not privilege */
	r->rflags = (r->rflags & ~arithmetic) | (get32(block + AT_EFLAGS) & arithmetic);
	r->orig_rax = get64(block + AT_ORIG_RAX);
	if (memcmp(block + AT_ST, old + AT_ST, AT_ORIG_RAX - AT_ST) || memcmp(block + AT_YMMH, old + AT_YMMH, 256))
		xstate_set(t, block);
	uint64_t fs = get64(block + AT_FS_BASE), gs = get64(block + AT_GS_BASE);
	if (fs < boot->user_high && memcmp(block + AT_FS_BASE, old + AT_FS_BASE, 8)) {
		t->fs_base = fs;
		if (t == current)
			platform_fs_base_set(fs);
	}
	if (gs < boot->user_high && memcmp(block + AT_GS_BASE, old + AT_GS_BASE, 8)) {
		t->gs_base = gs;
		if (t == current)
			platform_gs_base_set(gs);
	}
}

/* clang-format off */
#define REG(name, bits, type)  "<reg name=\"" name "\" bitsize=\"" bits "\" type=\"" type "\"/>"
#define REG8(p, n, bits, type) REG(p #n, bits, type)
#define ALL8(X)		       X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define ALL16(X)	       ALL8(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LONG(name)	       REG(name, "64", "int64")
#define INT(name)	       REG(name, "32", "int32")
#define X87(name)	       "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define ST(n)		       REG8("st", n, "80", "i387_ext")
#define XMM(n)		       REG8("xmm", n, "128", "vec128")
#define YMMH(n)		       "<reg name=\"ymm" #n "h\" bitsize=\"128\" type=\"uint128\"/>"
#define FLAG(name, bit)	       "<field name=\"" name "\" start=\"" #bit "\" end=\"" #bit "\"/>"

const char gdb_target_xml[] = "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
	"<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi><feature name=\"org.gnu.gdb.i386.core\">"
	"<flags id=\"i386_eflags\" size=\"4\">" FLAG("CF", 0) FLAG("PF", 2) FLAG("AF", 4) FLAG("ZF", 6) FLAG("SF", 7) FLAG("TF", 8) FLAG("IF", 9)
	FLAG("DF", 10) FLAG("OF", 11) "</flags>"
	LONG("rax") LONG("rbx") LONG("rcx") LONG("rdx") LONG("rsi") LONG("rdi") REG("rbp", "64", "data_ptr") REG("rsp", "64", "data_ptr")
	LONG("r8") LONG("r9") LONG("r10") LONG("r11") LONG("r12") LONG("r13") LONG("r14") LONG("r15") REG("rip", "64", "code_ptr")
	REG("eflags", "32", "i386_eflags") INT("cs") INT("ss") INT("ds") INT("es") INT("fs") INT("gs") ALL8(ST)
	X87("fctrl") X87("fstat") X87("ftag") X87("fiseg") X87("fioff") X87("foseg") X87("fooff") X87("fop")
	"</feature><feature name=\"org.gnu.gdb.i386.sse\">"
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
	"<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
	"<field name=\"uint128\" type=\"uint128\"/></union>" ALL16(XMM) "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\" group=\"vector\"/>"
	"</feature><feature name=\"org.gnu.gdb.i386.linux\"><reg name=\"orig_rax\" bitsize=\"64\" type=\"int\" group=\"system\"/>"
	"</feature><feature name=\"org.gnu.gdb.i386.segments\">" REG("fs_base", "64", "int") REG("gs_base", "64", "int")
	"</feature><feature name=\"org.gnu.gdb.i386.avx\">" ALL16(YMMH) "</feature></target>";
