/* Where Vauban's own files lie: the build tree or an installation. */
#ifndef HOST_PATHS_H
#define HOST_PATHS_H

struct vb_error;

/* Remembers argv[0]: the fallback where /proc is absent. */
void paths_init(const char *argv0);
/* Absolute path of a helper (vauban-tender, vauban-image...): next to the executable, else in ../libexec/vauban. */
int path_helper(const char *name, char *path, unsigned size, struct vb_error *err);

#endif
