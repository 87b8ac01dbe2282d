/* What `vauban shuffle` knows of the program that it takes apart, shared by its files. Addresses are those of the program as linked
 * ("old") unless a name says new. Only the functions of .text move: data is addressed relative to section starts, and where one
 * object ends and the next begins can't be told from a linked file, nor can what merely points past an end.
 *
 * Work goes in stages: code.c decodes the code, unwind.c and references.c find what must stay together, layout.c gives places, and
 * then each rewrites what it knows of. Nothing is written before all has been understood; what isn't is refused. */
#ifndef VARIANT_SHUFFLE_SHUFFLE_H
#define VARIANT_SHUFFLE_SHUFFLE_H

#include "variant/binary.h"

struct vb_error;

/* A run of bytes of .text that starts at a function; pieces cover .text without gaps. */
struct piece {
	uint64_t start, size; /* size: without the padding behind it */
	uint64_t new_start;
	bool glued;   /* stays at its distance from the next piece */
	int32_t glue; /* while gluing: starts of intervals minus ends */
	const char *name;
};

/* A pc-relative field of an instruction. */
struct operand {
	uint64_t field, target; /* address of its first byte; what it refers to */
	uint8_t bytes, to_end;  /* its size; from field to the end of the instruction */
};

/* One relocation that --emit-relocs kept. */
struct reference {
	uint64_t at;      /* address (section without addresses: offset) of the field */
	uint64_t entry;   /* offset of the Elf64_Rela in the file */
	uint32_t section; /* of the field */
	uint32_t type, symbol;
	uint64_t value; /* of the symbol */
	int64_t addend;
	uint64_t meant;      /* of a distance in data: the code it refers to */
	bool in_text_symbol; /* the symbol lies in .text */
	bool named;          /* the symbol isn't that of a section */
};

struct shuffle {
	struct binary b;
	uint32_t text; /* index of .text */
	uint64_t start, end;
	struct piece *pieces;
	size_t piece_count;
	struct operand *operands; /* ascending by field */
	size_t operand_count, operand_room;
	uint8_t *instruction_starts;  /* a bit a byte of .text */
	uint8_t *patched;             /* a bit a byte of the file */
	struct reference *references; /* ascending by section, then at */
	size_t reference_count;
	uint64_t *data_referred; /* addresses outside of code that code refers to, ascending: where tables of jumps may start */
	size_t data_referred_count;
	uint8_t *new_bytes; /* the new file, as large as the old one */
	unsigned moved;     /* groups of pieces */
};

/* --- pieces.c --- */
/* -ENOTSUP with the reason if the program isn't one that can be shuffled. */
int pieces_find(struct shuffle *s, struct vb_error *err);
/* The piece that an address lies in; NULL outside of .text. */
struct piece *piece_at(const struct shuffle *s, uint64_t address);
/* Keeps the pieces that hold these addresses, and all between them, together. Addresses outside of .text are ignored. */
void pieces_glue(struct shuffle *s, uint64_t a, uint64_t b);
/* Ends the gluing and gives each piece its new place, as the seed says. -ENOTSUP. */
int pieces_place(struct shuffle *s, uint64_t seed, struct vb_error *err);
/* How far what lies at address moves: 0 outside of .text. */
uint64_t piece_shift(const struct shuffle *s, uint64_t address);

/* --- code.c --- */
int code_decode(struct shuffle *s, struct vb_error *err);
/* The instruction that starts at an address of .text. */
bool code_is_instruction(const struct shuffle *s, uint64_t address);
/* The operand whose field is at address, or NULL. */
const struct operand *code_operand(const struct shuffle *s, uint64_t address);
/* Moves the code and mends its operands. */
int code_move(struct shuffle *s, struct vb_error *err);

/* --- unwind.c: .eh_frame, .eh_frame_hdr --- */
int unwind_glue(struct shuffle *s, struct vb_error *err);
int unwind_move(struct shuffle *s, struct vb_error *err);

/* --- references.c: relocations kept by the linker, for the linker and for the loader; symbols; the ELF header --- */
int references_load(struct shuffle *s, struct vb_error *err);
int references_glue(struct shuffle *s, struct vb_error *err);
int references_move(struct shuffle *s, struct vb_error *err);
/* The relocation of the field at address of a section, or NULL. */
const struct reference *reference_at(const struct shuffle *s, uint32_t section, uint64_t at);

/* --- shuffle.c --- */
/* All stages on s->b, into s->new_bytes. */
int shuffle_image(struct shuffle *s, uint64_t seed, struct vb_error *err);
void shuffle_release(struct shuffle *s);
/* Address to offset in the file, of as many bytes; SIZE_MAX if they aren't there. */
size_t file_offset(const struct shuffle *s, uint64_t address, uint64_t bytes);
/* Little-endian numbers of 1 to 8 bytes. */
uint64_t get_number(const uint8_t *at, unsigned bytes, bool is_signed);
void put_number(uint8_t *at, unsigned bytes, uint64_t value);
/* Whether value can be kept in a field of so many bytes. */
bool fits(int64_t value, unsigned bytes);

#endif
