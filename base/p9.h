/* The 9P2000.L messages that volumes speak, decoded and encoded by one table for both sides. Freestanding.
 *
 * One struct p9_message holds the fields of any message; which are used is said below per type. Strings and data are
 * borrowed from the decoded buffer. A decoded message is well formed: exact length, names that are single components.
 * Three additions to the protocol, all between our own two sides: a Tclunk tagged P9_NOTAG gets no reply, a Twrite at
 * P9_APPEND goes to the end of the file whoever else writes, and P9_XATTR_REMOVE in Txattrcreate.
 */
#ifndef BASE_P9_H
#define BASE_P9_H

#include "base/types.h"

#define P9_WRITE_HEADER 23u                             /* of a Twrite: the longest before data */
#define P9_MAX_DATA     (64u * 1024)                    /* in one read or write */
#define P9_MSIZE        (P9_MAX_DATA + P9_WRITE_HEADER) /* fits VB_MESSAGE_MAX_BYTES */
#define P9_HEADER       7u                              /* size[4] type[1] tag[2] */
#define P9_NOTAG        0xffffu
#define P9_NOFID        0xffffffffu
#define P9_APPEND       UINT64_MAX
#define P9_MAX_WALK     16u
#define P9_NAME_MAX     255u
#define P9_TEXT_MAX     4095u /* symbolic link targets and other free text */
#define P9_VERSION      "9P2000.L"

enum p9_type {                /* the fields of struct p9_message that T / R carry */
	P9_RLERROR = 7,       /* - / error */
	P9_TSTATFS = 8,       /* fid / statfs */
	P9_TLOPEN = 12,       /* fid flags / qid iounit */
	P9_TLCREATE = 14,     /* fid name flags mode gid / qid iounit */
	P9_TSYMLINK = 16,     /* fid name text gid / qid */
	P9_TMKNOD = 18,       /* fid name mode major minor gid / qid */
	P9_TRENAME = 20,      /* fid fid2 name / - */
	P9_TREADLINK = 22,    /* fid / text */
	P9_TGETATTR = 24,     /* fid mask / mask qid attr */
	P9_TSETATTR = 26,     /* fid flags (P9_SET_*) attr: mode uid gid size atime mtime / - */
	P9_TXATTRWALK = 30,   /* fid fid2 text (empty: list the names) / size */
	P9_TXATTRCREATE = 32, /* fid text size flags / - */
	P9_TREADDIR = 40,     /* fid offset count / data (p9_dirent_*) */
	P9_TFSYNC = 50,       /* fid flags (1: data only) / - */
	P9_TLINK = 70,        /* fid (directory) fid2 (target) name / - */
	P9_TMKDIR = 72,       /* fid name mode gid / qid */
	P9_TRENAMEAT = 74,    /* fid name fid2 name2 / - */
	P9_TUNLINKAT = 76,    /* fid name flags (P9_REMOVEDIR) / - */
	P9_TVERSION = 100,    /* msize text / msize text */
	P9_TATTACH = 104,     /* fid fid2 (P9_NOFID) text text2 uid / qid */
	P9_TFLUSH = 108,      /* old_tag / - */
	P9_TWALK = 110,       /* fid fid2 walk_count walk_name[] / walk_count walk_qid[] */
	P9_TREAD = 116,       /* fid offset count / data */
	P9_TWRITE = 118,      /* fid offset data / count */
	P9_TCLUNK = 120,      /* fid / - */
};
#define P9_R(t) ((t) + 1) /* the reply's type */

enum { P9_QID_DIR = 0x80, P9_QID_SYMLINK = 0x02, P9_QID_FILE = 0 };
enum {
	P9_SET_MODE = 1,
	P9_SET_UID = 2,
	P9_SET_GID = 4,
	P9_SET_SIZE = 8,
	P9_SET_ATIME = 0x10,
	P9_SET_MTIME = 0x20,
	P9_SET_CTIME = 0x40,
	P9_SET_ATIME_TO = 0x80,
	P9_SET_MTIME_TO = 0x100
}; /* without _TO: now */
#define P9_GETATTR_ALL  0x3fffull
#define P9_REMOVEDIR    0x200u
#define P9_XATTR_REMOVE 0x80000000u

struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};
struct p9_string {
	const char *s;
	uint32_t len;
}; /* not terminated */
struct p9_time {
	uint64_t sec, nsec;
};
struct p9_attr {
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size, blksize, blocks;
	struct p9_time atime, mtime, ctime, btime;
	uint64_t gen, data_version;
};
struct p9_statfs {
	uint32_t type, bsize;
	uint64_t blocks, bfree, bavail, files, ffree, fsid;
	uint32_t namelen;
};

struct p9_message {
	uint8_t type;
	uint16_t tag, old_tag;
	uint32_t fid, fid2;
	uint32_t error, msize, iounit, flags, mode, uid, gid, major, minor;
	uint64_t offset, size, mask;
	struct p9_string name, name2, text, text2;
	struct p9_qid qid;
	struct p9_attr attr;
	struct p9_statfs statfs;
	uint32_t count; /* bytes of data; asked for, or done */
	const void *data;
	uint16_t walk_count;
	struct p9_string walk_name[P9_MAX_WALK];
	struct p9_qid walk_qid[P9_MAX_WALK];
};

/* Decodes a whole message. False: it is none; type and tag are right if it had at least a header (else type is 0). */
bool p9_decode(const void *buf, size_t len, struct p9_message *m);
/* Returns the length, 0 when it doesn't fit size. Data that already lies in its place in buf is not copied. */
size_t p9_encode(const struct p9_message *m, void *buf, size_t size);
/* Where the data of a read or write starts in a message. */
#define P9_READ_DATA  (P9_HEADER + 4u)
#define P9_WRITE_DATA P9_WRITE_HEADER

struct p9_dirent {
	struct p9_qid qid;
	uint64_t offset;
	uint8_t type;
	struct p9_string name;
};
/* Bytes taken from / put at `at`, at most `left`; 0: malformed or no room. "." and ".." are names here. */
size_t p9_dirent_decode(const void *at, size_t left, struct p9_dirent *d);
size_t p9_dirent_encode(const struct p9_dirent *d, void *at, size_t left);

static inline struct p9_string p9_string(const char *s)
{
	return (struct p9_string){s, (uint32_t)__builtin_strlen(s)};
}

#endif
