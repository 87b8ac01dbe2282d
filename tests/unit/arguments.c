/* The compiler's command line as `vauban cc` takes it apart, the entries of its store, and the hash that names them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/error.h"
#include "tests/unit/tap.h"
#include "variant/arguments.h"
#include "variant/store.h"

static struct arguments a;
static struct vb_error err;

static int parse(const char *line)
{
	static char copy[1000];
	char *words[100];
	unsigned count = 0;
	arguments_release(&a);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *save = NULL, *text = copy; (words[count] = strtok_r(text, " ", &save)); text = NULL)
		count++;
	return arguments_parse(words, &a, &err);
}

static bool is_kind(unsigned i, enum argument_kind kind, const char *text, const char *value)
{
	return i < a.count && a.all[i].kind == kind && !strcmp(a.all[i].text, text) && !a.all[i].value == !value &&
	       (!value || !strcmp(a.all[i].value, value));
}

static void test_kinds(void)
{
	CHECK(parse("-c -o -x -Ifoo -I bar a.c") == 0 && a.count == 5);
	CHECK(is_kind(1, ARGUMENT_OUTPUT, "-o", "-x") && is_kind(2, ARGUMENT_PREPROCESS, "-Ifoo", NULL));
	CHECK(is_kind(3, ARGUMENT_PREPROCESS, "-I", "bar") && is_kind(4, ARGUMENT_INPUT, "a.c", NULL));
	CHECK(a.mode == ARGUMENTS_OBJECT && a.inputs == 1 && !strcmp(a.output, "-x"));
	CHECK(parse("-oprog a.c b.o -lz -Wl,-x,-y -Xlinker -c") == 0 && a.mode == ARGUMENTS_LINK && !strcmp(a.output, "prog"));
	CHECK(is_kind(3, ARGUMENT_LINK, "-lz", NULL) && is_kind(5, ARGUMENT_LINK, "-Xlinker", "-c") && a.inputs == 2);
	CHECK(argument_source(&a.all[1]) == SOURCE_COMPILED && argument_source(&a.all[2]) == SOURCE_LINKED);
	CHECK(parse("-c -S a.c") == 0 && a.mode == ARGUMENTS_ASSEMBLY);
	CHECK(parse("-S -E a.c") == 0 && a.mode == ARGUMENTS_OTHER);
	CHECK(parse("-emit-llvm -c a.c") == 0 && a.refused && !strcmp(a.refused, "-emit-llvm"));
	CHECK(parse("-e main -undef -ansi a.c") == 0 && is_kind(0, ARGUMENT_LINK, "-e", "main") && is_kind(1, ARGUMENT_PREPROCESS, "-undef", NULL));
	CHECK(is_kind(2, ARGUMENT_COMPILE, "-ansi", NULL));
	CHECK(parse("a.c -o") == 0 && is_kind(1, ARGUMENT_OUTPUT, "-o", NULL));
	CHECK(argument_takes_value("-o") && !argument_takes_value("-ofile") && argument_takes_value("-Xclang") && !argument_takes_value("-") &&
	      !argument_takes_value("--seed"));
}

static void test_meaning(void)
{
	CHECK(parse("-flto=auto -fno-lto a.c") == 0 && !a.lto);
	CHECK(parse("-fno-lto -flto a.c") == 0 && a.lto);
	CHECK(parse("-g a.c") == 0 && a.debug == 2 && parse("-g3 -g0 a.c") == 0 && a.debug == 0);
	CHECK(parse("-ggdb3 a.c") == 0 && a.debug == 3 && parse("-g1 -gdwarf-4 a.c") == 0 && a.debug == 1);
	CHECK(parse("-gz -gcc-toolchain x a.c") == 0 && a.debug == 0 && a.inputs == 1);
	CHECK(parse("-MD -MFx.d -MT t a.c") == 0 && a.dependencies && a.dependency_target && !strcmp(a.dependency_file, "x.d"));
	CHECK(parse("-m32 a.c") == 0 && a.other_target && parse("--target=x86_64-linux-gnu a.c") == 0 && !a.other_target);
	CHECK(parse("-target aarch64-linux-gnu a.c") == 0 && a.other_target && a.inputs == 1);
	CHECK(parse("-v a.c") == 0 && a.by_products && parse("-vfoo a.c") == 0 && !a.by_products);
	CHECK(parse("-x c a.weird -x none b.o -x assembler-with-cpp s.c") == 0);
	CHECK(argument_source(&a.all[1]) == SOURCE_COMPILED && argument_source(&a.all[3]) == SOURCE_LINKED && argument_source(&a.all[5]) == SOURCE_OTHER);
	CHECK(parse("a.c b.cc c.ii") == 0 && !strcmp(argument_language(&a.all[0], false), "c") && !strcmp(argument_language(&a.all[0], true), "c++"));
	CHECK(!strcmp(argument_language(&a.all[1], false), "c++") && !strcmp(argument_language(&a.all[2], false), "c++-cpp-output"));
	char name[12];
	CHECK(argument_base("dir.x/foo.bar.c", ".o", name, sizeof(name)) == 0 && !strcmp(name, "foo.bar.o"));
	CHECK(argument_base("x/.c", ".o", name, sizeof(name)) == 0 && !strcmp(name, ".c.o"));
	CHECK(argument_base("much/longer/than/it.may.be.named.c", ".o", name, sizeof(name)) == -ENAMETOOLONG);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void test_files(void)
{
	write_text("one", "-DA='x y' \"-DB=\\\"q\\\"\"\n@two -c\\ d '' @absent");
	write_text("two", "a.c\t-O2\n");
	write_text("self", "@self @self @self @self");
	CHECK(parse("@one last") == 0 && a.count == 8);
	CHECK(is_kind(0, ARGUMENT_PREPROCESS, "-DA=x y", NULL) && is_kind(1, ARGUMENT_PREPROCESS, "-DB=\"q\"", NULL));
	CHECK(is_kind(2, ARGUMENT_INPUT, "a.c", NULL) && is_kind(3, ARGUMENT_COMPILE, "-O2", NULL) && is_kind(4, ARGUMENT_COMPILE, "-c d", NULL));
	CHECK(is_kind(5, ARGUMENT_INPUT, "", NULL) && is_kind(6, ARGUMENT_INPUT, "@absent", NULL) && is_kind(7, ARGUMENT_INPUT, "last", NULL));
	CHECK(parse("@self") == -EINVAL);
}

static void test_hash(void)
{
	static const uint8_t abc[8] = {0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d}; /* RFC 7693, appendix A */
	struct blake2b b;
	uint8_t digest[64], again[64];
	blake2b_init(&b, 64);
	blake2b_update(&b, "abc", 3);
	blake2b_final(&b, digest);
	CHECK(!memcmp(digest, abc, sizeof(abc)));
	char bytes[1000] = {1, 2, 3};
	blake2b_init(&b, 32);
	blake2b_update(&b, bytes, sizeof(bytes));
	blake2b_final(&b, digest);
	blake2b_init(&b, 32);
	for (unsigned i = 0; i < sizeof(bytes); i += 8)
		blake2b_update(&b, bytes + i, 8);
	blake2b_final(&b, again);
	CHECK(!memcmp(digest, again, 32));
}

