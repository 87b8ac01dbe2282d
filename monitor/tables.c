/* Page tables: the memory of the host that a cell can take beyond its memory file. An honest kernel maps each page of it once
 * or twice, so that they stay smaller than the memory; native code could map the same few pages again and again. Looked at
 * each time the tender has used some CPU: a cell that waits costs nothing. Without /proc nothing is seen. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/file.h"
#include "monitor/cell.h"

#define EVERY_NS    100000000     /* of the tender's CPU time */
#define SPARE_BYTES (64ull << 20) /* for what is no page of the memory file */

void tables_watch(struct monitor *m)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = TABLES_SIGNAL};
	struct itimerspec every = {{0, EVERY_NS}, {0, EVERY_NS}};
	clockid_t clock;
	timer_t timer;
	if (clock_getcpuclockid(m->tender, &clock) == 0 && timer_create(clock, &event, &timer) == 0)
		timer_settime(timer, 0, &every, NULL);
}

void tables_check(struct monitor *m)
{
	char path[40], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)m->tender);
	int fd = m->tender ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	fd_close(&fd);
	text[n > 0 ? n : 0] = 0;
	const char *found = strstr(text, "\nVmPTE:");
	uint64_t bytes = found ? strtoull(found + 7, NULL, 10) << 10 : 0;
	if (bytes > m->options->memory_bytes + SPARE_BYTES)
		tender_condemn(m, "its page tables take %llu MiB of the host", (unsigned long long)bytes >> 20);
}
