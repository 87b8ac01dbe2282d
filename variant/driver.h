/* `vauban cc`: the compiler driver. It stands where gcc or clang would, with the same arguments, and does what they would do by
 * running them, but puts its stages between the compiler and the assembler, and asks the linker for another order.
 *
 *   gcc    compile to text -> [store] -> assembly stage -> as
 *   clang  compile to bitcode -> [store] -> vauban-ir -> clang to text -> assembly stage -> as
 *   link   by the compiler, with lld */
#ifndef VARIANT_DRIVER_H
#define VARIANT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "variant/arguments.h"
#include "variant/libc.h"
#include "variant/options.h"
#include "variant/store.h"

struct vb_error;

/* The whole work. argv: everything after the verb, ends with a NULL. Returns the exit status, or -N: to end by signal N. */
int driver_main(char **argv, bool cplusplus);
extern const char driver_help[];

/* --- between driver*.c --- */

/* A command line in the making. Running out of memory ends the process. */
struct words {
	const char **at; /* ends with a NULL */
	size_t count, room;
};
void words_add(struct words *w, const char *text);
/* The text is kept until the process ends. */
void words_addf(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void words_free(struct words *w);
char *words_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct driver {
	struct variant_options options;
	bool cplusplus, clang;
	const char *compiler; /* absolute path */
	struct arguments args;
	char **plain_argv; /* the compiler's arguments as they were given */
	struct store store;
	bool has_store;
	struct libc libc;    /* of --libc */
	const char *structs; /* of --structs: folder with the C library's structures as they are */
};

/* Finds a program on PATH, or says which Debian package has it. */
int driver_find(const char *name, const char **ret_path, struct vb_error *err);

enum { DRIVER_MAX_ARGUMENT_BYTES = 100000 };
struct driver_child {
	int input;                /* descriptor for its standard input, from the start; -1: ours */
	const char *errors;       /* file for its standard error; NULL: ours */
	const char *output;       /* file for its standard output; NULL: ours */
	const char *folder;       /* to run in; NULL: ours */
	char *const *environment; /* NULL: ours */
};
/* Runs argv[0] to its end. Signals that ask us to end go to it, too; after one, nothing more is run. Returns its exit status (128
 * + N if signal N ended it), or -errno with err set if it couldn't be run. */
int driver_run(const char *const *argv, const struct driver_child *child, struct vb_error *err);
/* The signal that asked us to end, 0 if none has. */
int driver_signal(void);
void driver_signals_init(void);
void driver_signals_restore(void);

/* A new name in the folder of temporaries, which goes when the process ends. "" if there is no such folder: err has why. */
const char *driver_temporary(const char *suffix, struct vb_error *err);
/* The name beside `path` under which a file is made before it is renamed; it goes when the process ends before driver_commit().
 * Where `path` is no plain file (/dev/null, a pipe) it's a temporary, whose bytes driver_commit() copies. */
const char *driver_beside(const char *path, struct vb_error *err);
int driver_commit(const char *temporary, const char *path, struct vb_error *err);
void driver_cleanup(void);

/* Compiles one source to an object or, if assembly, to text. Returns the exit status; says what went wrong. */
int driver_compile(struct driver *d, const struct argument *input, const char *output, bool assembly);
/* Links; objects[i] takes the place of the i-th input, NULL: the input itself. */
int driver_link(struct driver *d, const char *const *objects);
/* driver_chaff.c. Proves the bugs of an object that has no name yet: 0, the exit status, or DRIVER_AGAIN: those that can't be proved have
 * been added to options.chaff_skip, and it must be compiled again. */
enum { DRIVER_AGAIN = 1000 };
int driver_chaff_prove(struct driver *d, const char *object);
/* Proves what was linked and moves the notes into the plan; removes it if that fails. Returns the exit status. */
int driver_chaff_seal(struct driver *d, const char *linked);
/* Errors of the driver's own. Returns the exit status. */
int driver_fail(const struct vb_error *err);

#endif
