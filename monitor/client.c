/* What other commands do with a cell. The monitor at the other end is the same user's: trusted, but it may hang or die. */
#include "monitor/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/error.h"
#include "host/file.h"

#define RECORD_MAX_BYTES (1u << 20)

static json_t *read_json(int dir_fd, const char *path)
{
	char *text;
	size_t len;
	if (file_read(dir_fd, path, RECORD_MAX_BYTES, &text, &len) < 0)
		return NULL;
	json_t *json = json_loadb(text, len, 0, NULL);
	free(text);
	return json;
}

json_t *cell_record(int dir_fd, bool *ret_ended)
{
	json_t *record = read_json(dir_fd, "exit.json");
	*ret_ended = record != NULL;
	if (!record)
		record = read_json(dir_fd, "cell.json");
	return record ? record : json_object();
}

int cell_open(int cells_fd, const char *name, struct cell *ret, struct vb_error *err)
{
	if (!registry_name_valid(name))
		return vb_error_set(err, -ENOENT, "\"%s\" is no name of a cell", name);
	int fd = openat(cells_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return vb_error_set(err, -errno, "there is no cell named %s (see `vauban ps -a`)", name);
	struct cell cell = {.dir_fd = fd};
	strcpy(cell.name, name);
	cell.alive = !registry_is_free(fd);
	cell.record = cell_record(fd, &cell.ended);
	*ret = cell;
	return 0;
}

void cell_close(struct cell *cell)
{
	fd_close(&cell->dir_fd);
	json_decref(cell->record);
	cell->record = NULL;
}

static int is_name(const struct dirent *e)
{
	return registry_name_valid(e->d_name);
}

int cells_each(int cells_fd, int (*fn)(struct cell *cell, void *arg), void *arg, struct vb_error *err)
{
	/* scandir() knows no descriptors in musl: go there. */
	if (fchdir(cells_fd) < 0)
		return vb_error_errno(err, "can't enter the folder of cells");
	struct dirent **entries;
	int count = scandir(".", &entries, is_name, alphasort), r = 0;
	if (count < 0)
		return vb_error_errno(err, "can't list the cells");
	for (int i = 0; i < count; i++) {
		struct cell cell;
		if (r == 0 && cell_open(cells_fd, entries[i]->d_name, &cell, NULL) == 0) {
			r = fn(&cell, arg);
			cell_close(&cell);
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* One line into text. -ETIMEDOUT, -EPIPE. Bytes after the line stay in the socket. */
static int receive_line(int fd, int timeout_ms, char **ret_text)
{
	size_t len = 0, room = 4096;
	char *text = malloc(room);
	while (text) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int n = poll(&ready, 1, timeout_ms);
		if (n < 0 && errno == EINTR)
			continue;
		ssize_t got = n > 0 ? recv(fd, text + len, room - len - 1, MSG_PEEK) : 0;
		if (got <= 0) {
			free(text);
			return n == 0 ? -ETIMEDOUT : -EPIPE;
		}
		char *end = memchr(text + len, '\n', (size_t)got);
		size_t take = end ? (size_t)(end - (text + len)) + 1 : (size_t)got;
		recv(fd, text + len, take, 0);
		len += take;
		if (end) {
			text[len] = 0;
			*ret_text = text;
			return 0;
		}
		if (room - len < 2) {
			char *more = room < RECORD_MAX_BYTES ? realloc(text, room *= 2) : NULL;
			if (!more)
				free(text);
			text = more;
		}
	}
	return -ENOMEM;
}

/* The monitor may end at any moment: no SIGPIPE for that. */
static int send_line(int fd, char *text)
{
	struct iovec line[] = {{text, strlen(text)}, {"\n", 1}};
	struct msghdr message = {.msg_iov = line, .msg_iovlen = 2};
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent == (ssize_t)line[0].iov_len + 1 ? 0 : -EPIPE;
}

int cell_connect(const struct cell *cell, json_t *request_taken, int timeout_ms, int *ret_fd, json_t **ret_answer, struct vb_error *err)
{
	char *request = json_dumps(request_taken, JSON_COMPACT), *text = NULL;
	json_decref(request_taken);
	/* Relative, so that the length of the path does not matter. */
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = -ENOMEM;
	if (request && fd >= 0 && fchdir(cell->dir_fd) == 0) {
		r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
		if (r == 0)
			r = send_line(fd, request);
		if (r == 0)
			r = receive_line(fd, timeout_ms, &text);
	}
	free(request);
	json_t *answer = r == 0 ? json_loads(text, 0, NULL) : NULL;
	free(text);
	if (!answer) {
		fd_close(&fd);
		if (!cell->alive)
			return vb_error_set(err, -ESRCH, "the cell %s is not running", cell->name);
		return vb_error_set(
			err, r < 0 ? r : -EPROTO, "the monitor of %s gives no answer: %s", cell->name, strerror(r < 0 ? -r : EPROTO));
	}
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (error) {
		vb_error_set(err, 0, "%s", error);
		json_decref(answer);
		fd_close(&fd);
		return -EINVAL;
	}
	*ret_fd = fd;
	*ret_answer = answer;
	return 0;
}

int cell_ask(const struct cell *cell, json_t *request_taken, int timeout_ms, json_t **ret_answer, struct vb_error *err)
{
	int fd, r = cell_connect(cell, request_taken, timeout_ms, &fd, ret_answer, err);
	if (r == 0)
		close(fd);
	return r;
}

json_t *cell_report(const struct cell *cell)
{
	json_t *answer;
	if (cell->alive && !cell->ended && cell_ask(cell, json_pack("{s:s}", "verb", "inspect"), 1000, &answer, NULL) == 0)
		return answer;
	json_t *report = json_deep_copy(cell->record);
	if (!json_object_get(report, "name"))
		json_object_set_new(report, "name", json_string(cell->name));
	if (!cell->ended)
		json_object_set_new(report, "state", json_string(cell->alive ? "starting" : "dead"));
	return report;
}
