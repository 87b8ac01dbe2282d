/* One compilation unit's assembly text, taken apart: statements, decoded instructions, parts of functions. What the stages of
 * the assembly stage share. The text is not trusted to be well-formed; every slice points into it or into the unit's arena, and
 * nothing here ends with a NUL. */
#ifndef VARIANT_ASSEMBLY_UNIT_H
#define VARIANT_ASSEMBLY_UNIT_H

#include "base/types.h"
#include "variant/options.h"
#include "variant/random.h"

struct vb_error;

struct slice {
	const char *at;
	uint32_t length;
};
#define SLICE(literal) ((struct slice){literal, sizeof(literal) - 1})
bool slice_is(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *prefix);
bool slice_equal(struct slice a, struct slice b);
struct slice slice_trim(struct slice s);
/* A decimal or 0x number, perhaps negative, and nothing else. */
bool slice_number(struct slice s, int64_t *ret);

/* Storage, zeroed, that is freed all at once. Takes up to 64 KiB don't fail: when memory is short they answer with memory that is shared, and
 * assembly_transform() finds `failed` at the end. Larger ones answer NULL. */
struct arena {
	struct arena_block *blocks;
	char *at, *end;
	bool failed;
};
void *arena_take(struct arena *a, size_t bytes);
struct slice arena_format(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct slice arena_copy(struct arena *a, struct slice s);
void arena_release(struct arena *a);

/* --- registers and operands --- */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REGISTER = 0xff };
#define RBIT(r)      (1u << (r))
#define CALLEE_SAVED (RBIT(RBX) | RBIT(RBP) | RBIT(R12) | RBIT(R13) | RBIT(R14) | RBIT(R15))
enum register_class { REG_GENERAL, REG_VECTOR, REG_OTHER };
struct reg {
	uint8_t class, number;
	uint8_t bytes; /* width of a general register */
	bool high;     /* %ah, %bh, %ch, %dh */
};
/* Of a name without its '%'. */
bool register_parse(struct slice name, struct reg *ret);
const char *register_name(unsigned number, unsigned bytes);

enum operand_kind { OPERAND_NONE, OPERAND_REGISTER, OPERAND_IMMEDIATE, OPERAND_MEMORY, OPERAND_SYMBOL };
struct operand {
	uint8_t kind;
	bool indirect;              /* '*' */
	bool numeric;               /* an immediate or displacement that is a number: value */
	bool rip;                   /* base is %rip */
	bool segment;               /* %fs: or another prefix */
	uint8_t base, index, scale; /* NO_REGISTER if absent */
	struct reg reg;
	int64_t value;
	struct slice text;   /* of the whole operand */
	struct slice symbol; /* of a symbol, displacement or immediate, as written */
};
#define MAX_OPERANDS 4

/* --- instructions --- */
enum {
	FLAGS_KEPT = 0,
	FLAGS_SET = 1,     /* all six set or made undefined, whatever they were */
	FLAGS_CHANGED = 2, /* some changed */
	FLAGS_READ = 4,
};
enum control { CONTROL_NONE, CONTROL_JUMP, CONTROL_BRANCH, CONTROL_CALL, CONTROL_RETURN, CONTROL_STOP };
enum operation { /* what the encodings look at */
	OP_OTHER,
	OP_ADD,
	OP_OR,
	OP_ADC,
	OP_SBB,
	OP_AND,
	OP_SUB,
	OP_XOR,
	OP_CMP,
	OP_MOV,
	OP_TEST,
	OP_XCHG,
	OP_LEA,
	OP_PUSH,
	OP_POP,
	OP_LEAVE,
	OP_INC,
	OP_DEC,
	OP_NOP,
	OP_MOVAPS,
	OP_MOVUPS,
	OP_MOVDQA,
	OP_MOVAPD,
	OP_MOVDQU,
	OP_ENDBR,
	OP_PREFIX,
	OP_STRING,
	OP_CMOV,
	OP_SETCC,
	OP_MOVX,
};
enum {                      /* what else is known */
	KNOWN_EXPLICIT = 1, /* names every general register that it uses but rax, rcx, rdx, rsi, rdi, rsp (and rbp: leave) */
	KNOWN_PLAIN = 2,    /* a redundant prefix in front of it is ignored */
};
struct mnemonic {
	const char *name;
	uint8_t operation, flags, control, known;
	uint8_t bytes; /* width that the suffix names, 0: of the operands */
};
/* NULL for one that isn't known. */
const struct mnemonic *mnemonic_find(struct slice name);

struct instruction {
	const struct mnemonic *mnemonic; /* NULL: unknown */
	struct slice name;
	bool prefixed; /* rep, lock, notrack, data16... in front */
	uint8_t operands;
	struct operand operand[MAX_OPERANDS];
};

