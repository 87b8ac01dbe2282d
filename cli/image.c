/* `vauban image`: a program of its own, linked to what builds and reads images. */
#include "cli/cli.h"

#include <limits.h>
#include <unistd.h>

#include "host/error.h"
#include "host/paths.h"
#include "monitor/monitor.h"

static int image_main(int argc, char **argv)
{
	char path[PATH_MAX];
	struct vb_error err;
	if (path_helper("vauban-image", path, sizeof(path), &err) == 0) {
		argv[0] = "vauban-image";
		execv(path, argv);
		vb_error_errno(&err, "can't start %s", path);
	}
	return cli_fail(&err, MONITOR_STATUS_FAILED);
}

const struct verb verb_image = {
	.name = "image",
	.arguments = "build|inspect|ls|extract|verify ...",
	.summary = "make and look into images",
	.help = "", /* vauban-image has its own */
	.main = image_main,
};
