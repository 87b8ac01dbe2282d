/* Asks vauban-chaff for proofs: of each object before it gets its name, of what was linked before it is handed out. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"
#include "host/log.h"
#include "host/paths.h"
#include "variant/driver.h"

enum {
	NOT_PROVED = 3,       /* vauban-chaff's status */
	MAX_SKIP_BYTES = 3000 /* that fit on vauban-ir's command line with the other options */
};

static int run_chaff(struct driver *d, const char *verb, const char *file, const char *output, struct vb_error *err)
{
	char helper[PATH_MAX];
	struct driver_child child = {.input = -1, .output = output};
	int r = path_helper("vauban-chaff", helper, sizeof(helper), err);
	if (r < 0)
		return r;
	const char *argv[] = {helper, verb, file, d->options.chaff_plan, NULL};
	return driver_run(argv, &child, err);
}

int driver_chaff_prove(struct driver *d, const char *object)
{
	struct vb_error err;
	char *failed;
	size_t length;
	const char *output = driver_temporary(".chaff", &err);
	int status = *output ? run_chaff(d, "prove", object, output, &err) : -EIO;
	if (status < 0)
		return driver_fail(&err);
	if (status != NOT_PROVED)
		return status;
	int r = file_read(AT_FDCWD, output, 1u << 20, &failed, &length);
	if (r < 0 || (failed[strcspn(failed, "\n")] = 0, !*failed))
		return driver_fail((vb_error_set(&err, -EIO, "vauban-chaff does not say which bugs of %s it can't prove", object), &err));
	unlink(output);
	d->options.chaff_skip = d->options.chaff_skip ? words_text("%s,%s", d->options.chaff_skip, failed) : words_text("%s", failed);
	free(failed);
	if (strlen(d->options.chaff_skip) > MAX_SKIP_BYTES)
		return driver_fail((vb_error_set(&err, -E2BIG, "too many bugs can't be proved in one file: choose fewer (`vauban chaff plan -n`)"), &err));
	return DRIVER_AGAIN;
}

int driver_chaff_seal(struct driver *d, const char *linked)
{
	struct vb_error err;
	int status = run_chaff(d, "seal", linked, NULL, &err);
	if (status)
		unlink(linked);
	return status < 0 ? driver_fail(&err) : status;
}
