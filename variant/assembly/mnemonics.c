/* Owns what is known of instructions and registers. An instruction that isn't here is unknown: nothing that depends on it is changed. */
#include "variant/assembly/unit.h"

#include <stdio.h>
#include <string.h>

static const char *const general_names[16][4] = {
	{"al", "ax", "eax", "rax"},
	{"cl", "cx", "ecx", "rcx"},
	{"dl", "dx", "edx", "rdx"},
	{"bl", "bx", "ebx", "rbx"},
	{"spl", "sp", "esp", "rsp"},
	{"bpl", "bp", "ebp", "rbp"},
	{"sil", "si", "esi", "rsi"},
	{"dil", "di", "edi", "rdi"},
	{"r8b", "r8w", "r8d", "r8"},
	{"r9b", "r9w", "r9d", "r9"},
	{"r10b", "r10w", "r10d", "r10"},
	{"r11b", "r11w", "r11d", "r11"},
	{"r12b", "r12w", "r12d", "r12"},
	{"r13b", "r13w", "r13d", "r13"},
	{"r14b", "r14w", "r14d", "r14"},
	{"r15b", "r15w", "r15d", "r15"},
};

static unsigned width_index(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

const char *register_name(unsigned number, unsigned bytes)
{
	return general_names[number & 15][width_index(bytes)];
}

bool register_parse(struct slice name, struct reg *ret)
{
	*ret = (struct reg){.class = REG_OTHER, .number = NO_REGISTER};
	if (name.length < 2 || name.length > 5)
		return false;
	for (unsigned n = 0; n < 16; n++) {
		for (unsigned w = 0; w < 4; w++) {
			if (slice_is(name, general_names[n][w])) {
				*ret = (struct reg){.class = REG_GENERAL, .number = (uint8_t)n, .bytes = (uint8_t)(1 << w)};
				return true;
			}
		}
	}
	if (name.length == 2 && name.at[1] == 'h' && strchr("abcd", name.at[0])) {
		static const uint8_t of_letter[] = {RAX, RBX, RCX, RDX};
		*ret = (struct reg){.class = REG_GENERAL, .number = of_letter[name.at[0] - 'a'], .bytes = 1, .high = true};
		return true;
	}
	if (name.length >= 4 && strchr("xyz", name.at[0]) && name.at[1] == 'm' && name.at[2] == 'm') {
		int64_t n;
		if (!slice_number((struct slice){name.at + 3, name.length - 3}, &n) || n < 0 || n > 31)
			return false;
		*ret = (struct reg){.class = REG_VECTOR,
			.number = (uint8_t)n,
			.bytes = name.at[0] == 'x'   ? 16
				 : name.at[0] == 'y' ? 32
						     : 64};
		return true;
	}
	return true;
}

/* One line a family: name, suffixes ('-' is none), what it is. */
struct family {
	const char *names; /* separated by spaces */
	const char *suffixes;
	uint8_t operation, flags, control, known;
};
#define EXPLICIT KNOWN_EXPLICIT
#define PLAIN    (KNOWN_EXPLICIT | KNOWN_PLAIN)
static const struct family families[] = {
	{"add", "-bwlq", OP_ADD, FLAGS_SET, 0, PLAIN},
	{"or", "-bwlq", OP_OR, FLAGS_SET, 0, PLAIN},
	{"adc", "-bwlq", OP_ADC, FLAGS_SET | FLAGS_READ, 0, PLAIN},
	{"sbb", "-bwlq", OP_SBB, FLAGS_SET | FLAGS_READ, 0, PLAIN},
	{"and", "-bwlq", OP_AND, FLAGS_SET, 0, PLAIN},
	{"sub", "-bwlq", OP_SUB, FLAGS_SET, 0, PLAIN},
	{"xor", "-bwlq", OP_XOR, FLAGS_SET, 0, PLAIN},
	{"cmp", "-bwlq", OP_CMP, FLAGS_SET, 0, PLAIN},
	{"mov", "-bwlq", OP_MOV, 0, 0, PLAIN},
	{"movabs", "-q", OP_OTHER, 0, 0, EXPLICIT},
	{"test", "-bwlq", OP_TEST, FLAGS_SET, 0, PLAIN},
	{"xchg", "-bwlq", OP_XCHG, 0, 0, PLAIN},
	{"lea", "-wlq", OP_LEA, 0, 0, PLAIN},
	{"push", "-wq", OP_PUSH, 0, 0, PLAIN},
	{"pop", "-wq", OP_POP, 0, 0, PLAIN},
	{"leave", "-q", OP_LEAVE, 0, 0, EXPLICIT},
	{"inc", "-bwlq", OP_INC, FLAGS_CHANGED, 0, PLAIN},
	{"dec", "-bwlq", OP_DEC, FLAGS_CHANGED, 0, PLAIN},
	{"neg", "-bwlq", OP_OTHER, FLAGS_SET, 0, PLAIN},
	{"not", "-bwlq", OP_OTHER, 0, 0, PLAIN},
	{"shl sal shr sar rol ror shld shrd", "-bwlq", OP_OTHER, FLAGS_CHANGED, 0, PLAIN},
	{"rcl rcr", "-bwlq", OP_OTHER, FLAGS_CHANGED | FLAGS_READ, 0, PLAIN},
	{"mul imul div idiv", "-bwlq", OP_OTHER, FLAGS_SET, 0, PLAIN},
	{"bsf bsr tzcnt lzcnt popcnt", "-wlq", OP_OTHER, FLAGS_SET, 0, EXPLICIT},
	{"bt bts btr btc", "-wlq", OP_OTHER, FLAGS_CHANGED, 0, EXPLICIT},
	{"bswap", "-lq", OP_OTHER, 0, 0, PLAIN},
	{"xadd cmpxchg", "-bwlq", OP_OTHER, FLAGS_SET, 0, EXPLICIT},
	{"andn bextr blsi blsr blsmsk bzhi", "-lq", OP_OTHER, FLAGS_SET, 0, EXPLICIT},
	{"pdep pext rorx sarx shlx shrx mulx", "-lq", OP_OTHER, 0, 0, EXPLICIT},
	{"adcx adox", "-lq", OP_OTHER, FLAGS_CHANGED | FLAGS_READ, 0, EXPLICIT},
	{"crc32b crc32w crc32l crc32q movbel movbeq movbew movnti movntil movntiq", "-", OP_OTHER, 0, 0, EXPLICIT},
	{"movzbl movzbw movzbq movzwl movzwq movsbl movsbw movsbq movswl movswq movslq", "-", OP_MOVX, 0, 0, PLAIN},
	{"cltq cqto cltd cwtl cwtd cbtw", "-", OP_OTHER, 0, 0, PLAIN},
	{"movsb movsw movsl movsq stosb stosw stosl stosq lodsb lodsw lodsl lodsq", "-", OP_STRING, 0, 0, EXPLICIT},
	{"cmpsb cmpsw cmpsl cmpsq scasb scasw scasl scasq", "-", OP_STRING, FLAGS_CHANGED, 0,
		EXPLICIT}, /* rep with a count of 0 sets none */
	{"jmp", "-q", OP_OTHER, 0, CONTROL_JUMP, EXPLICIT},
	{"call", "-q", OP_OTHER, 0, CONTROL_CALL, EXPLICIT},
	{"ret", "-q", OP_OTHER, 0, CONTROL_RETURN, EXPLICIT},
	{"ud2", "-", OP_OTHER, 0, CONTROL_STOP, EXPLICIT},
	{"nop", "-wlq", OP_NOP, 0, 0, EXPLICIT},
	{"endbr64", "-", OP_ENDBR, 0, 0, EXPLICIT},
	{"pause mfence lfence sfence rdtsc rdtscp int3", "-", OP_OTHER, 0, 0, EXPLICIT},
	{"prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw clflush clflushopt clwb ldmxcsr stmxcsr", "-", OP_OTHER, 0, 0, EXPLICIT},
	{"lock rep repe repz repne repnz notrack data16 rex64 bnd", "-", OP_PREFIX, 0, 0, EXPLICIT},
	{"movaps", "-", OP_MOVAPS, 0, 0, PLAIN},
	{"movups", "-", OP_MOVUPS, 0, 0, PLAIN},
	{"movapd", "-", OP_MOVAPD, 0, 0, PLAIN},
	{"movdqa", "-", OP_MOVDQA, 0, 0, PLAIN},
	{"movdqu", "-", OP_MOVDQU, 0, 0, PLAIN},
	{"fld flds fldl fldt fst fsts fstl fstp fstps fstpl fstpt fild filds fildl fildq fildll fist fistp fistps fistpl fistpq fistpll",
		"-", OP_OTHER, 0, 0, EXPLICIT},
	{"fldz fld1 fldpi fldl2e fldl2t fldlg2 fldln2 fxch fchs fabs fsqrt fadd fadds faddl faddp fsub fsubs fsubl fsubp fsubr fsubrs "
	 "fsubrl fsubrp",
		"-", OP_OTHER, 0, 0, EXPLICIT},
	{"fmul fmuls fmull fmulp fdiv fdivs fdivl fdivp fdivr fdivrs fdivrl fdivrp fiadds fiaddl fimuls fimull fisubs fisubl fnstcw fldcw "
	 "fnstsw frndint",
		"-", OP_OTHER, 0, 0, EXPLICIT},
	{"fcomi fcomip fucomi fucomip fcompi fucompi", "-", OP_OTHER, FLAGS_CHANGED, 0, EXPLICIT},
	{"fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu", "-", OP_OTHER, FLAGS_READ, 0, EXPLICIT},
};
static const char conditions[] = "o no b c nae nb nc ae e z ne nz be na nbe a s ns p pe np po l nge nl ge le ng nle g ";

#define SLOTS 4096
static struct mnemonic table[1400];
static uint16_t slots[SLOTS]; /* index in table, from 1 */
static char names[1400][12];
static unsigned table_count;

static uint32_t hash(const char *at, size_t length)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < length; i++)
		h = (h ^ (uint8_t)at[i]) * 16777619u;
	return h ^ h >> 15;
}

