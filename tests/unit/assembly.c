/* The assembly stage: small texts in, properties of the result out; and programs that must print the same after it. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/error.h"
#include "tap.h"
#include "variant/assembly/assembly.h"
#include "variant/assembly/unit.h"

extern char **environ;

static struct vb_error error;

/* Of a text, with these options (ended by NULL) behind --seed. NULL if it fails. */
static char *stage(const char *text, unsigned seed, const char *const *arguments)
{
	struct variant_options o;
	char *out = NULL;
	size_t bytes;
	variant_options_init(&o);
	o.seed = seed;
	o.seeded = true;
	for (; arguments && *arguments; arguments++) {
		char argument[64];
		snprintf(argument, sizeof(argument), "%s", *arguments);
		if (variant_options_parse(&o, (char *[]){argument, NULL}, &error) != 1)
			abort();
	}
	if (assembly_transform(&o, "input.s", text, strlen(text), &out, &bytes, &error) < 0)
		return NULL;
	out[bytes - 1] = 0; /* it ends with a newline */
	return out;
}

#define ONLY(...)                                                                                                                          \
	((const char *const[]){"--no-nops", "--no-encodings", "--no-registers", "--no-stack", "--no-blocks", "--no-traps", "--no-padding", \
		__VA_ARGS__, NULL})