static void key_of(struct store_key *k, const char *first, const char *second)
{
	store_key_init(k);
	store_key_add_text(k, first);
	store_key_add_text(k, second);
	store_key_done(k);
}

static void test_store(void)
{
	struct store s;
	struct store_key k, other;
	struct store_entry e = {.diagnostics = "warned", .result = "text", .diagnostics_bytes = 6, .result_bytes = 4}, got;
	CHECK(store_open(&s, "store", 64 * 4096, &err) == 0);
	key_of(&k, "ab", "c");
	key_of(&other, "a", "bc");
	CHECK(memcmp(k.bytes, other.bytes, STORE_KEY_BYTES) != 0);
	CHECK(store_get(&s, &k, &got) == -ENOENT);
	CHECK(store_put(&s, &k, &e) == 0 && store_get(&s, &k, &got) == 0);
	CHECK(got.diagnostics_bytes == 6 && got.result_bytes == 4 && !strcmp(got.diagnostics, "warnedtext"));
	free(got.diagnostics);
	CHECK(store_get(&s, &other, &got) == -ENOENT);
	e.result_bytes = 5000;
	CHECK(store_put(&s, &k, &e) == -EFBIG);
	store_close(&s);
	CHECK(chmod("store", 0770) == 0 && store_open(&s, "store", 1 << 20, &err) == -EPERM);
	CHECK(store_decode(k.bytes, "", 0, &got) == -EBADMSG);
}

int main(void)
{
	char dir[] = "/tmp/unit-arguments.XXXXXX";
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	test_kinds();
	test_meaning();
	test_files();
	test_hash();
	test_store();
	arguments_release(&a);
	if (system("rm -rf -- \"$PWD\"") != 0)
		failed++;
	return tap_done();
}
