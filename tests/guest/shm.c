/* System V shared memory. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define PAGE         4096ul
#define NOT_ATTACHED ((char *)-1)

static int attachments(int id)
{
	struct shmid_ds ds;

	return shmctl(id, IPC_STAT, &ds) ? -1 : (int)ds.shm_nattch;
}

static void test_private(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE - 5, IPC_CREAT | 0600);
	struct shmid_ds ds;

	EXPECT_TRUE(id >= 0);
	EXPECT(shmctl(id, IPC_STAT, &ds), 0);
	EXPECT(ds.shm_segsz, 3 * PAGE - 5);
	EXPECT(ds.shm_nattch, 0);
	EXPECT(ds.shm_perm.mode & 0777, 0600);
	EXPECT_TRUE(ds.shm_perm.uid == geteuid() && ds.shm_perm.cgid == getegid());
	EXPECT_TRUE(ds.shm_cpid == getpid() && ds.shm_lpid == 0);
	EXPECT_TRUE(ds.shm_ctime > 0 && ds.shm_atime == 0 && ds.shm_dtime == 0);

	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	EXPECT_TRUE(a != NOT_ATTACHED && b != NOT_ATTACHED && a != b);
	EXPECT(a[0] | a[3 * PAGE - 1], 0);
	a[PAGE] = 5;
	EXPECT(b[PAGE], 5);
	EXPECT(attachments(id), 2);
	EXPECT(shmdt(b), 0);
	EXPECT_ERR(shmdt(b), EINVAL);
	EXPECT_ERR(shmdt(a + PAGE), EINVAL);
	EXPECT_ERR(shmdt(a + 1), EINVAL);
	EXPECT(attachments(id), 1);
	EXPECT(shmctl(id, IPC_STAT, &ds), 0);
	EXPECT_TRUE(ds.shm_lpid == getpid() && ds.shm_atime > 0 && ds.shm_dtime > 0);

	/* Removed while attached: stays until the last detach. */
	EXPECT(shmctl(id, IPC_RMID, NULL), 0);
	EXPECT(a[PAGE], 5);
	EXPECT(shmctl(id, IPC_STAT, &ds), 0);
	EXPECT(ds.shm_perm.mode, SHM_DEST | 0600);
	EXPECT(shmdt(a), 0);
	EXPECT_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
	EXPECT_ERR(shmat(id, NULL, 0) == NOT_ATTACHED ? -1 : 0, EINVAL);
}

static void test_keys(void)
{
	key_t key = 0x5eed0000 + getpid();
	int id = shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600);

	EXPECT_TRUE(id >= 0);
	EXPECT(shmget(key, PAGE, 0600) - id, 0);
	EXPECT(shmget(key, 0, 0) - id, 0);
	EXPECT(shmget(key, PAGE, IPC_CREAT | 0600) - id, 0);
	EXPECT_ERR(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EXPECT_ERR(shmget(key, 2 * PAGE, 0600), EINVAL);
	EXPECT_ERR(shmget(key + 100000, PAGE, 0600), ENOENT);
	EXPECT_ERR(shmget(key + 100000, 0, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERR(shmget(key + 100000, ~0ul, IPC_CREAT | 0600), EINVAL);

	struct shmid_ds ds;
	EXPECT(shmctl(id, IPC_STAT, &ds), 0);
	EXPECT_TRUE(ds.shm_perm.__key == key);
	ds.shm_perm.mode = 0640;
	EXPECT(shmctl(id, IPC_SET, &ds), 0);
	EXPECT(shmctl(id, IPC_STAT, &ds), 0);
	EXPECT(ds.shm_perm.mode, 0640);
	EXPECT_ERR(shmctl(id, 99, &ds), EINVAL);
	EXPECT_ERR(shmctl(-1, IPC_STAT, &ds), EINVAL);
	EXPECT_ERR(shmctl(id, IPC_STAT, (void *)16), EFAULT);
	EXPECT(shmctl(id, IPC_RMID, NULL), 0);
	EXPECT_ERR(shmget(key, PAGE, 0600), ENOENT);
	EXPECT_ERR(shmctl(id, IPC_RMID, NULL), EINVAL);
}

static void test_addresses(void)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, 0600);
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERR(shmat(id, room + 1, 0) == NOT_ATTACHED ? -1 : 0, EINVAL);
	EXPECT_ERR(shmat(id, room, 0) == NOT_ATTACHED ? -1 : 0, EINVAL);
	EXPECT_ERR(shmat(id, NULL, SHM_REMAP) == NOT_ATTACHED ? -1 : 0, EINVAL);
	EXPECT_ERR(shmat(-1, NULL, 0) == NOT_ATTACHED ? -1 : 0, EINVAL);
	EXPECT_TRUE(shmat(id, room + PAGE, SHM_REMAP) == room + PAGE);
	room[PAGE] = 1;
	munmap(room, 8 * PAGE);
	EXPECT(attachments(id), 0);
	char *at = shmat(id, room + 5, SHM_RND);
	EXPECT_TRUE(at == room);
	EXPECT(at[0], 1);
	/* Punched in the middle: one detach takes both ends. */
	EXPECT(munmap(at + PAGE, PAGE), 0);
	EXPECT(attachments(id), 2);
	EXPECT(shmdt(at), 0);
	EXPECT(attachments(id), 0);
	struct shminfo info;
	EXPECT_TRUE(shmctl(0, IPC_INFO, (struct shmid_ds *)&info) >= 0);
	EXPECT(info.shmmin, 1);
	struct shm_info use;
	EXPECT_TRUE(shmctl(0, SHM_INFO, (struct shmid_ds *)&use) >= 0 && use.used_ids >= 1 && use.shm_tot >= 4);
	EXPECT(shmctl(id, SHM_LOCK, NULL), 0);
	EXPECT(shmctl(id, SHM_UNLOCK, NULL), 0);
	EXPECT(shmctl(id, IPC_RMID, NULL), 0);
}

int main(void)
{
	test_private();
	test_keys();
	test_addresses();
	return guest_done();
}
