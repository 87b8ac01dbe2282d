/* Owns the table of the compiler's options, and @files. Command lines come from build scripts: every length is bounded. */
#include "variant/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"

#define FILE_MAX_BYTES (64u << 20)
#define MAX_ARGUMENTS  (1u << 20)
#define MAX_DEPTH      16
#define MAX_FILES      4096

enum {
	SEPARATE = 1, /* the value is the next argument: "-o FILE" */
	JOINED = 2,   /* the value is attached, or any text follows: "-std=c11" */
};

/* Options of gcc and clang that take a value in the next argument or that concern a certain step. Longest match wins. */
static const struct {
	const char *name;
	enum argument_kind kind;
	int form; /* 0: just this word */
} table[] = {
	{"-o", ARGUMENT_OUTPUT, SEPARATE | JOINED},
	{"--output", ARGUMENT_OUTPUT, SEPARATE},
	{"--output=", ARGUMENT_OUTPUT, JOINED},
	{"-x", ARGUMENT_LANGUAGE, SEPARATE | JOINED},
	{"-c", ARGUMENT_MODE, 0},
	{"-S", ARGUMENT_MODE, 0},
	{"-I", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-D", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-U", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-undef", ARGUMENT_PREPROCESS, 0},
	{"-include", ARGUMENT_PREPROCESS, SEPARATE},
	{"--include", ARGUMENT_PREPROCESS, SEPARATE},
	{"-include-pch", ARGUMENT_PREPROCESS, SEPARATE},
	{"-imacros", ARGUMENT_PREPROCESS, SEPARATE},
	{"-idirafter", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-iprefix", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-iwithprefix", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-iwithprefixbefore", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-isystem", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-iquote", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-cxx-isystem", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-imultilib", ARGUMENT_PREPROCESS, SEPARATE},
	{"-imultiarch", ARGUMENT_PREPROCESS, SEPARATE},
	{"-Wp,", ARGUMENT_PREPROCESS, JOINED},
	{"-Xpreprocessor", ARGUMENT_PREPROCESS, SEPARATE},
	{"-isysroot", ARGUMENT_COMPILE, SEPARATE | JOINED},
	{"--sysroot", ARGUMENT_COMPILE, SEPARATE},
	{"--sysroot=", ARGUMENT_COMPILE, JOINED},
	{"-B", ARGUMENT_COMPILE, SEPARATE | JOINED},
	{"--param", ARGUMENT_COMPILE, SEPARATE},
	{"--param=", ARGUMENT_COMPILE, JOINED},
	{"-Xclang", ARGUMENT_COMPILE, SEPARATE},
	{"-mllvm", ARGUMENT_COMPILE, SEPARATE},
	{"-wrapper", ARGUMENT_COMPILE, SEPARATE},
	{"-dumpbase", ARGUMENT_COMPILE, SEPARATE},
	{"-dumpbase-ext", ARGUMENT_COMPILE, SEPARATE},
	{"-dumpdir", ARGUMENT_COMPILE, SEPARATE},
	{"-aux-info", ARGUMENT_COMPILE, SEPARATE},
	{"--specs", ARGUMENT_COMPILE, SEPARATE},
	{"-target", ARGUMENT_COMPILE, SEPARATE},
	{"-arch", ARGUMENT_COMPILE, SEPARATE},
	{"-working-directory", ARGUMENT_COMPILE, SEPARATE},
	{"-gcc-toolchain", ARGUMENT_COMPILE, SEPARATE},
	{"-ivfsoverlay", ARGUMENT_COMPILE, SEPARATE},
	{"-A", ARGUMENT_PREPROCESS, SEPARATE | JOINED},
	{"-MD", ARGUMENT_DEPENDENCY, 0},
	{"-MMD", ARGUMENT_DEPENDENCY, 0},
	{"-MP", ARGUMENT_DEPENDENCY, 0},
	{"-MG", ARGUMENT_DEPENDENCY, 0},
	{"-MV", ARGUMENT_DEPENDENCY, 0},
	{"-MF", ARGUMENT_DEPENDENCY, SEPARATE | JOINED},
	{"-MT", ARGUMENT_DEPENDENCY, SEPARATE | JOINED},
	{"-MQ", ARGUMENT_DEPENDENCY, SEPARATE | JOINED},
	{"-MJ", ARGUMENT_DEPENDENCY, SEPARATE | JOINED},
	{"-Wa,", ARGUMENT_ASSEMBLE, JOINED},
	{"-Xassembler", ARGUMENT_ASSEMBLE, SEPARATE},
	{"-gz", ARGUMENT_ASSEMBLE, 0},
	{"-gz=", ARGUMENT_ASSEMBLE, JOINED},
	{"-g", ARGUMENT_DEBUG, JOINED},
	{"--debug", ARGUMENT_DEBUG, 0},
	{"-grecord-gcc-switches", ARGUMENT_COMPILE, 0},
	{"-gno-record-gcc-switches", ARGUMENT_COMPILE, 0},
	{"-l", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-L", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-Wl,", ARGUMENT_LINK, JOINED},
	{"-Xlinker", ARGUMENT_LINK, SEPARATE},
	{"-T", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-Ttext", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-Tdata", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-Tbss", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-u", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-e", ARGUMENT_LINK, SEPARATE}, /* joined it would be -emit-llvm */
	{"-z", ARGUMENT_LINK, SEPARATE | JOINED},
	{"-h", ARGUMENT_LINK, SEPARATE},
	{"-R", ARGUMENT_LINK, SEPARATE},
	{"-rpath", ARGUMENT_LINK, SEPARATE},
	{"-soname", ARGUMENT_LINK, SEPARATE},
	{"-s", ARGUMENT_LINK, 0},
	{"-r", ARGUMENT_LINK, 0},
	{"-rdynamic", ARGUMENT_LINK, 0},
	{"-shared", ARGUMENT_LINK, 0},
	{"-static", ARGUMENT_LINK, 0},
	{"-static-pie", ARGUMENT_LINK, 0},
	{"-pie", ARGUMENT_LINK, 0},
	{"-no-pie", ARGUMENT_LINK, 0},
	{"-nopie", ARGUMENT_LINK, 0},
	{"-nostdlib", ARGUMENT_LINK, 0},
	{"-nodefaultlibs", ARGUMENT_LINK, 0},
	{"-nostartfiles", ARGUMENT_LINK, 0},
	{"-nolibc", ARGUMENT_LINK, 0},
	{"-static-libgcc", ARGUMENT_LINK, 0},
	{"-static-libstdc++", ARGUMENT_LINK, 0},
	{"-shared-libgcc", ARGUMENT_LINK, 0},
	{"-fuse-ld=", ARGUMENT_LINK, JOINED},
	{"--ld-path=", ARGUMENT_LINK, JOINED},
	{"-symbolic", ARGUMENT_LINK, 0},
};

/* Options whose result is not an object: the compiler does these alone. */
static const struct {
	const char *name;
	bool prefix;
} other_modes[] = {
	{"-E", false}, {"-M", false}, {"-MM", false}, {"-###", false}, {"-fsyntax-only", false}, {"--version", false}, {"--help", true},
	{"--target-help", false}, {"-dumpmachine", false}, {"-dumpversion", false}, {"-dumpfullversion", false}, {"-dumpspecs", false},
	{"-print-", true}, {"--print-", true}, {"-Q", false}, {"--preprocess", false}, {"--compile", false}, {"--assemble", false},
	{"--dependencies", false}, {"--user-dependencies", false}, {"--precompile", false}, {"--analyze", false}, {"-cc1", true},
	{"-fpch-preprocess", false}, {"-emit-ast", false}, {"-rewrite-objc", false}, {"--write-dependencies", false},
	{"--write-user-dependencies", false}, {"-fcompare-debug", true},
};

static const struct {
	const char *name;
	bool prefix;
	const char *why;
} refused[] = {
	{"-emit-llvm", false, "bitcode would get past the stages that work on machine code"},
	{"-gsplit-dwarf", false, "the names of its files can't be kept: leave it out"},
	{"-fembed-bitcode", true, "the bitcode would be that of the plain program: leave it out"},
	{"-fthinlto-index", true, "link-time optimisation"},
	{"--specs", true, "leave it out: `vauban cc --libc musl` takes the place of musl-gcc.specs"},
	{"-specs", true, "leave it out: `vauban cc --libc musl` takes the place of musl-gcc.specs"},
	{"-save-temps=", true, "use -save-temps alone"},
	{"-no-integrated-cpp", false, "leave it out"},
	{"-fmodules", true, "modules are not supported"},
	{"-fmodule", true, "modules are not supported"},
};

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *text, const char *const *names)
{
	while (*names && strcmp(text, *names) != 0)
		names++;
	return *names;
}

/* The table's line for the option, or -1. */
static int find(const char *option)
{
	int best = -1;
	size_t best_length = 0;
	for (unsigned i = 0; i < VB_ARRAY_LEN(table); i++) {
		size_t length = strlen(table[i].name);
		bool matches = table[i].form & JOINED ? strncmp(option, table[i].name, length) == 0 : strcmp(option, table[i].name) == 0;
		if (matches && length > best_length)
			best = (int)i, best_length = length;
	}
	return best;
}

bool argument_takes_value(const char *option)
{
	int at = option[0] == '-' && option[1] ? find(option) : -1;
	return at >= 0 && table[at].form & SEPARATE && strcmp(option, table[at].name) == 0;
}

/* --- @files --- */

struct list {
	char **at;
	size_t count, room;
};

static int list_add(struct list *l, char *text)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		char **more = room > MAX_ARGUMENTS * 2 ? NULL : realloc(l->at, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->at = more, l->room = room;
	}
	l->at[l->count++] = text;
	return 0;
}

/* The next word of *at, in place: blanks separate, quotes and backslashes hold together, as libiberty's buildargv() has it. */
static char *next_word(char **at)
{
	char *in = *at, *out, *word, quote = 0;
	while (isspace((unsigned char)*in))
		in++;
	if (!*in)
		return NULL;
	for (word = out = in; *in && (quote || !isspace((unsigned char)*in)); in++) {
		if (*in == '\\' && in[1] && quote != '\'')
			*out++ = *++in;
		else if (quote ? *in == quote : *in == '"' || *in == '\'')
			quote = quote ? 0 : *in;
		else
			*out++ = *in;
	}
	*at = *in ? in + 1 : in;
	*out = 0;
	return word;
}

static int expand(struct list *to, struct list *owned, char *text, unsigned depth, struct vb_error *err)
{
	char *content, *word, *at;
	size_t len;
	int r = text[0] == '@' ? file_read(AT_FDCWD, text + 1, FILE_MAX_BYTES, &content, &len) : -ENOENT;
	if (r == -EFBIG || (r == 0 && strlen(content) != len)) {
		if (r == 0)
			free(content);
		return vb_error_set(err, -EINVAL, "%s: this is no file of options", text);
	}
	if (r < 0)
		return list_add(to, text) < 0 || to->count > MAX_ARGUMENTS ? vb_error_set(err, -E2BIG, "too many arguments") : 0;
	if (list_add(owned, content) < 0) {
		free(content);
		return vb_error_set(err, -ENOMEM, "out of memory");
	}
	if (depth == MAX_DEPTH || owned->count > MAX_FILES)
		return vb_error_set(err, -EINVAL, "%s: files of options that name each other too deeply, or too many", text);
	r = 0;
	for (at = content; r == 0 && (word = next_word(&at));)
		r = expand(to, owned, word, depth + 1, err);
	return r;
}

/* --- what options mean --- */

static void note_debug(struct arguments *a, const char *text)
{
	const char *level = text + (starts_with(text, "-ggdb") ? 5 : 2);
	static const char *const lines_only[] = {"-gline-tables-only", "-gmlt", "-gline-directives-only", NULL};
	if (!strcmp(text, "--debug") || !*level)
		a->debug = a->debug > 2 ? a->debug : 2;
	else if (*level >= '0' && *level <= '3' && !level[1])
		a->debug = *level - '0';
	else if (is_one_of(text, lines_only))
		a->debug = 1;
	else if (starts_with(text, "-gdwarf") || starts_with(text, "-gfull") || starts_with(text, "-glldb"))
		a->debug = a->debug ? a->debug : 2;
}

static void note_link(struct arguments *a, const char *text)
{
	a->shared |= !strcmp(text, "-shared");
	a->relocatable |= !strcmp(text, "-r") || !strcmp(text, "-Wl,-r") || !strcmp(text, "-Wl,--relocatable");
	a->is_static |= !strcmp(text, "-static") || !strcmp(text, "-static-pie");
	a->static_pie |= !strcmp(text, "-static-pie");
	a->no_pie = !strcmp(text, "-no-pie") || !strcmp(text, "-nopie") || (a->no_pie && strcmp(text, "-pie") != 0);
	a->no_startfiles |= !strcmp(text, "-nostdlib") || !strcmp(text, "-nostartfiles");
	a->no_default_libraries |= !strcmp(text, "-nostdlib") || !strcmp(text, "-nodefaultlibs") || !strcmp(text, "-nolibc");
	if (starts_with(text, "-fuse-ld="))
		a->linker = text + strlen("-fuse-ld=");
	if (starts_with(text, "--ld-path="))
		a->linker = text + strlen("--ld-path=");
}

/* Options that write or read files beside the object. */
static bool has_by_products(const char *text)
{
	static const char *const prefixes[] = {"-fstack-usage", "-fdump-", "-fcallgraph-info", "-fprofile-use", "-fauto-profile", "-fplugin",
		"-fprofile-instr-use", "-fprofile-sample-use", "-fopt-info", "-ftime-report", "-ftime-trace", "-fsave-optimization-record",
		"-fdiagnostics-format=", "-fdiagnostics-add-output", "-aux-info", "-fbranch-probabilities", "-serialize-diagnostics",
		"--serialize-diagnostics", "-fcrash-diagnostics", "-wrapper", "-MJ", "-fsanitize-blacklist", "-fsanitize-ignorelist",
		"-fprofile-list", "-fxray", "-fproc-stat", "-v", "-H", "-time", "-ftime", "-fmem-report", 
		"-include-pch", "-fpass-plugin", "-load", "-iplugindir", "-ivfsoverlay", NULL};
	for (const char *const *p = prefixes; *p; p++)
		if (starts_with(text, *p) && (strlen(*p) > 2 || !text[2]))
			return true;
	return false;
}

static void note_compile(struct arguments *a, const char *text, const char *value)
{
	static const char *const coverage[] = {"--coverage", "-coverage", "-fprofile-arcs", "-ftest-coverage", NULL};
	static const char *const targets[] = {"-m32", "-m16", "-mx32", "-arch", "-miamcu", NULL};
	a->coverage |= is_one_of(text, coverage) || starts_with(text, "-fprofile-generate");
	a->save_temps |= !strcmp(text, "-save-temps") || !strcmp(text, "--save-temps");
	a->by_products |= a->save_temps || has_by_products(text) || (value && has_by_products(value));
	a->intel_syntax = !strcmp(text, "-masm=intel") || (a->intel_syntax && strcmp(text, "-masm=att") != 0);
	if (starts_with(text, "-ffixed-") || starts_with(text, "-fcall-saved-") || starts_with(text, "-fcall-used-"))
		a->fixed_register = text;
	if (starts_with(text, "-flto"))
		a->lto = true;
	if (!strcmp(text, "-fno-lto"))
		a->lto = false;
	const char *target = !strcmp(text, "-target") ? value : starts_with(text, "--target=") ? text + strlen("--target=") : NULL;
	if (is_one_of(text, targets) || (target && !starts_with(target, "x86_64")))
		a->other_target = text;
	for (unsigned i = 0; i < VB_ARRAY_LEN(refused); i++)
		if (refused[i].prefix ? starts_with(text, refused[i].name) : !strcmp(text, refused[i].name))
			a->refused = text, a->refused_why = refused[i].why;
}

static void note_dependency(struct arguments *a, const struct argument *arg)
{
	const char *value = arg->value ? arg->value : arg->text + 3;
	a->dependencies |= !strcmp(arg->text, "-MD") || !strcmp(arg->text, "-MMD");
	if (starts_with(arg->text, "-MF"))
		a->dependency_file = value;
	a->dependency_target |= starts_with(arg->text, "-MT") || starts_with(arg->text, "-MQ");
	a->by_products |= starts_with(arg->text, "-MJ");
}

static void note(struct arguments *a, const struct argument *arg)
{
	const char *text = arg->text;
	for (unsigned i = 0; i < VB_ARRAY_LEN(other_modes); i++)
		if (other_modes[i].prefix ? starts_with(text, other_modes[i].name) : !strcmp(text, other_modes[i].name))
			a->mode = ARGUMENTS_OTHER;
	switch (arg->kind) {
	case ARGUMENT_INPUT:
		a->inputs++;
		break;
	case ARGUMENT_MODE: /* as gcc: -E, then -S, then -c */
		if (a->mode == ARGUMENTS_LINK || (a->mode == ARGUMENTS_OBJECT && !strcmp(text, "-S")))
			a->mode = strcmp(text, "-S") ? ARGUMENTS_OBJECT : ARGUMENTS_ASSEMBLY;
		break;
	case ARGUMENT_OUTPUT:
		a->output = arg->value ? arg->value : starts_with(text, "--output=") ? text + strlen("--output=") : text + 2;
		break;
	case ARGUMENT_DEBUG:
		note_debug(a, text);
		note_compile(a, text, arg->value);
		break;
	case ARGUMENT_DEPENDENCY:
		note_dependency(a, arg);
		break;
	case ARGUMENT_LINK:
		note_link(a, text);
		break;
	case ARGUMENT_PREPROCESS:
		a->by_products |= starts_with(text, "-Wp,-M"); /* dependencies by another way */
		note_compile(a, text, arg->value);
		break;
	default:
		note_compile(a, text, arg->value);
	}
}

static int classify(struct arguments *a, char **words, size_t count)
{
	const char *language = NULL;
	a->all = calloc(count + 1, sizeof(*a->all));
	if (!a->all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct argument *arg = &a->all[a->count++];
		*arg = (struct argument){.kind = ARGUMENT_INPUT, .text = words[i]};
		if (words[i][0] == '-' && words[i][1]) {
			int at = find(words[i]);
			arg->kind = at < 0 ? ARGUMENT_COMPILE : table[at].kind;
			if (argument_takes_value(words[i]) && i + 1 < count)
				arg->value = words[++i];
		}
		if (arg->kind == ARGUMENT_LANGUAGE) {
			language = arg->value ? arg->value : arg->text + 2;
			if (!strcmp(language, "none"))
				language = NULL;
		}
		if (arg->kind == ARGUMENT_INPUT)
			arg->language = language;
		note(a, arg);
	}
	return 0;
}

int arguments_parse(char *const *argv, struct arguments *ret, struct vb_error *err)
{
	struct list words = {0}, owned = {0};
	struct arguments a = {.mode = ARGUMENTS_LINK};
	int r = 0;
	for (; *argv && r == 0; argv++)
		r = expand(&words, &owned, *argv, 0, err);
	if (r == 0 && classify(&a, words.at, words.count) < 0)
		r = vb_error_set(err, -ENOMEM, "out of memory");
	free(words.at);
	a.owned = owned.at, a.owned_count = owned.count;
	if (r < 0)
		arguments_release(&a);
	else
		*ret = a;
	return r;
}

void arguments_release(struct arguments *a)
{
	for (size_t i = 0; i < a->owned_count; i++)
		free(a->owned[i]);
	free(a->owned);
	free(a->all);
	*a = (struct arguments){0};
}

/* --- inputs --- */

static const struct {
	const char *suffix, *language; /* language: "" for what the compiler does alone */
} suffixes[] = {
	{"c", "c"}, {"i", "cpp-output"}, {"cc", "c++"}, {"cp", "c++"}, {"cxx", "c++"}, {"cpp", "c++"}, {"CPP", "c++"}, {"c++", "c++"}, {"C", "c++"},
	{"ii", "c++-cpp-output"}, {"s", ""}, {"S", ""}, {"sx", ""}, {"asm", ""}, {"h", ""}, {"hh", ""}, {"H", ""}, {"hp", ""}, {"hxx", ""},
	{"hpp", ""}, {"HPP", ""}, {"h++", ""}, {"tcc", ""}, {"m", ""}, {"mi", ""}, {"mm", ""}, {"M", ""}, {"mii", ""}, {"f", ""}, {"for", ""},
	{"ftn", ""}, {"F", ""}, {"FOR", ""}, {"fpp", ""}, {"f90", ""}, {"f95", ""}, {"f03", ""}, {"f08", ""}, {"F90", ""}, {"F95", ""},
	{"go", ""}, {"d", ""}, {"di", ""}, {"adb", ""}, {"ads", ""}, {"ll", ""}, {"bc", ""}, {"cu", ""}, {"cl", ""},
};

static const char *suffix_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	return dot ? dot + 1 : "";
}