static unsigned occurrences(const char *text, const char *what)
{
	unsigned n = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* For each of some seeds */
#define EACH_SEED(text, options, condition)                                                                                                \
	do {                                                                                                                               \
		bool right_ = true;                                                                                                        \
		for (unsigned seed = 0; seed < 40; seed++) {                                                                               \
			char *out = stage(text, seed, options);                                                                            \
			right_ = right_ && out && (condition);                                                                             \
			free(out);                                                                                                         \
		}                                                                                                                          \
		CHECK(right_ &&#condition);                                                                                                \
	} while (0)

#define FUNCTION(name, body)                                                                                                               \
	"\t.section .text." name ",\"ax\",@progbits\n\t.globl " name "\n\t.type " name ", @function\n" name ":\n\t.cfi_startproc\n" body   \
	"\t.cfi_endproc\n\t.size " name ", .-" name "\n"

static const char branches[] = FUNCTION("f",
	"\tendbr64\n\tpushq %rbx\n\t.cfi_def_cfa_offset 16\n\t.cfi_offset 3, -16\n\tmovl %edi, %ebx\n\ttestl %edi, %edi\n\tje .L2\n\tcmpl "
	"$5, %edi\n\tje .L3\n"
	"\tmovl $1, %eax\n\t.cfi_remember_state\n\tpopq %rbx\n\t.cfi_restore 3\n\t.cfi_def_cfa_offset 8\n\tret\n"
	"\t.p2align 4,,10\n.L2:\n\t.cfi_restore_state\n\tmovl $2, %eax\n\tpopq %rbx\n\t.cfi_restore 3\n\t.cfi_def_cfa_offset 8\n\tret\n"
	".L3:\n\t.cfi_def_cfa_offset 16\n\t.cfi_offset 3, -16\n\tmovl $3, %eax\n\tpopq %rbx\n\t.cfi_restore 3\n\t.cfi_def_cfa_offset "
	"8\n\tret\n");

/* What the unwinder would do at the instruction that loads each of 1, 2, 3: equal before and after? */
static bool unwinds_alike(const char *text)
{
	for (unsigned value = 1; value <= 3; value++) {
		char wanted[32];
		snprintf(wanted, sizeof(wanted), "movl $%u, %%eax", value);
		struct variant_options o;
		variant_options_init(&o);
		struct unit u = {.options = &o, .name = "text"};
		struct cfi_walk w = {.state = CFI_AT_ENTRY};
		bool found = false, right = false;
		if (unit_parse(&u, text, strlen(text), &error) == 0)
			for (uint32_t i = 0; i < u.count && !found; i++) {
				if (u.statements[i].kind == STATEMENT_DIRECTIVE)
					cfi_step(&w, &u.statements[i]);
				found = slice_is(u.statements[i].text, wanted);
				right = found && w.state.cfa_offset == 16 && w.state.saved[3] && w.state.offset[3] == -16;
			}
		free(u.statements);
		arena_release(&u.arena);
		if (!right)
			return false;
	}
	return true;
}

static void test_blocks(void)
{
	bool moved = false;
	for (unsigned seed = 0; seed < 40; seed++) {
		char *out = stage(branches, seed, ONLY("--blocks"));
		moved = moved || (out && strstr(out, ".L3:") < strstr(out, ".L2:"));
		free(out);
	}
	CHECK(moved);
	EACH_SEED(branches, ONLY("--blocks"), unwinds_alike(out));
	EACH_SEED(branches, ONLY("--blocks"),
		occurrences(out, "\tret\n") == 3 && occurrences(out, "popq") == 3 && strstr(out, "je\t") == NULL);
	EACH_SEED(branches, ONLY("--blocks"), strstr(out, "endbr64") < strstr(out, "pushq") && strstr(out, "pushq") < strstr(out, ".L2:"));
	/* Landing pads: the table of call sites is sorted by address. */
	const char *lsda =
		FUNCTION("f", "\t.cfi_lsda 0x1b,.LLSDA0\n\tje .L2\n\tret\n.L4:\n\tmovl $1, %eax\n\tret\n.L2:\n\tmovl $2, %eax\n\tret\n");
	EACH_SEED(lsda, ONLY("--blocks"), strstr(out, ".L4:") < strstr(out, ".L2:"));
	const char *files = FUNCTION("f", "\tje .L2\n\tret\n.L4:\n\t.file 2 \"b.h\"\n\t.loc 2 1\n\tret\n.L2:\n\t.loc 2 1\n\tret\n");
	EACH_SEED(files, ONLY("--blocks"), strstr(out, ".file 2") < strstr(out, ".loc 2"));
	/* What may fall off the end stays last. */
	const char *open = FUNCTION("f", "\tje .L2\n\tret\n.L4:\n\tret\n.L2:\n\tcall abort@PLT\n");
	EACH_SEED(open, ONLY("--blocks"), strstr(out, ".L4:") < strstr(out, ".L2:"));
	/* A table in the middle of the code comes back to the code. */
	const char *table =
		FUNCTION("f", "\tjmp *%rax\n\t.section .rodata\n.L9:\n\t.long .L2-.L9\n\t.section .text.f\n.L4:\n\tret\n.L2:\n\tret\n");
	EACH_SEED(table, ONLY("--blocks", "--traps"), occurrences(out, ".section .text.f\n") == 1 && occurrences(out, ".L2-.L9") == 1);
}

static void test_nops(void)
{
	const char *const all[] = {"--level=full", "--nop-rate=100", NULL};
	EACH_SEED(branches, all, strstr(out, "endbr64") < strstr(out, "nop") || !strstr(out, "nop"));
	const char *tls = FUNCTION("f", "\tsubq $8, %rsp\n\t.byte 0x66\n\tleaq x@tlsgd(%rip), %rdi\n\t.value 0x6666\n\trex64\n\tcall "
					"__tls_get_addr@PLT\n\taddq $8, %rsp\n\tret\n");
	EACH_SEED(tls, all, strstr(out, "\t.byte 0x66\n\tleaq x@tlsgd(%rip), %rdi\n\t.value 0x6666\n\trex64\n\tcall __tls_get_addr@PLT\n"));
	const char *repeat = FUNCTION("f", "\trep;movsq\n\tlock\n\txaddl %eax, (%rdi)\n\tret\n");
	EACH_SEED(repeat, all, strstr(out, "\trep\n\tmovsq\n") && strstr(out, "\tlock\n\txaddl %eax, (%rdi)\n"));
	const char *region = FUNCTION("f", "#APP\n# 8 \"a.c\" 1\n\t1: jmp 1b; nop\n# 0 \"\" 2\n#NO_APP\n\tret\n");
	EACH_SEED(region, all, strstr(out, "#APP\n# 8 \"a.c\" 1\n\t1: jmp 1b; nop\n# 0 \"\" 2\n#NO_APP\n"));
	const char *loop = FUNCTION(
		"f", "\txorl %eax, %eax\n\t.p2align 4\n.L2:\n\taddl (%rdi), %eax\n\taddq $4, %rdi\n\tcmpq %rsi, %rdi\n\tjne .L2\n\tret\n");
	EACH_SEED(loop, all, strstr(out, ".p2align 4\n.L2:\n\taddl (%rdi), %eax\n"));
}

static void test_opt_out(void)
{
	const char *plain = "\t.section .text.vauban_plain,\"ax\",@progbits\n\t.type f, @function\nf:\n\taddq $8, %rsp\n\tpopq "
			    "%rbx\n\tret\n.L2:\n\tret\n\t.size f, .-f\n";
	EACH_SEED(plain, ((const char *const[]){"--level=full", "--nop-rate=100", NULL}),
		strcmp(out, plain) == 0 || strncmp(out, plain, strlen(plain)) == 0);
}

static void test_registers(void)
{
	const char *saved = FUNCTION("f", "\tpushq %rbx\n\t.cfi_def_cfa_offset 16\n\t.cfi_offset 3, -16\n\tmovl %edi, %ebx\n\tmovb %bl, "
					  "(%rsi)\n\tpopq %rbx\n\t.cfi_restore 3\n\tret\n");
	EACH_SEED(saved, ONLY("--registers"),
		!!strstr(out, "%ebx") == !!strstr(out, "pushq %rbx") && !!strstr(out, "%ebx") == !!strstr(out, "popq %rbx") &&
			!!strstr(out, "%ebx") == !!strstr(out, ".cfi_offset 3, -16") &&
			!!strstr(out, "%ebx") == !!strstr(out, "movb %bl,"));
	bool changed = false;
	for (unsigned seed = 0; seed < 10; seed++) {
		char *out = stage(saved, seed, ONLY("--registers"));
		changed = changed || (out && !strstr(out, "%ebx"));
		free(out);
	}
	CHECK(changed);
	const char *unsaved = FUNCTION("f", "\tpushq %rbx\n\t.cfi_offset 3, -16\n\tmovq %r15, %rbx\n\tpopq %rbx\n\tret\n");
	EACH_SEED(unsaved, ONLY("--registers"), occurrences(out, "%r15") == 1);
#define SAVED(body) FUNCTION("f", "\tpushq %rbx\n\t.cfi_offset 3, -16\n" body "\tpopq %rbx\n\tret\n")
	static const char *const untouched[] = {SAVED("\tcpuid\n"), SAVED("\tmovb %bh, %al\n"), SAVED("\tcmpxchg16b (%rdi)\n"),
		SAVED("#APP\n\tmovl %ebx, %eax\n#NO_APP\n"), SAVED("\tcall __x86_indirect_thunk_rbx\n"), SAVED("\t.cfi_escape 1,2,3\n"),
		SAVED("\tnew_instruction\n")};
	for (unsigned i = 0; i < sizeof(untouched) / sizeof(untouched[0]); i++)
		EACH_SEED(untouched[i], ONLY("--registers"), strstr(out, "\tpushq %rbx\n"));
	EACH_SEED(SAVED("#APP\n# 1 \"a.c\" 1\n\n# 0 \"\" 2\n#NO_APP\n"), ONLY("--registers"), occurrences(out, "pushq") == 1);
	const char *frame = FUNCTION("f", "\tpushq %rbp\n\t.cfi_offset 6, -16\n\tmovq %rsp, %rbp\n\t.cfi_def_cfa_register 6\n\tmovl "
					  "-4(%rbp), %eax\n\tleave\n\tret\n");
	EACH_SEED(frame, ONLY("--registers"), strstr(out, "-4(%rbp)"));
	const char *split = "\t.section .text.f,\"ax\"\n\t.type f, @function\nf:\n\t.cfi_startproc\n\tpushq %rbx\n\t.cfi_offset 3, "
			    "-16\n\tje .L2\n\tpopq %rbx\n\tret\n\t.cfi_endproc\n"
			    "\t.section .text.unlikely.f,\"ax\"\n\t.cfi_startproc\n\t.type f.cold, @function\nf.cold:\n.L2:\n\t.cfi_offset "
			    "3, -16\n\tmovq %rbx, %rdi\n\tcall abort\n"
			    "\t.cfi_endproc\n\t.section .text.f\n\t.size f, .-f\n\t.section .text.unlikely.f\n\t.size f.cold, .-f.cold\n";
	EACH_SEED(split, ONLY("--registers"), !!strstr(out, "pushq %rbx") == !!strstr(out, "movq %rbx, %rdi"));
}

static void test_encodings(void)
{
	const char *carry = FUNCTION("f", "\taddq $8, %rax\n\tadcq $0, %rdx\n\tret\n");
	EACH_SEED(carry, ONLY("--encodings"),
		!strstr(out, "lea") && !strstr(out, ".byte 72,131,232,248") && !strstr(out, ".byte 72,129,232"));
	const char *relaxed = FUNCTION("f", "\tmovq x@GOTPCREL(%rip), %rax\n\tret\n");
	EACH_SEED(relaxed, ONLY("--encodings"), strstr(out, "\t.cfi_startproc\n\tmovq x@GOTPCREL(%rip), %rax\n"));
	const char *high = FUNCTION("f", "\tmovb %ah, %bl\n\taddb %ch, %dl\n\tjmp f\n");
	EACH_SEED(high, ONLY("--encodings"), strstr(out, "movb %ah, %bl\n") && strstr(out, "addb %ch, %dl\n"));
}

static void test_stack(void)
{
	const char *fixed = FUNCTION("f", "\tsubq $24, %rsp\n\t.cfi_def_cfa_offset 32\n\tmovl %edi, 12(%rsp)\n\tleaq 12(%rsp), "
					  "%rdi\n\tcall g\n\taddq $24, %rsp\n\t.cfi_def_cfa_offset 8\n\tret\n");
	EACH_SEED(fixed, ONLY("--stack"), strstr(out, "movl %edi, 12(%rsp)") && strstr(out, "leaq 12(%rsp), %rdi"));
	for (unsigned seed = 0, different = 0; seed < 40; seed++) {
		char *out = stage(fixed, seed, ONLY("--stack"));
		int sub, cfa, add;
		const char *at = out ? strstr(out, "subq") : NULL;
		if (!at || sscanf(at, "subq $%d, %%rsp .cfi_def_cfa_offset %d", &sub, &cfa) != 2 ||
			sscanf(strstr(at, "addq"), "addq $%d", &add) != 1 || sub % 16 != 8 || cfa != sub + 8 || add != sub || sub < 24)
			CHECK(!"a frame of a size that fits");
		different += at && sub != 24;
		if (seed == 39)
			CHECK(different > 10);
		free(out);
	}
	const char *argument = FUNCTION("f", "\tsubq $24, %rsp\n\t.cfi_def_cfa_offset 32\n\tmovl 32(%rsp), %eax\n\tmovl %eax, "
					     "12(%rsp)\n\tcall g\n\taddq $24, %rsp\n\t.cfi_def_cfa_offset 8\n\tret\n");
	EACH_SEED(argument, ONLY("--stack"),
		atoi(strstr(out, "subq $") + 6) + 8 == atoi(strstr(out, "movl ") + 5) && strstr(out, "movl %eax, 12(%rsp)"));
#define FRAME(body) FUNCTION("f", "\tsubq $24, %rsp\n\t.cfi_def_cfa_offset 32\n" body "\taddq $24, %rsp\n\t.cfi_def_cfa_offset 8\n\tret\n")
	static const char *const left_alone[] = {
		FRAME("\tleaq 24(%rsp), %rdi\n"),                                   /* one behind the frame: of what? */
		FRAME("\tmovl 32(%rsp), %eax\n\tmovl 4(%rsp,%rax,4), %eax\n"),      /* could be an argument's */
		FRAME("\tmovq %rsp, %rbx\n\tsubq %rax, %rsp\n\tmovq %rbx, %rsp\n"), /* alloca */
		FRAME("\tandq $-32, %rsp\n"),
		FUNCTION("f", "\tsubq $8, %rsp\n\t.cfi_def_cfa_offset 16\n\tpushq %rax\n\t.cfi_def_cfa_offset 24\n\tcall g\n\tpopq "
			      "%rdx\n\t.cfi_def_cfa_offset 16\n\tpopq %rcx\n"
			      "\t.cfi_def_cfa_offset 8\n\tret\n"),
	};
	for (unsigned i = 0; i < sizeof(left_alone) / sizeof(left_alone[0]); i++)
		EACH_SEED(left_alone[i], ONLY("--stack"),
			strstr(out, "subq $24, %rsp") || strstr(out, "subq $8, %rsp\n\t.cfi_def_cfa_offset 16\n"));
}

static void test_padding(void)
{
	const char *data = "\t.section .data.x,\"aw\"\n\t.align 8\n\t.type x, @object\n\t.size x, 8\nx:\n\t.quad 1\n"
			   "\t.section .rodata.s.str1.1,\"aMS\",@progbits,1\n.LC0:\n\t.string \"a;b # c\"\n\t.section "
			   "set,\"aw\"\ny:\n\t.quad 1\n\t.section .data.other\nz:\n\t.quad 1\n"
			   "\t.section .init_array,\"aw\"\n\t.quad x\n";
	EACH_SEED(data, ONLY("--padding"),
		occurrences(out, ".zero") <= 1 && strstr(out, "\t.string \"a;b # c\"\n") &&
			(!strstr(out, ".zero") ||
				(strstr(out, ".zero") < strstr(out, ".align 8") && strstr(out, ".data.x") < strstr(out, ".zero"))));
}

static void test_determinism(void)
{
	char *a = stage(branches, 7, NULL), *b = stage(branches, 7, NULL), *c = stage(branches, 8, NULL);
	CHECK(a && b && strcmp(a, b) == 0);
	CHECK(c && strcmp(a, c) != 0);
	/* The choices of a function don't depend on its neighbours. */
	char text[sizeof(branches) + 256];
	snprintf(text, sizeof(text), "%s%s", FUNCTION("before", "\tret\n"), branches);
	char *d = stage(text, 7, NULL);
	CHECK(d && strstr(d, "f:\n\t.cfi_startproc") && strcmp(strstr(d, "\nf:\n"), strstr(a, "\nf:\n")) == 0);
	free(a), free(b), free(c), free(d);
	/* A plain build changes nothing but the spelling of the lines. */
	char *plain = stage(branches, 0, (const char *const[]){"--plain", NULL});
	CHECK(plain && strncmp(plain, branches, strlen(branches)) == 0);
	free(plain);
	char *mapped = stage(branches, 0, (const char *const[]){"--plain", "--map", NULL});
	CHECK(mapped && strstr(mapped, "\t.section .vauban.map,\"\",@progbits\n") && strstr(mapped, "\t.long 0,16\n") &&
		strstr(mapped, ".asciz \"f\""));
	free(mapped);
}

static void test_broken(void)
{
	CHECK(!stage("\t.string \"no end\n", 1, NULL) && strstr(error.text, "input.s:1: "));
	CHECK(!stage("\tnop\n#APP\n\tnop\n", 1, NULL) && strstr(error.text, "#NO_APP"));
	static const char *const odd[] = {"", "\n", ":", "::::", "f:", "\t.type f, @function\nf:", "\t.type f, @function\nf:\nf:\n\tret",
		"\tmovq (((%rax, %rbx\n", ".size , .\n", "\t.section\n\t.popsection\n",
		"\t.type f, @function\nf:\n\tmovl ,,,,,,\n\t.cfi_offset\n\t.cfi_restore_state\n\tret\n\tret\n"};
	bool all = true;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char *out = stage(odd[i], 1, (const char *const[]){"--level=full", "--map", NULL});
		all = all && out;
		free(out);
	}
	CHECK(all);
}

/* --- programs --- */

static int run(char *const *argv, const char *output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = -1;
	posix_spawn_file_actions_init(&actions);
	if (output)
		posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0)
		waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&actions);
	return status;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	if (!f || !text)
		abort();
	text[fread(text, 1, (1 << 20) - 1, f)] = 0;
	fclose(f);
	return text;
}

