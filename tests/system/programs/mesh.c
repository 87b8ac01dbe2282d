/* One of many hosts on a network: mesh NUMBER COUNT. Has the address 10.9.0.NUMBER, answers everyone who connects with its number,
 * and when its input ends asks hosts 1 to COUNT, itself among them, for theirs. Says "up", then "COUNT answered". */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7

static int own;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *serve(void *arg)
{
	for (;;) {
		int fd = accept(*(int *)arg, NULL, NULL);
		if (fd < 0 || write(fd, &own, sizeof(own)) != sizeof(own))
			die("serve");
		close(fd);
	}
}

static void ask(int number)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = {htonl(0x0a090000u + (unsigned)number)}};
	int answer = 0, fd, error = 0;
	for (int i = 0; i < 30; i++) { /* who is slow to say where it is, on a loaded machine, is asked again */
		fd = socket(AF_INET, SOCK_STREAM, 0);
		error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
		if (error != EHOSTUNREACH)
			break;
		close(fd);
	}
	errno = error;
	if (error || recv(fd, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		die("ask");
	if (answer != number) {
		fprintf(stderr, "host %d says that it is %d\n", number, answer);
		exit(1);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), count = argc == 3 ? atoi(argv[2]) : 0;
	pthread_t thread;
	char c;
	own = count ? atoi(argv[1]) : 0;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!own || bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 256) || pthread_create(&thread, NULL, serve, &listener))
		die("mesh");
	printf("up\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	for (int i = 0; i < count; i++) /* not all the same at once */
		ask((own + i) % count + 1);
	printf("%d answered\n", count);
	fflush(stdout);
	pause();
	return 0;
}