enum source_kind argument_source(const struct argument *input)
{
	static const char *const compiled[] = {"c", "c++", "cpp-output", "c++-cpp-output", NULL};
	if (input->language)
		return is_one_of(input->language, compiled) ? SOURCE_COMPILED : SOURCE_OTHER;
	const char *suffix = suffix_of(input->text);
	for (unsigned i = 0; i < VB_ARRAY_LEN(suffixes); i++)
		if (!strcmp(suffixes[i].suffix, suffix))
			return *suffixes[i].language ? SOURCE_COMPILED : SOURCE_OTHER;
	return SOURCE_LINKED;
}

const char *argument_language(const struct argument *input, bool cplusplus)
{
	const char *suffix = suffix_of(input->text), *language = input->language ? input->language : "c";
	for (unsigned i = 0; !input->language && i < VB_ARRAY_LEN(suffixes); i++)
		if (!strcmp(suffixes[i].suffix, suffix))
			language = suffixes[i].language;
	if (!input->language && cplusplus) /* g++ and clang++ take .c and .i for C++ */
		language = !strcmp(language, "c") ? "c++" : !strcmp(language, "cpp-output") ? "c++-cpp-output" : language;
	return language;
}

int argument_base(const char *path, const char *suffix, char *ret, size_t size)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(name, '.');
	int n = snprintf(ret, size, "%.*s%s", (int)(dot && dot != name ? dot - name : (ptrdiff_t)strlen(name)), name, suffix);
	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}
