/* What `vauban cc` is asked to do, beside compiling. One table (options.c) names every option for the driver, for the IR stage
 * (a program of its own, which gets them by variant_options_format()) and for the manual. */
#ifndef VARIANT_OPTIONS_H
#define VARIANT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vb_error;

/* The transformations. A function placed in section VARIANT_PLAIN_SECTION by __attribute__((section(".text.vauban_plain"))) is left as it is. */
enum variant_transformation {
	VARIANT_FUNCTIONS, /* order of functions: link */
	VARIANT_DATA,      /* order of variables and constants: link */
	VARIANT_PADDING,   /* bytes between variables: assembly */
	VARIANT_BLOCKS,    /* order of basic blocks within a function: assembly */
	VARIANT_STACK,     /* slots of a frame shuffled and padded: IR (clang); frames padded: assembly */
	VARIANT_NOPS,      /* instructions without effect: assembly */
	VARIANT_ENCODINGS, /* other instructions or encodings of the same effect: assembly */
	VARIANT_REGISTERS, /* callee-saved registers permuted: assembly */
	VARIANT_TRAPS,     /* booby traps where no control flow leads: assembly */
	VARIANT_PARAMETERS, /* order of parameters of functions that one file knows: IR (clang) */
	VARIANT_STRUCTS,   /* fields of structures: clang's -frandomize-layout-seed */
	VARIANT_TRANSFORMATIONS,
};
#define VARIANT_PLAIN_SECTION ".text.vauban_plain"

struct variant_options {
	uint64_t seed;
	bool seeded;              /* --seed was given */
	unsigned transformations; /* 1 << VARIANT_..., of --level and --[no-]NAME */
	bool plain;               /* --plain: the same pipeline without transformations, the baseline that demap translates to */
	bool map;                 /* --map: write .vauban.map sections (variant/map.h) */
	unsigned nop_percent;     /* --nop-rate: instructions outside of hot loops that get a NOP in front */
	const char *profile;      /* --profile FILE: counts of a run, or NULL */
	bool profile_generate;    /* --profile-generate: count into $VAUBAN_PROFILE, at exit */
	const char *libc;         /* --libc musl, or NULL */
	const char *libc_source;  /* --libc-source DIR, or NULL: where tools/deps put it */
	const char *store;        /* --store DIR, or NULL: the user's cache folder */
	uint64_t store_bytes;     /* --store-size */
	unsigned chaff;           /* --chaff N: bugs to inject */
	const char *chaff_plan;   /* --chaff-plan FILE */
	const char *chaff_skip;   /* --chaff-skip 3,17: bugs that could not be proved; the driver says so to vauban-ir */
	bool chaff_trace;         /* --chaff-trace: track which bytes of the input come where */
	bool supervised;          /* --supervised: chaff that crashes may be used */
};

/* The defaults: --level fast, no seed. */
void variant_options_init(struct variant_options *options);
/* Takes argv[0] (and argv[1], its value) if it is one of Vauban's own options: "--seed 7" or "--seed=7". Returns how many
 * arguments were taken, 0 if argv[0] isn't Vauban's, -EINVAL if its value is bad or missing. argv ends with a NULL. */
int variant_options_parse(struct variant_options *options, char **argv, struct vb_error *err);
/* The options as arguments again, for another process: at most max of them, in storage of the caller that must live as long. Returns
 * the count, or -E2BIG. */
int variant_options_format(const struct variant_options *options, char *storage, size_t storage_bytes, char **argv, int max,
	struct vb_error *err);
/* Wanted, and not --plain. */
bool variant_wants(const struct variant_options *options, enum variant_transformation t);

#endif
