/* A compiler's command line, as far as `vauban cc` must understand it: which argument is an input, which an option, and which
 * step of the work an option concerns. What isn't in the table of options is passed to the compiler as it is. Strings are the
 * caller's or, from @files, the struct's own. */
#ifndef VARIANT_ARGUMENTS_H
#define VARIANT_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

struct vb_error;

enum argument_kind {
	ARGUMENT_INPUT,      /* a file, or "-" */
	ARGUMENT_COMPILE,    /* to the compiler, and when linking: -O2, -f..., -m..., -W..., and what isn't known */
	ARGUMENT_DEBUG,      /* -g... */
	ARGUMENT_PREPROCESS, /* only of effect while preprocessing: -I, -D... */
	ARGUMENT_DEPENDENCY, /* -MD, -MF FILE... */
	ARGUMENT_ASSEMBLE,   /* -Wa,... */
	ARGUMENT_LINK,       /* -l, -L, -Wl,... */
	ARGUMENT_LANGUAGE,   /* -x */
	ARGUMENT_MODE,       /* -c, -S */
	ARGUMENT_OUTPUT,     /* -o */
};

struct argument {
	enum argument_kind kind;
	const char *text;     /* as it was written: "-I", "-Ifolder", "a.c" */
	const char *value;    /* the next argument, if it is this one's value: else NULL */
	const char *language; /* of an input: what -x said, or NULL */
};

enum arguments_mode {
	ARGUMENTS_LINK,     /* no -c or such */
	ARGUMENTS_OBJECT,   /* -c */
	ARGUMENTS_ASSEMBLY, /* -S */
	ARGUMENTS_OTHER,    /* -E, -M, -fsyntax-only, --version, -print-...: nothing is compiled */
};

struct arguments {
	struct argument *all;
	size_t count;
	enum arguments_mode mode;
	unsigned inputs;
	const char *output; /* of -o, the last one; NULL */
	/* Dependencies as a by-product: -MD or -MMD. */
	bool dependencies;
	const char *dependency_file;
	bool dependency_target;   /* -MT, -MQ, or DEPENDENCIES_OUTPUT's like */
	int debug;                /* the level of -g: 0 to 3 */
	bool lto;                 /* -flto is in force */
	bool coverage;            /* --coverage, -fprofile-arcs...: also writes or reads files that lie beside the object */
	bool by_products;         /* -save-temps, -fstack-usage, -fdump-...: files that a stored result would not bring */
	bool save_temps;
	bool shared, relocatable, is_static, static_pie, no_pie, no_startfiles, no_default_libraries;
	const char *linker;       /* of -fuse-ld= */
	const char *other_target; /* the option that asks for another machine than x86-64, or NULL */
	const char *refused;      /* an option that can't work here, or NULL */
	const char *refused_why;
	bool intel_syntax;
	const char *fixed_register; /* an option that changes what registers are for, or NULL */
	char **owned; /* storage of what came from @files */
	size_t owned_count;
};

/* True if `option` stands alone and the next argument is its value: "-o", "-Xlinker". */
bool argument_takes_value(const char *option);

/* argv: without the compiler's name, ends with a NULL. @files are read; one that can't be opened is an argument like any other, as
 * for gcc. -EINVAL: an @file that holds itself; -E2BIG; -ENOMEM. Nothing to release after an error. */
int arguments_parse(char *const *argv, struct arguments *ret, struct vb_error *err);
void arguments_release(struct arguments *a);

enum source_kind {
	SOURCE_COMPILED, /* C, C++: goes through the stages */
	SOURCE_OTHER,    /* assembly, other languages, headers: the compiler's business alone */
	SOURCE_LINKED,   /* objects, archives, libraries */
};
/* What an input is, by -x or its suffix. */
enum source_kind argument_source(const struct argument *input);
/* The -x name of a SOURCE_COMPILED input. cplusplus: the driver is c++. */
const char *argument_language(const struct argument *input, bool cplusplus);

/* "dir/name.suffix" to "name<suffix>" in ret. -ENAMETOOLONG. */
int argument_base(const char *path, const char *suffix, char *ret, size_t size);

#endif