static const char program[] = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <stdarg.h>\n"
			      "struct big { int a[12]; }; static int table[64]; __thread int local = 5;\n"
			      "__attribute__((noinline)) static int by_value(int i, struct big b, int j) { char text[80]; snprintf(text, "
			      "sizeof(text), \"%d\", b.a[i]); return atoi(text) + b.a[j]; }\n"
			      "__attribute__((noinline)) static int many(int a, int b, int c, int d, int e, int f, int g, int h) { int "
			      "x[9]; for (int i = 0; i < 9; i++) x[i] = i * g; return a + b - c * d + e * f - x[h]; }\n"
			      "__attribute__((noinline)) static int sum(int n, ...) { va_list l; va_start(l, n); int s = 0; while (n--) s "
			      "+= va_arg(l, int); va_end(l); return s; }\n"
			      "static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }\n"
			      "__attribute__((noinline)) static int pick(int k) { switch (k) { case 0: return 7; case 1: return "
			      "many(1,2,3,4,5,6,7,k); case 2: return local; case 3: return sum(9,1,2,3,4,5,6,7,8,9);\n"
			      " case 4: return k * 77; case 5: puts(\"five\"); return 1; case 6: return table[k]; default: return -1; } }\n"
			      "__attribute__((noinline)) static long fold(long a, long b) { long s = 0; for (long i = 0; i < a; i++) { for "
			      "(long j = 0; j < b; j++) s = s * 31 + (i ^ j); if (s % 7 == 0) s += pick((int)(i % 9)); } return s; }\n"
			      "int main(int c, char **v) { struct big b; for (int i = 0; i < 12; i++) b.a[i] = i * i; for (int i = 0; i < "
			      "64; i++) table[i] = (i * 37) % 64; qsort(table, 64, sizeof(int), compare);\n"
			      " char *buffer = malloc((size_t)c * 100); memset(buffer, 'x', 99); buffer[99] = 0; unsigned __int128 w = "
			      "(unsigned __int128)fold(9, 9) * 0x123456789abcdefull;\n"
			      " for (int i = -1; i < 9; i++) printf(\"%d %d\\n\", pick(i), by_value(i < 0 ? 0 : i, b, 3)); printf(\"%s %lx "
			      "%ld %f\\n\", buffer, (long)(w >> 64), fold(40, 30), (double)table[5] / 3); return table[9] & 63; }\n";

