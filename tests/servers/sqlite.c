/* A database behind a line protocol: sqlite FILE PORT. Each line is a statement; the answer is its rows, columns separated by
 * "|", then "ok" or "error: ...". One thread a connection.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *path;

static int print_row(void *out, int columns, char **values, char **names)
{
	for (int i = 0; i < columns; i++)
		fprintf(out, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
	fputc('\n', out);
	return 0;
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	sqlite3 *db;
	char *line = NULL, *error;
	size_t room = 0;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		exit(1);
	sqlite3_busy_timeout(db, 10000);
	while (getline(&line, &room, in) > 0) {
		error = NULL;
		if (sqlite3_exec(db, line, print_row, out, &error) == SQLITE_OK)
			fprintf(out, "ok\n");
		else
			fprintf(out, "error: %s\n", error);
		sqlite3_free(error);
		fflush(out);
	}
	sqlite3_close(db);
	free(line);
	fclose(in);
	fclose(out);
	return NULL;
}

static void stop(int sig)
{
	_exit(0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (argc != 3)
		return 2;
	path = argv[1];
	signal(SIGTERM, stop);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	a.sin_port = htons(atoi(argv[2]));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 64)) {
		perror("listen");
		return 1;
	}
	for (;;) {
		pthread_t t;
		int fd = accept(l, NULL, NULL);
		if (fd >= 0 && !pthread_create(&t, NULL, serve, (void *)(long)fd))
			pthread_detach(t);
	}
}
