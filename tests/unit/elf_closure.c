/* The ELF decoder on hand-made headers, and the closure of hand-made programs: search paths, links, what is missing.
 * Sources: base/elf.c image/closure.c image/tree.c host/error.c; needs gcc to make the programs. */
#include "base/elf.h"
#include "image/closure.h"
#include "tests/unit/tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the decoder --- */

static uint8_t file[8192];
static struct elf_image image;
static const char *why;

static void set16(size_t at, uint16_t v)
{
	memcpy(file + at, &v, 2);
}
static void set64(size_t at, uint64_t v)
{
	memcpy(file + at, &v, 8);
}

static void set_segment(unsigned i, uint32_t type, uint32_t flags, uint64_t offset, uint64_t vaddr, uint64_t filesz, uint64_t memsz)
{
	struct elf_segment s = {type, flags, offset, vaddr, vaddr, filesz, memsz, 4096};

	memcpy(file + 64 + i * sizeof(s), &s, sizeof(s));
}

/* A good file: text, data with bss, and room for a third segment, unused (type 0). */
static void reset(void)
{
	memset(file, 0, sizeof(file));
	memcpy(file, "\177ELF\2\1\1", 7);
	set16(16, 3);
	set16(18, 62);
	set64(24, 0x1040);
	set64(32, 64);
	set16(54, 56);
	set16(56, 3);
	set_segment(0, ELF_LOAD, 5, 0, 0, 4096, 4096);
	set_segment(1, ELF_LOAD, 6, 4096, 0x5000, 4096, 8192);
}

static int decode(void)
{
	return elf_decode(file, sizeof(file), sizeof(file), &image, &why);
}
static bool says(int code, const char *text)
{
	int r;

	why = "";
	r = decode();
	return r == code && strstr(why, text);
}

static void test_header(void)
{
	reset();
	CHECK(decode() == 0 && image.position_independent && image.entry == 0x1040 && image.load_count == 2);
	CHECK(image.low == 0 && image.high == 0x7000 && image.segments_vaddr == 64 && image.align == 4096);
	file[1] = 'X';
	CHECK(says(-ENOEXEC, "not an ELF"));
	reset();
	CHECK(elf_decode(file, 20, sizeof(file), &image, &why) == -ENOEXEC && strstr(why, "truncated"));
	CHECK(elf_decode(file, sizeof(file), 100, &image, &why) == -ENOEXEC && strstr(why, "truncated program header table"));
	CHECK(elf_decode(file, 100, sizeof(file), &image, &why) == -ERANGE && image.segment_count == 3);
	CHECK(elf_decode_segments(file + 64, sizeof(file), &image, &why) == 0 && image.load_count == 2);
	set16(18, 183);
	CHECK(says(-ENOEXEC, "aarch64"));
	set16(18, 3);
	file[4] = 1;
	CHECK(says(-ENOEXEC, "32-bit"));
	set16(18, 62);
	CHECK(says(-ENOEXEC, "x32"));
	reset();
	file[5] = 2;
	set16(18, 22 << 8);
	CHECK(says(-ENOEXEC, "s390"));
	reset();
	set16(16, 1);
	CHECK(says(-ENOEXEC, "object file"));
	set16(16, 4);
	CHECK(says(-ENOEXEC, "core file"));
	reset();
	set16(56, 0);
	CHECK(says(-ENOEXEC, "no program headers"));
	set16(56, 33);
	CHECK(says(-ENOEXEC, "too many"));
	reset();
	set16(54, 32);
	CHECK(says(-ENOEXEC, "wrong size"));
	reset();
	set64(32, UINT64_MAX - 8);
	CHECK(says(-ENOEXEC, "truncated program header table"));
}

