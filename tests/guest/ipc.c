/* System V semaphores and message queues: values, order of errors, waiting, removal, /proc/sysvipc. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};
struct text {
	long type;
	char data[9000];
};
static int set, queue;
static struct text text;

static void *raise_later(void *arg)
{
	struct sembuf up = {1, 1, 0};

	wait_asleep(getpid());
	EXPECT(semctl(set, 1, GETNCNT), 1);
	EXPECT(semctl(set, 1, GETZCNT), 0);
	semop(set, &up, 1);
	return NULL;
}

static void *remove_later(void *arg)
{
	wait_asleep(getpid());
	if (arg)
		msgctl(queue, IPC_RMID, NULL);
	else
		semctl(set, 0, IPC_RMID);
	return NULL;
}

static void *send_later(void *arg)
{
	struct text t = {.type = 7, .data = "late"};

	wait_asleep(getpid());
	msgsnd(queue, &t, 5, 0);
	return NULL;
}

static void nothing(int sig) {}

/* Again and again: the first may come before the call that it is to interrupt. */
static void alarms(int on)
{
	struct itimerval t = {{0, on ? 10000 : 0}, {0, on ? 10000 : 0}};

	signal(SIGALRM, nothing);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void semaphores(void)
{
	struct sembuf op[2] = {{0, -1, IPC_NOWAIT}, {1, 1, 0}}, many[501] = {{0}};
	unsigned short values[3] = {3, 4, 5}, got[3];
	struct timespec soon = {0, 20000000}, bad = {0, 2000000000};
	struct semid_ds ds;
	struct seminfo info;
	pthread_t t;
	key_t key = 0x56410000 + getpid(); /* the host's keys are everybody's */

	EXPECT_ERR(semget(key, 3, 0600), ENOENT);
	EXPECT_ERR(semget(key, -1, 0600 | IPC_CREAT), EINVAL);
	EXPECT_ERR(semget(key, 0, 0600 | IPC_CREAT), EINVAL);
	EXPECT_ERR(semget(key, 1 << 20, 0600 | IPC_CREAT), EINVAL);
	EXPECT_TRUE((set = semget(key, 3, 0640 | IPC_CREAT | IPC_EXCL)) >= 0);
	EXPECT(semget(key, 0, 0), set);
	EXPECT(semget(key, 2, IPC_CREAT), set);
	EXPECT_ERR(semget(key, 4, 0), EINVAL);
	EXPECT_ERR(semget(key, 3, IPC_CREAT | IPC_EXCL), EEXIST);
	EXPECT(semctl(set, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
	EXPECT(ds.sem_nsems, 3);
	EXPECT(ds.sem_perm.mode, 0640);
	EXPECT(ds.sem_otime, 0);
	EXPECT_TRUE(ds.sem_ctime > 0);
	EXPECT(ds.sem_perm.__key, key);
	EXPECT(semctl(set, 2, SETVAL, 9), 0);
	EXPECT(semctl(set, 2, GETVAL), 9);
	EXPECT_TRUE(semctl(set, 2, GETPID) == getpid());
	EXPECT_ERR(semctl(set, 2, SETVAL, -1), ERANGE);
	EXPECT_ERR(semctl(set, 2, SETVAL, 32768), ERANGE);
	EXPECT_ERR(semctl(set, 3, SETVAL, 1), EINVAL);
	EXPECT_ERR(semctl(set, -1, GETVAL), EINVAL);
	EXPECT_ERR(semctl(-1, 0, GETVAL), EINVAL);
	EXPECT_ERR(semctl(set, 0, 999), EINVAL);
	EXPECT_ERR(semctl(set, 0, IPC_STAT, (union semun){.buf = (void *)8}), EFAULT);
	EXPECT(semctl(set, 0, SETALL, (union semun){.array = values}), 0);
	EXPECT(semctl(set, 0, GETALL, (union semun){.array = got}), 0);
	EXPECT(memcmp(values, got, sizeof(got)), 0);
	EXPECT_ERR(semctl(set, 0, SETALL, (union semun){.array = (void *)8}), EFAULT);
	values[2] = 40000;
	EXPECT_ERR(semctl(set, 0, SETALL, (union semun){.array = values}), ERANGE);

	EXPECT(semop(set, op, 2), 0);
	EXPECT(semctl(set, 0, GETVAL), 2);
	EXPECT(semctl(set, 1, GETVAL), 5);
	EXPECT(semctl(set, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
	EXPECT_TRUE(ds.sem_otime > 0);
	op[0] = (struct sembuf){0, -2, IPC_NOWAIT};
	op[1] = (struct sembuf){1, -6, IPC_NOWAIT};
	EXPECT_ERR(semop(set, op, 2), EAGAIN);
	EXPECT(semctl(set, 0, GETVAL), 2);
	op[1] = (struct sembuf){1, 32767, 0};
	EXPECT_ERR(semop(set, op, 2), ERANGE);
	EXPECT(semctl(set, 0, GETVAL), 2);
	op[1] = (struct sembuf){3, 1, 0};
	EXPECT_ERR(semop(set, op, 2), EFBIG);
	EXPECT_ERR(semop(set, op, 0), EINVAL);
	EXPECT_ERR(semop(set, many, 501), E2BIG);
	EXPECT_ERR(semop(-1, many, 501), E2BIG);
	EXPECT_ERR(semop(-1, op, 1), EINVAL);
	EXPECT_ERR(semop(set, (void *)8, 1), EFAULT);
	EXPECT_ERR(semop(set + 1, op, 1), EINVAL);
	op[0] = (struct sembuf){0, 0, IPC_NOWAIT};
	EXPECT_ERR(semop(set, op, 1), EAGAIN);
	op[0] = (struct sembuf){0, -3, 0};
	EXPECT_ERR(semtimedop(set, op, 1, &soon), EAGAIN);
	EXPECT_ERR(semtimedop(set, op, 1, &bad), EINVAL);
	EXPECT_ERR(semtimedop(set, op, 1, (void *)8), EFAULT);
	alarms(1);
	EXPECT_ERR(semop(set, op, 1), EINTR);
	alarms(0);
	semctl(set, 1, SETVAL, 0);
	op[0] = (struct sembuf){1, -1, SEM_UNDO};
	pthread_create(&t, NULL, raise_later, NULL);
	EXPECT(semop(set, op, 1), 0);
	pthread_join(t, NULL);
	ds.sem_perm.mode = 0600;
	EXPECT(semctl(set, 0, IPC_SET, (union semun){.buf = &ds}), 0);
	EXPECT(semctl(set, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
	EXPECT(ds.sem_perm.mode, 0600);
	EXPECT_ERR(semctl(set, 0, IPC_SET, (union semun){.buf = (void *)8}), EFAULT);
	EXPECT_TRUE(semctl(0, 0, SEM_INFO, (union semun){.info = &info}) >= 0);
	EXPECT(info.semvmx, 32767);
	EXPECT(info.semopm, 500);
	EXPECT_TRUE(info.semusz >= 1 && info.semaem >= 3);
	EXPECT_TRUE(semctl(0, 0, IPC_INFO, (union semun){.info = &info}) >= 0);
	EXPECT(info.semusz, 20);
	EXPECT(info.semmsl, 32000);
	op[0] = (struct sembuf){1, -1, 0};
	pthread_create(&t, NULL, remove_later, NULL);
	EXPECT_ERR(semop(set, op, 1), EIDRM);
	pthread_join(t, NULL);
	EXPECT_ERR(semctl(set, 0, GETVAL), EINVAL);
	int next = semget(key, 1, 0600 | IPC_CREAT);
	EXPECT_TRUE(next != set);
	FILE *f = fopen("/proc/sysvipc/sem", "r");
	char line[200];
	EXPECT_TRUE(f && fgets(line, sizeof(line), f));
	EXPECT(strcmp(line, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"), 0);
	fclose(f);
	EXPECT(semctl(next, 0, IPC_RMID), 0);
}

static void messages(void)
{
	struct msqid_ds ds;
	struct msginfo info;
	pthread_t t;
	key_t key = 0x56420000 + getpid();

	EXPECT_ERR(msgget(key, 0600), ENOENT);
	EXPECT_TRUE((queue = msgget(key, 0620 | IPC_CREAT)) >= 0);
	EXPECT_ERR(msgget(key, IPC_CREAT | IPC_EXCL), EEXIST);
	EXPECT(msgget(key, 0), queue);
	EXPECT(msgctl(queue, IPC_STAT, &ds), 0);
	EXPECT(ds.msg_qnum, 0);
	EXPECT(ds.msg_qbytes, 16384);
	EXPECT(ds.msg_perm.mode, 0620);
	EXPECT(ds.msg_lspid, 0);
	EXPECT(ds.msg_stime, 0);
	text = (struct text){.type = 2, .data = "two"};
	EXPECT(msgsnd(queue, &text, 4, 0), 0);
	text = (struct text){.type = 1, .data = "one!"};
	EXPECT(msgsnd(queue, &text, 5, 0), 0);
	text = (struct text){.type = 3, .data = "three"};
	EXPECT(msgsnd(queue, &text, 6, IPC_NOWAIT), 0);
	EXPECT(msgctl(queue, IPC_STAT, &ds), 0);
	EXPECT(ds.msg_qnum, 3);
	EXPECT(ds.__msg_cbytes, 15);
	EXPECT_TRUE(ds.msg_lspid == getpid() && ds.msg_stime > 0);
	EXPECT_ERR(msgsnd(queue, &text, 8193, 0), EINVAL);
	EXPECT_ERR(msgsnd(queue, &text, -1, 0), EINVAL);
	EXPECT_ERR(msgsnd(-1, &text, 1, 0), EINVAL);
	EXPECT_ERR(msgsnd(queue, (void *)8, 1, 0), EFAULT);
	text.type = 0;
	EXPECT_ERR(msgsnd(queue, &text, 1, 0), EINVAL);
	EXPECT(msgrcv(queue, &text, 100, 1, MSG_COPY | IPC_NOWAIT), 5);
	EXPECT(text.type, 1);
	EXPECT_ERR(msgrcv(queue, &text, 100, 3, MSG_COPY | IPC_NOWAIT), ENOMSG);
	EXPECT_ERR(msgrcv(queue, &text, 100, 1, MSG_COPY), EINVAL);
	EXPECT_ERR(msgrcv(queue, &text, 100, 1, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
	EXPECT_ERR(msgrcv(queue, &text, 2, 0, 0), E2BIG);
	EXPECT_ERR(msgrcv(queue, &text, 2, 9, IPC_NOWAIT), ENOMSG);
	EXPECT_ERR(msgrcv(queue, &text, -1, 0, 0), EINVAL);
	EXPECT_ERR(msgrcv(-1, &text, 1, 0, 0), EINVAL);
	EXPECT(msgrcv(queue, &text, 100, -2, 0), 5);
	EXPECT(strcmp(text.data, "one!"), 0);
	EXPECT(msgrcv(queue, &text, 100, 2, MSG_EXCEPT), 6);
	EXPECT(text.type, 3);
	EXPECT(msgrcv(queue, &text, 2, 0, MSG_NOERROR), 2);
	EXPECT(text.type, 2);
	EXPECT_ERR(msgrcv(queue, &text, 2, 0, IPC_NOWAIT), ENOMSG);
	pthread_create(&t, NULL, send_later, NULL);
	EXPECT(msgrcv(queue, &text, 100, 7, 0), 5);
	pthread_join(t, NULL);
	alarms(1);
	EXPECT_ERR(msgrcv(queue, &text, 100, 0, 0), EINTR);
	alarms(0);
	text.type = 1;
	EXPECT(msgsnd(queue, &text, 8192, 0), 0);
	EXPECT(msgsnd(queue, &text, 8192, 0), 0);
	EXPECT_ERR(msgsnd(queue, &text, 1, IPC_NOWAIT), EAGAIN);
	alarms(1);
	EXPECT_ERR(msgsnd(queue, &text, 1, 0), EINTR);
	alarms(0);
	EXPECT(msgctl(queue, IPC_STAT, &ds), 0);
	EXPECT(msgrcv(queue, &text, 8192, 0, 0), 8192);
	ds.msg_qbytes = 9000;
	EXPECT(msgctl(queue, IPC_SET, &ds), 0);
	EXPECT_ERR(msgsnd(queue, &text, 1000, IPC_NOWAIT), EAGAIN);
	EXPECT(msgsnd(queue, &text, 100, IPC_NOWAIT), 0);
	EXPECT(msgctl(queue, IPC_STAT, &ds), 0);
	EXPECT(ds.msg_qbytes, 9000);
	EXPECT_ERR(msgctl(queue, IPC_STAT, (void *)8), EFAULT);
	EXPECT_ERR(msgctl(queue, IPC_SET, (void *)8), EFAULT);
	EXPECT_ERR(msgctl(queue, 999, &ds), EINVAL);
	EXPECT_ERR(msgctl(-1, IPC_STAT, &ds), EINVAL);
	EXPECT_TRUE(msgctl(0, MSG_INFO, (void *)&info) >= 0);
	EXPECT_TRUE(info.msgpool >= 1 && info.msgmap >= 2);
	EXPECT_TRUE(msgctl(0, IPC_INFO, (void *)&info) >= 0);
	EXPECT(info.msgmax, 8192);
	EXPECT(info.msgmnb, 16384);
	EXPECT(info.msgmni, 32000);
	EXPECT(info.msgseg, 65535);
	pthread_create(&t, NULL, remove_later, &queue);
	EXPECT_ERR(msgrcv(queue, &text, 100, 99, 0), EIDRM);
	pthread_join(t, NULL);
	EXPECT_ERR(msgsnd(queue, &text, 1, 0), EINVAL);
	FILE *f = fopen("/proc/sysvipc/msg", "r");
	char line[200];
	EXPECT_TRUE(f && fgets(line, sizeof(line), f));
	EXPECT(strcmp(line,
		       "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      "
		       "ctime\n"),
		0);
	fclose(f);
}

int main(void)
{
	semaphores();
	messages();
	return guest_done();
}