/* --- statements --- */
enum statement_kind { STATEMENT_BLANK, STATEMENT_LABEL, STATEMENT_DIRECTIVE, STATEMENT_INSTRUCTION, STATEMENT_INLINE };
enum directive { /* those that matter */
	DIR_OTHER,
	DIR_SECTION,
	DIR_ALIGN,
	DIR_TYPE,
	DIR_SIZE,
	DIR_LOC,
	DIR_DATA,
	DIR_SPACE,
	DIR_SYMBOL,
	DIR_CFI_STARTPROC,
	DIR_CFI_ENDPROC,
	DIR_CFI_DEF_CFA,
	DIR_CFI_DEF_CFA_OFFSET,
	DIR_CFI_DEF_CFA_REGISTER,
	DIR_CFI_OFFSET,
	DIR_CFI_RESTORE,
	DIR_CFI_REMEMBER,
	DIR_CFI_RESTORE_STATE,
	DIR_CFI_LSDA,
	DIR_CFI_NEUTRAL,
	DIR_CFI_OTHER,
	DIR_OPAQUE,
};
struct insertion {
	struct insertion *next;
	struct slice text;
};
struct statement {
	struct slice text; /* as printed; without indentation, comment or newline */
	uint8_t kind, directive;
	bool glued;    /* nothing may come between this one and the next */
	bool own_line; /* started a line */
	bool deleted;
	bool loop_head; /* a label that a branch behind it in the same part goes back to */
	bool hot;       /* in an innermost loop, or counted as hot */
	bool map_first; /* its label goes before what is inserted: the pad at an entry belongs to the first instruction */
	bool no_prefix; /* its bytes are spelled out already */
	uint16_t section;
	uint32_t line;
	struct slice name, arguments; /* of a directive; name of a label */
	struct instruction *instruction;
	struct insertion *before, **before_end; /* printed before it, in order */
	uint32_t map_label;                     /* number of a label right before it, or 0 */
	struct slice prefix_bytes;              /* printed right before it: part of the instruction */
	struct slice after;                     /* printed after it */
};

struct section {
	struct slice name;
	bool executable;
	bool debug;
};

/* The code of a function in one section, from its label to its end: a function split by the compiler has two parts (f and f.cold). */
struct part {
	struct slice name, root; /* root: without ".cold" and the like, the frame's owner */
	uint32_t first, end;     /* statements: [first, end) */
	uint32_t label;
	uint16_t section;
	bool plain;           /* not to be transformed */
	bool opaque;          /* has something that is not understood at all: the same as plain */
	bool inline_assembly; /* other than empty */
	bool unknown;         /* an instruction that isn't in the table */
	bool high_bytes;      /* uses %ah... */
	bool lsda;
	bool cfi;         /* has .cfi_startproc ... .cfi_endproc */
	bool foreign_cfi; /* has CFI that the stage doesn't follow */
	bool flags_written;
	bool hot;            /* entered so often that even its entry is spared (needs a profile) */
	uint32_t next_split; /* another part whose name isn't its root, or UINT32_MAX */
	uint64_t identity;
	struct variant_random random; /* the parent of all choices in it */
};

struct label_entry {
	struct slice name;
	uint32_t statement; /* that defines it, or UINT32_MAX */
	bool function;      /* has the type of a function */
	bool code;          /* an instruction or data outside of debugging sections refers to it */
};

struct unit {
	const struct variant_options *options;
	const char *name;
	struct arena arena;
	struct statement *statements;
	uint32_t count;
	uint32_t *order; /* in which they are printed */
	struct section *sections;
	uint32_t section_count;
	struct part *parts;
	uint32_t part_count;
	uint32_t first_split;       /* head of the list of parts whose name isn't their root */
	struct label_entry *labels; /* open addressing, a power of two */
	uint32_t label_capacity, label_count;
	struct profile_entry *profile; /* sorted */
	size_t profile_count;
	uint64_t hot_count;         /* a place that was counted so often is hot */
	struct insertion *counters; /* content of the section vauban_profile */
	uint32_t next_label;        /* for labels of our own */
	struct slice map;           /* content of the section .vauban.map */
};

/* parse.c */
int unit_parse(struct unit *u, const char *text, size_t text_bytes, struct vb_error *err);
/* Decodes st->text, which is an instruction. */
void statement_decode(struct unit *u, struct statement *st);
struct label_entry *unit_label(struct unit *u, struct slice name, bool add);

/* parts.c */
void unit_find_parts(struct unit *u);

/* The parts of the function whose main part is parts[index]: they share its frame. False if that is no main part, or there are too many. */
struct group {
	struct part *parts[16];
	unsigned count;
};
bool part_group(struct unit *u, uint32_t index, struct group *ret);

/* Of statements */
void statement_insert(struct unit *u, struct statement *st, struct slice text);
/* An instruction within part p that is code of its own section (not of an excursion to .rodata). */
bool part_code(const struct unit *u, const struct part *p, const struct statement *st);
/* A generator for one transformation of one part. */
void part_random(const struct part *p, const char *transformation, struct variant_random *r);

/* cfi.c: the rules of the unwinder, in DWARF's numbers of registers */
#define CFI_REGISTERS 17
struct cfi_state {
	int cfa_register;
	int64_t cfa_offset;
	bool saved[CFI_REGISTERS];
	int64_t offset[CFI_REGISTERS];
};

struct cfi_walk {
	struct cfi_state state, stack[8];
	unsigned depth;
};

#define CFI_AT_ENTRY                                                                                                                       \
	{                                                                                                                                  \
		.cfa_register = 7, .cfa_offset = 8                                                                                         \
	}
/* Applies a directive of st, if it is one. False for what it can't follow. */
bool cfi_step(struct cfi_walk *w, const struct statement *st);
/* A register of a directive: a number or a name. */
bool cfi_register(struct slice s, int *ret);
/* By our numbers of general registers */
extern const uint8_t dwarf_numbers[16];

/* profile.c */
int profile_read(struct unit *u, const char *path, struct vb_error *err);
bool profile_knows(const struct unit *u, const struct part *p);
bool profile_hot(const struct unit *u, const struct part *p, unsigned block);

/* The transformations, each over all parts that it can do soundly. */
void assembly_hotness(struct unit *u);
void assembly_registers(struct unit *u);
void assembly_stack(struct unit *u);
void assembly_encodings(struct unit *u);
void assembly_nops(struct unit *u);
void assembly_blocks(struct unit *u);
void assembly_padding(struct unit *u);
void assembly_map(struct unit *u);
void assembly_profile(struct unit *u);

#endif