static void test_segments(void)
{
	reset();
	set_segment(0, ELF_LOAD, 6, 4096, 0x5000, 4096, 8192);
	set_segment(1, ELF_LOAD, 5, 0, 0, 4096, 4096);
	CHECK(decode() == 0 && image.load[0].vaddr == 0 && image.load[1].vaddr == 0x5000); /* sorted */
	reset();
	set_segment(1, ELF_LOAD, 6, 4096, 0x5000, 4097, 8192);
	CHECK(says(-EINVAL, "beyond the end of the file"));
	set_segment(1, ELF_LOAD, 6, 4096, 0x5000, 4096, 4095);
	CHECK(says(-EINVAL, "more bytes in the file"));
	set_segment(1, ELF_LOAD, 6, 4096, 0x5001, 100, 100);
	CHECK(says(-EINVAL, "modulo a page"));
	set_segment(1, ELF_LOAD, 6, 4096, 0, 100, 100);
	CHECK(says(-EINVAL, "overlapping"));
	set_segment(1, ELF_LOAD, 6, 4096, UINT64_MAX - 4095, 4096, 4096);
	CHECK(says(-EINVAL, "beyond the end of user addresses"));
	set_segment(1, ELF_LOAD, 6, 4096, 0x5000, 4096, UINT64_MAX);
	CHECK(says(-EINVAL, "beyond the end of user addresses"));
	set_segment(1, ELF_LOAD, 6, UINT64_MAX, 0x5fff, 1, 1);
	CHECK(says(-EINVAL, "beyond the end of the file"));
	set_segment(1, ELF_LOAD, 6, 0, 0, 0, 0);
	CHECK(decode() == 0 && image.load_count == 1);
	set_segment(0, ELF_LOAD, 6, 0, 0, 0, 0);
	CHECK(says(-ENOEXEC, "no loadable"));
	reset();
	set_segment(2, ELF_INTERP, 4, 200, 200, 28, 28);
	CHECK(decode() == 0 && image.interp_offset == 200 && image.interp_bytes == 28);
	set_segment(2, ELF_INTERP, 4, 8190, 200, 28, 28);
	CHECK(says(-ENOEXEC, "interpreter"));
	set_segment(2, ELF_INTERP, 4, 0, 0, 5000, 5000);
	CHECK(says(-ENOEXEC, "interpreter"));
	set_segment(2, ELF_DYNAMIC, 6, 8000, 0x5000, 1000, 1000);
	CHECK(says(-EINVAL, "dynamic section"));
}

/* --- closures --- */

static char dir[] = "/tmp/vauban-closure-XXXXXX";
static struct tree tree;
static struct vb_error err;

static void shell(const char *command)
{
	if (system(command)) {
		printf("Bail out! %s\n", command);
		exit(1);
	}
}

static int closure(const char *program)
{
	int r;

	tree_release(&tree);
	err.text[0] = 0;
	r = closure_add_program(&tree, program, &err);
	return r ? r : closure_complete(&tree, &err);
}

static bool has(const char *path)
{
	return tree_find(&tree, path);
}

static void write_file(const char *path, const char *text, unsigned mode)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, mode))
		exit(1);
}

static char name[4096];
static const char *in(const char *below)
{
	snprintf(name, sizeof(name), "%s/%s", dir, below);
	return name;
}