static void add(
	const char *prefix, size_t prefix_length, const char *middle, size_t middle_length, char suffix, const struct mnemonic *like)
{
	static const uint8_t bytes_of[] = {['b'] = 1, ['w'] = 2, ['l'] = 4, ['q'] = 8};
	size_t length = prefix_length + middle_length + (suffix != '-');
	if (table_count == VB_ARRAY_LEN(table) || length >= sizeof(names[0]))
		return;
	char *name = names[table_count];
	memcpy(name, prefix, prefix_length);
	memcpy(name + prefix_length, middle, middle_length);
	if (suffix != '-')
		name[length - 1] = suffix;
	name[length] = 0;
	uint32_t slot = hash(name, length) % SLOTS;
	for (; slots[slot]; slot = (slot + 1) % SLOTS)
		if (strcmp(table[slots[slot] - 1].name, name) == 0)
			return; /* the first one counts: cmovbl is "cmovb" with a suffix and "cmovl" has its own */
	table[table_count] = *like;
	table[table_count].name = name;
	table[table_count].bytes = suffix == '-' ? 0 : bytes_of[(unsigned char)suffix];
	slots[slot] = (uint16_t)++table_count;
}

static void add_conditions(const char *prefix, const char *suffixes, const struct mnemonic *like)
{
	for (const char *suffix = suffixes; *suffix; suffix++)
		for (const char *at = conditions, *space; (space = strchr(at, ' ')); at = space + 1)
			add(prefix, strlen(prefix), at, (size_t)(space - at), *suffix, like);
}

static void build(void)
{
	add_conditions("j", "-", &(struct mnemonic){.flags = FLAGS_READ, .control = CONTROL_BRANCH, .known = EXPLICIT});
	add_conditions("set", "-b", &(struct mnemonic){.operation = OP_SETCC, .flags = FLAGS_READ, .known = PLAIN});
	add_conditions("cmov", "-wlq", &(struct mnemonic){.operation = OP_CMOV, .flags = FLAGS_READ, .known = PLAIN});
	for (unsigned i = 0; i < VB_ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		struct mnemonic like = {.operation = f->operation, .flags = f->flags, .control = f->control, .known = f->known};
		for (const char *at = f->names; *at;) {
			size_t length = strcspn(at, " ");
			for (const char *suffix = f->suffixes; *suffix; suffix++)
				add("", 0, at, length, *suffix, &like);
			at += length + (at[length] == ' ');
		}
	}
}

const struct mnemonic *mnemonic_find(struct slice name)
{
	if (!table_count)
		build();
	for (uint32_t slot = hash(name.at, name.length) % SLOTS; slots[slot]; slot = (slot + 1) % SLOTS)
		if (slice_is(name, table[slots[slot] - 1].name))
			return &table[slots[slot] - 1];
	return NULL;
}
