/* vauban-ir: the IR stage of `vauban cc` for clang. Bitcode of one translation unit in, that of a variant out. A program of its
 * own, since it is linked with LLVM: statically, because loading libLLVM.so takes 10 ms of each compilation. It trusts the
 * bitcode as much as clang does: LLVM's reader is not made for hostile files. */
#include <llvm-c/Analysis.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"
#include "host/error.h"
#include "host/file.h"
#include "variant/ir/ir.h"
#include "variant/options.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct ir_pass *const passes[] = {
	&ir_chaff_trace_pass, /* these two name places in the bitcode as clang wrote it */
	&ir_chaff_pass,
	&ir_parameters_pass,
	&ir_stack_pass,
};

static const char usage[] =
	"usage: vauban-ir [OPTION of vauban cc]... IN.bc OUT.bc\n"
	"Makes the LLVM bitcode of one file that of a variant; `vauban cc --cc clang` runs it between the two halves of clang.\n"
	"  clang-19 -O2 -emit-llvm -c a.c -o a.bc\n"
	"  vauban-ir --seed 7 a.bc b.bc\n"
	"  clang-19 -O2 -Xclang -disable-llvm-passes -c b.bc -o a.o\n"
	"What it does: --[no-]stack, --[no-]parameters. Other options of vauban cc concern other stages and change nothing here.\n";

bool ir_may_change(LLVMValueRef function)
{
	const char *section = LLVMGetSection(function);
	return LLVMCountBasicBlocks(function) && LLVMGetLinkage(function) != LLVMAvailableExternallyLinkage &&
	       !(section && !strcmp(section, VARIANT_PLAIN_SECTION));
}

/* What LLVM says beside failing: the first error is the reason. */
static void note_diagnostic(LLVMDiagnosticInfoRef info, void *to)
{
	char *text = LLVMGetDiagInfoDescription(info);
	if (LLVMGetDiagInfoSeverity(info) == LLVMDSError && !*((struct vb_error *)to)->text)
		vb_error_set(to, -EINVAL, "%s", text);
	LLVMDisposeMessage(text);
}

static void die(const char *reason)
{
	fprintf(stderr, "vauban-ir: LLVM: %s\n", reason);
	_exit(EXIT_FAILED);
}

static int verify(LLVMModuleRef module, struct vb_error *err)
{
	char *text = NULL;
	int r = LLVMVerifyModule(module, LLVMReturnStatusAction, &text) ? vb_error_set(err, -EINVAL, "%s", text) : 0;
	LLVMDisposeMessage(text);
	return r;
}

static int read_module(struct ir *ir, const char *path, struct vb_error *err)
{
	char *text = NULL;
	LLVMMemoryBufferRef buffer;
	if (LLVMCreateMemoryBufferWithContentsOfFile(path, &buffer, &text)) {
		vb_error_set(err, -EIO, "%s", text);
		LLVMDisposeMessage(text);
		return -EIO;
	}
	LLVMContextSetDiagnosticHandler(ir->context, note_diagnostic, err);
	bool failed = LLVMParseBitcodeInContext2(ir->context, buffer, &ir->module);
	LLVMDisposeMemoryBuffer(buffer);
	if (failed)
		return err->text[0] ? -EINVAL : vb_error_set(err, -EINVAL, "not bitcode of LLVM 19 or older");
	ir->layout = LLVMGetModuleDataLayout(ir->module);
	return verify(ir->module, err);
}

static int run_passes(struct ir *ir, struct vb_error *err)
{
	for (unsigned i = 0; i < VB_ARRAY_LEN(passes); i++) {
		if (!passes[i]->wanted(ir->options))
			continue;
		int r = passes[i]->run(ir, err);
		if (r == 0 && (r = verify(ir->module, err)) < 0)
			vb_error_wrap(
				err, r, "this is a bug of vauban-ir, please report it; meanwhile build with --no-%s", passes[i]->name);
		if (r < 0)
			return vb_error_wrap(err, r, "%s", passes[i]->name);
	}
	return 0;
}

static int write_module(struct ir *ir, const char *path, struct vb_error *err)
{
	LLVMMemoryBufferRef buffer = LLVMWriteBitcodeToMemoryBuffer(ir->module);
	int r = file_replace(AT_FDCWD, path, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
	LLVMDisposeMemoryBuffer(buffer);
	return r < 0 ? vb_error_set(err, r, "%s", strerror(-r)) : 0;
}

static int transform(const struct variant_options *options, const char *in, const char *out, struct vb_error *err)
{
	struct ir ir = {.context = LLVMContextCreate(), .options = options};
	int r = read_module(&ir, in, err);
	if (r < 0)
		return vb_error_wrap(err, r, "%s", in);
	r = run_passes(&ir, err);
	if (r < 0)
		return vb_error_wrap(err, r, "%s", in);
	r = write_module(&ir, out, err);
	return r < 0 ? vb_error_wrap(err, r, "%s", out) : 0; /* the end of the process frees all at once */
}

int main(int argc, char **argv)
{
	struct vb_error err = {.text = ""};
	struct variant_options options;
	const char *paths[2];
	unsigned count = 0;
	if (fd_hold_standard() < 0)
		return EXIT_FAILED;
	variant_options_init(&options);
	for (int i = 1; i < argc;) {
		int taken = variant_options_parse(&options, argv + i, &err);
		if (taken < 0) {
			fprintf(stderr, "vauban-ir: %s\n", err.text);
			return EXIT_USAGE;
		}
		if (!taken && (!strcmp(argv[i], "--help") || argv[i][0] == '-' || count == VB_ARRAY_LEN(paths))) {
			bool help = !strcmp(argv[i], "--help");
			if (!help)
				fprintf(stderr, "vauban-ir: %s is too much\n", argv[i]);
			fputs(usage, help ? stdout : stderr);
			return help ? 0 : EXIT_USAGE;
		}
		if (!taken)
			paths[count++] = argv[i++];
		i += taken;
	}
	if (count < VB_ARRAY_LEN(paths)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	LLVMInstallFatalErrorHandler(die);
	if (transform(&options, paths[0], paths[1], &err) < 0) {
		fprintf(stderr, "vauban-ir: %s\n", err.text);
		return EXIT_FAILED;
	}
	return 0;
}