static void test_closure(void)
{
	if (!mkdtemp(dir) || chdir(dir))
		exit(1);
	shell("mkdir -p lib deep bin && echo 'int b(void){return 2;}' >b.c && echo 'int b(void);int a(void){return b();}' >a.c && "
	      "echo 'int a(void);int main(void){return a();}' >m.c && gcc -shared -fPIC -Wl,-soname,libvb_b.so.1 -o deep/libvb_b.so.1 b.c "
	      "&& "
	      "gcc -shared -fPIC -o lib/libvb_a.so.1.2 a.c -Wl,-soname,libvb_a.so.1 -Ldeep -l:libvb_b.so.1 '-Wl,-rpath,${ORIGIN}/../deep' "
	      "&& "
	      "ln -s libvb_a.so.1.2 lib/libvb_a.so.1 && ln -s libvb_a.so.1 lib/libvb_a.so && "
	      "gcc -o bin/real m.c -Llib -lvb_a '-Wl,-rpath,$ORIGIN/../lib' -Wl,-rpath-link,deep && ln -s real bin/alias");
	CHECK(closure(in("bin/alias")) == 0);
	CHECK(has(in("bin/alias")) && tree_find(&tree, in("bin/alias"))->target && has(in("bin/real")));
	CHECK(has(in("lib/libvb_a.so.1")) && has(in("lib/libvb_a.so.1.2")) && !has(in("lib/libvb_a.so")) && has(in("deep/libvb_b.so.1")));
	CHECK(has("/lib64") || has("/usr/lib64") || has("/lib64/ld-linux-x86-64.so.2"));
	shell("mv deep/libvb_b.so.1 gone");
	CHECK(closure(in("bin/real")) == -ENOENT && strstr(err.text, "needs libvb_b.so.1"));
	shell("mv gone deep/libvb_b.so.1");
	/* the old RPATH counts for what the libraries need too */
	shell("gcc -shared -fPIC -o lib/libvb_a.so.1.2 a.c -Wl,-soname,libvb_a.so.1 -Ldeep -l:libvb_b.so.1 && "
	      "gcc -o bin/old m.c -Llib -lvb_a '-Wl,-rpath,$ORIGIN/../lib:$ORIGIN/../deep' -Wl,-rpath-link,deep -Wl,--disable-new-dtags && "
	      "gcc -o bin/new m.c -Llib -lvb_a '-Wl,-rpath,$ORIGIN/../lib:$ORIGIN/../deep' -Wl,-rpath-link,deep -Wl,--enable-new-dtags");
	CHECK(closure(in("bin/old")) == 0 && has(in("deep/libvb_b.so.1")));
	CHECK(closure(in("bin/new")) == -ENOENT);
}

static void test_programs(void)
{
	char text[8192];

	write_file(in("script"), "#! /bin/sh -e\n", 0755);
	CHECK(closure(in("script")) == 0 && has("/usr/bin/dash"));
	write_file(in("script"), "#!/usr/bin/env -S perl -w\n", 0755);
	CHECK(closure(in("script")) == 0 && has("/usr/bin/env") && has("/usr/bin/perl"));
	write_file(in("script"), "#!/no/such/interpreter\n", 0755);
	CHECK(closure(in("script")) == -ENOENT && strstr(err.text, "/no/such/interpreter"));
	snprintf(text, sizeof(text), "#!%s/script\n", dir);
	write_file(in("script"), text, 0755);
	CHECK(closure(in("script")) == -ELOOP);
	write_file(in("script"), "hello\n", 0755);
	CHECK(closure(in("script")) == -ENOEXEC && strstr(err.text, "neither"));
	write_file(in("script"), "", 0755);
	CHECK(closure(in("script")) == -ENOEXEC);
	write_file(in("script"), "#!", 0755);
	CHECK(closure(in("script")) == -ENOEXEC);
	write_file(in("script"), "#!/bin/sh\n", 0644);
	CHECK(closure(in("script")) == -EACCES && strstr(err.text, "chmod"));
	CHECK(closure(in("nothing")) == -ENOENT && closure(dir) == -EACCES && closure("/dev/null") == -EINVAL);
	shell("gcc -static -o static m.c a.c b.c");
	CHECK(closure(in("static")) == 0 && !has("/usr/lib/x86_64-linux-gnu/libc.so.6"));
	shell("gcc -o odd m.c a.c b.c -Wl,--dynamic-linker,/no/such/ld.so");
	CHECK(closure(in("odd")) == -ENOENT && strstr(err.text, "needs the interpreter /no/such/ld.so"));
	shell("head -c 2000 static >short && chmod +x short");
	CHECK(closure(in("short")) == -EINVAL && strstr(err.text, "truncated"));
	shell("printf '\\267' | dd of=static bs=1 seek=18 conv=notrunc 2>/dev/null");
	CHECK(closure(in("static")) == -ENOEXEC && strstr(err.text, "aarch64"));
	shell("ln -s l2 l1 && ln -s l1 l2");
	CHECK(closure(in("l1")) == -ELOOP);
}

int main(void)
{
	test_header();
	test_segments();
	test_closure();
	test_programs();
	tree_release(&tree);
	snprintf(name, sizeof(name), "rm -rf %s", dir);
	shell(name);
	return tap_done();
}
