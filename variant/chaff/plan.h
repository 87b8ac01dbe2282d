/* The secret plan: which bugs are where, and what triggers them. JSON, mode 0600. `vauban chaff plan` makes it, vauban-ir injects by
 * it, `vauban chaff seal` adds where in a binary the code of each has come to lie. Decoded in full and bounded before it is used. */
#ifndef VARIANT_CHAFF_PLAN_H
#define VARIANT_CHAFF_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vb_error;

/* The section of notes in objects, taken out of the finished binary: 16 bytes each, little endian. */
#define CHAFF_SECTION ".vauban.chaff"
struct chaff_note {
	uint64_t address;
	uint32_t bug;
	uint32_t kind; /* enum chaff_note_kind */
};
enum chaff_note_kind {
	CHAFF_START, /* of the code of a bug: the instruction there is "and $-8, REG": the window */
	CHAFF_HIT,   /* behind the trigger: on the stack "lea DISP(BASE), REG": the memory that the bug may write */
	CHAFF_END,   /* all ways out of the bug's code lead here */
	CHAFF_NOTE_KINDS,
};

enum chaff_storage { CHAFF_STACK, CHAFF_HEAP };
enum chaff_effect {
	CHAFF_UNUSED, /* runs over a buffer into memory that nobody uses */
	CHAFF_WRITE,  /* runs over a pointer and writes where it points: never a canonical address */
	CHAFF_CALL,   /* ... and calls what it points to */
};
enum chaff_copy { CHAFF_INDEX, CHAFF_LOOP };
/* How a pointer is kept from ever being canonical: (p & ~2^62) | 2^63, (p & (2^32-1)) * scale + constant, (p >> 2) + 2^63. */
enum chaff_constraint { CHAFF_BITS, CHAFF_SCALED, CHAFF_SHIFTED };

#define CHAFF_WINDOW_BYTES  8
#define CHAFF_TRIGGER_BYTES 4
#define CHAFF_MAX_SIZE      64
#define CHAFF_MAX_BUGS      100000

struct chaff_bug {
	unsigned id;
	enum chaff_storage storage;
	enum chaff_effect effect;
	/* the place: a load */
	char *module, *function;
	uint64_t hash;
	unsigned load;
	/* what controls it: offsets in the input of the eight aligned bytes around what is loaded, -1: none */
	int32_t window[CHAFF_WINDOW_BYTES];
	char *input;       /* the sample */
	uint64_t branches; /* most that one of the trigger's bytes decides in the traced run */
	struct chaff_trigger {
		uint8_t at, value; /* in the window */
	} trigger[CHAFF_TRIGGER_BYTES];
	bool word; /* compared at once, as four bytes one behind the other; otherwise each by itself */
	/* its shape */
	unsigned size, buffer; /* of all, and of the buffer that it begins with */
	enum chaff_copy copy;
	uint64_t multiplier;
	unsigned rotate;
	enum chaff_constraint constraint;
	uint64_t scale, constant;
	bool dropped; /* couldn't be proved, or triggered nothing */
};

/* Where a bug's code lies in one binary. */
struct chaff_site {
	unsigned bug;
	uint64_t function, function_bytes;
	uint64_t *notes[CHAFF_NOTE_KINDS];
	unsigned note_count[CHAFF_NOTE_KINDS];
	bool proved;
};
struct chaff_binary {
	char *name, *code; /* its path when it was sealed; a hash of its executable segments */
	struct chaff_site *sites;
	unsigned site_count;
};

struct chaff_plan {
	struct chaff_bug *bugs; /* by id */
	unsigned bug_count;
	struct chaff_binary *binaries;
	unsigned binary_count;
};

/* Leaves room for one more binary. */
int chaff_plan_read(struct chaff_plan *plan, const char *path, struct vb_error *err);
int chaff_plan_write(const struct chaff_plan *plan, const char *path, struct vb_error *err);
void chaff_plan_release(struct chaff_plan *plan);
const struct chaff_bug *chaff_plan_bug(const struct chaff_plan *plan, unsigned id);
/* "stack-unused" and so on: storage and effect. */
const char *chaff_kind(const struct chaff_bug *bug);

#endif
