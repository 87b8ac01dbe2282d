/* POSIX message queues: order, limits, waiting with a time limit, notification, attributes. */
#include "guest.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static mqd_t q;
static volatile int notified, code, value;

static char queue_name[32]; /* of this process: the host's queues are everybody's */

static void on_signal(int sig, siginfo_t *info, void *context)
{
	notified++;
	code = info->si_code;
	value = info->si_value.sival_int;
}

static void *send_later(void *arg)
{
	usleep(30000);
	mq_send(q, "late", 4, 1);
	return NULL;
}

static struct timespec after(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void opening(void)
{
	struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 16}, bad = {.mq_maxmsg = 0, .mq_msgsize = 16}, got;
	struct stat st;
	char long_name[300] = "/";

	memset(long_name + 1, 'a', 298);
	mq_unlink(queue_name);
	EXPECT_ERR(mq_open(queue_name, O_RDWR), ENOENT);
	EXPECT_ERR(mq_open("/vauban/x", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	EXPECT_ERR(mq_open(long_name, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	EXPECT_ERR(mq_open(queue_name, O_RDWR | O_CREAT, 0600, &bad), EINVAL);
	bad = (struct mq_attr){.mq_maxmsg = 3, .mq_msgsize = -1};
	EXPECT_ERR(mq_open(queue_name, O_RDWR | O_CREAT, 0600, &bad), EINVAL);
	q = mq_open(queue_name, O_RDWR | O_CREAT | O_EXCL, 0640, &attr);
	EXPECT_TRUE(q >= 0);
	EXPECT(fcntl(q, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(mq_open(queue_name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr), EEXIST);
	EXPECT(mq_getattr(q, &got), 0);
	EXPECT(got.mq_maxmsg, 3);
	EXPECT(got.mq_msgsize, 16);
	EXPECT(got.mq_curmsgs, 0);
	EXPECT(got.mq_flags, 0);
	EXPECT(fstat(q, &st), 0);
	EXPECT(st.st_mode, S_IFREG | 0640);
	EXPECT(st.st_size, 80);
	EXPECT_ERR(mq_getattr(0, &got), EBADF);
	EXPECT_ERR(mq_getattr(-1, &got), EBADF);
	got.mq_flags = O_APPEND;
	EXPECT_ERR(mq_setattr(q, &got, NULL), EINVAL);
	const char *defaults = guest_name("/defaults");
	mqd_t other = mq_open(defaults, O_RDWR | O_CREAT, 0600, NULL);
	EXPECT(mq_getattr(other, &got), 0);
	EXPECT(got.mq_maxmsg, 10);
	EXPECT(got.mq_msgsize, 8192);
	EXPECT(mq_close(other), 0);
	EXPECT_ERR(mq_close(other), EBADF);
	EXPECT(mq_unlink(defaults), 0);
	EXPECT_ERR(mq_unlink(defaults), ENOENT);
}

static void moving(void)
{
	struct timespec soon = after(30), past = {1, 0}, bad = {0, -1};
	struct mq_attr flags = {.mq_flags = O_NONBLOCK}, got;
	unsigned priority;
	pthread_t t;
	char buf[100];

	EXPECT(mq_send(q, "low", 3, 0), 0);
	EXPECT(mq_send(q, "high1", 5, 9), 0);
	EXPECT(mq_send(q, "high2", 5, 9), 0);
	EXPECT_ERR(mq_timedsend(q, "x", 1, 0, &soon), ETIMEDOUT);
	EXPECT_ERR(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	EXPECT_ERR(mq_timedsend(q, "x", 1, 0, &bad), EINVAL);
	EXPECT_ERR(mq_send(q, "x", 17, 0), EMSGSIZE);
	EXPECT_ERR(mq_send(q, "x", 1, 32768), EINVAL);
	EXPECT_ERR(mq_send(-1, "x", 1, 0), EBADF);
	EXPECT_ERR(mq_send(0, "x", 1, 0), EBADF);
	EXPECT(poll(&(struct pollfd){q, POLLIN | POLLOUT}, 1, 0), 1);
	EXPECT_ERR(mq_receive(q, buf, 15, NULL), EMSGSIZE);
	EXPECT(read(q, buf, sizeof(buf)), 60);
	EXPECT(memcmp(buf, "QSIZE:13         NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n", 55), 0);
	EXPECT(mq_receive(q, buf, 100, &priority), 5);
	EXPECT(priority, 9);
	EXPECT(memcmp(buf, "high1", 5), 0);
	EXPECT(mq_receive(q, buf, 16, NULL), 5);
	EXPECT(memcmp(buf, "high2", 5), 0);
	EXPECT(mq_receive(q, buf, 16, &priority), 3);
	EXPECT(priority, 0);
	soon = after(30);
	EXPECT_ERR(mq_timedreceive(q, buf, 16, NULL, &soon), ETIMEDOUT);
	EXPECT_ERR(mq_timedreceive(q, buf, 16, NULL, &bad), EINVAL);
	pthread_create(&t, NULL, send_later, NULL);
	EXPECT(mq_receive(q, buf, 16, &priority), 4);
	pthread_join(t, NULL);
	EXPECT(mq_setattr(q, &flags, &got), 0);
	EXPECT(got.mq_flags, 0);
	EXPECT_TRUE(fcntl(q, F_GETFL) & O_NONBLOCK);
	EXPECT_ERR(mq_receive(q, buf, 16, NULL), EAGAIN);
	for (int i = 0; i < 3; i++)
		EXPECT(mq_send(q, "", 0, i), 0);
	EXPECT_ERR(mq_send(q, "", 0, 0), EAGAIN);
	for (int i = 0; i < 3; i++)
		EXPECT(mq_receive(q, buf, 16, NULL), 0);
	mqd_t reader = mq_open(queue_name, O_RDONLY);
	EXPECT_ERR(mq_send(reader, "x", 1, 0), EBADF);
	mqd_t writer = mq_open(queue_name, O_WRONLY);
	EXPECT_ERR(mq_receive(writer, buf, 16, NULL), EBADF);
	mq_close(reader);
	mq_close(writer);
}

static void notification(void)
{
	struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
	char buf[16];

	sigaction(SIGUSR1, &act, NULL);
	EXPECT_ERR(mq_notify(-1, &event), EBADF);
	EXPECT_ERR(mq_notify(0, &event), EBADF);
	EXPECT(mq_notify(q, &event), 0);
	EXPECT_ERR(mq_notify(q, &event), EBUSY);
	EXPECT(mq_notify(q, NULL), 0);
	EXPECT(mq_notify(q, &event), 0);
	EXPECT(mq_send(q, "x", 1, 0), 0);
	EXPECT(notified, 1);
	EXPECT(code, SI_MESGQ);
	EXPECT(value, 42);
	EXPECT(mq_notify(q, &event), 0);
	EXPECT(mq_send(q, "y", 1, 0), 0);
	EXPECT(notified, 1);
	EXPECT(mq_receive(q, buf, 16, NULL), 1);
	EXPECT(mq_receive(q, buf, 16, NULL), 1);
	EXPECT(mq_send(q, "z", 1, 0), 0);
	EXPECT(notified, 2);
	event.sigev_signo = 99;
	EXPECT_ERR(mq_notify(q, &event), EINVAL);
	event.sigev_notify = 77;
	EXPECT_ERR(mq_notify(q, &event), EINVAL);
	EXPECT(mq_unlink(queue_name), 0);
	EXPECT(mq_receive(q, buf, 16, NULL), 1);
	EXPECT(mq_close(q), 0);
}

int main(void)
{
	snprintf(queue_name, sizeof(queue_name), "/vauban-%d", getpid());
	opening();
	moving();
	notification();
	return guest_done();
}