static void test_programs(void)
{
	char folder[] = "/tmp/vauban-assembly-XXXXXX", source[64], text[64], changed[64], binary[64], output[64];
	if (!mkdtemp(folder))
		abort();
	snprintf(source, sizeof(source), "%s/a.c", folder);
	snprintf(text, sizeof(text), "%s/a.s", folder);
	snprintf(changed, sizeof(changed), "%s/b.s", folder);
	snprintf(binary, sizeof(binary), "%s/b", folder);
	snprintf(output, sizeof(output), "%s/out", folder);
	FILE *f = fopen(source, "w");
	if (!f)
		abort();
	fputs(program, f);
	fclose(f);
	static const char *const levels[] = {"-O0", "-O2", "-Os"};
	char *compilers[] = {(char *)"gcc", (char *)"clang-19"};
	for (unsigned n = 0; n < 6; n++) {
		char *compiler = compilers[n % 2], *level = (char *)levels[n / 2];
		run((char *[]){compiler, level, (char *)"-fPIC", (char *)"-fstack-protector-strong", (char *)"-ffunction-sections",
			    (char *)"-fdata-sections", (char *)"-S", source, (char *)"-o", text, NULL},
			NULL);
		run((char *[]){compiler, text, (char *)"-o", binary, NULL}, NULL);
		int wanted_status = run((char *[]){binary, NULL}, output);
		char *wanted = read_all(output), *assembly = read_all(text);
		bool right = *wanted != 0;
		for (unsigned seed = 1; seed <= 2 && right; seed++) {
			char *out = stage(assembly, seed, (const char *const[]){"--level=full", "--map", NULL});
			f = fopen(changed, "w");
			if (!out || !f)
				abort();
			fputs(out, f);
			fclose(f);
			free(out);
			right = run((char *[]){compiler, changed, (char *)"-o", binary, NULL}, NULL) == 0 &&
				run((char *[]){binary, NULL}, output) == wanted_status;
			char *got = read_all(output);
			right = right && strcmp(got, wanted) == 0;
			free(got);
		}
		CHECK(right && "a program runs as before");
		free(wanted);
		free(assembly);
	}
	const char *const files[] = {source, text, changed, binary, output};
	for (unsigned i = 0; i < 5; i++)
		unlink(files[i]);
	rmdir(folder);
}

int main(void)
{
	test_blocks();
	test_nops();
	test_opt_out();
	test_registers();
	test_encodings();
	test_stack();
	test_padding();
	test_determinism();
	test_broken();
	test_programs();
	return tap_done();
}
