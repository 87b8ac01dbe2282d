/* Vauban's own files. */
#include "host/paths.h"

#include "host/error.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *own_argv0;
static char *own_path; /* once it is asked for */

void paths_init(const char *argv0)
{
	own_argv0 = argv0;
}

/* argv[0] as a shell would have found it. */
static void search_argv0(void)
{
	if (!own_argv0)
		return;
	if (strchr(own_argv0, '/')) {
		own_path = realpath(own_argv0, NULL);
		return;
	}
	const char *path = getenv("PATH");
	for (const char *end; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		char candidate[PATH_MAX];
		int n = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)(end - path), path, own_argv0);
		if (n < (int)sizeof(candidate) && access(candidate, X_OK) == 0) {
			own_path = realpath(candidate, NULL);
			return;
		}
	}
}

/* Absolute path of the running executable. The string stays valid. */
static int path_self(const char **ret_path, struct vb_error *err)
{
	if (!own_path) {
		char path[PATH_MAX];
		ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n > 0)
			own_path = strndup(path, (size_t)n);
		else
			search_argv0();
		if (!own_path)
			return vb_error_set(
				err, -ENOENT, "can't find my own executable: /proc is absent; call vauban by its absolute path");
	}
	*ret_path = own_path;
	return 0;
}

int path_helper(const char *name, char *path, unsigned size, struct vb_error *err)
{
	const char *self;
	int r = path_self(&self, err);
	if (r < 0)
		return r;
	int dir = (int)(strrchr(self, '/') - self);
	static const char *const places[] = {"%.*s/%s", "%.*s/../libexec/vauban/%s"};
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (snprintf(path, size, places[i], dir, self, name) < (int)size && access(path, R_OK) == 0)
			return 0;
	}
	return vb_error_set(err, -ENOENT, "%s is missing next to %s: build or install Vauban again", name, self);
}
