/* Names of the kernel ABI's constants for trace, taken from the uapi headers where those are freestanding. Only data. */
#include "kernel/debug/trace_names.h"

#include <asm/ioctls.h>
#include <linux/mman.h>
#include <asm/prctl.h>
#include <asm/signal.h>
#include <asm/socket.h>
#include <linux/eventpoll.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/wait.h>

#define FLAG(name)                                                                                                                         \
	{                                                                                                                                  \
		(uint64_t)(name), (uint64_t)(name), #name                                                                                  \
	}
#define ENUM(name)                                                                                                                         \
	{                                                                                                                                  \
		~0u, (uint32_t)(name), #name                                                                                               \
	}
#define PART(mask, name)                                                                                                                   \
	{                                                                                                                                  \
		(mask), (name), #name                                                                                                      \
	}
/* Constants that no freestanding header has: name and Linux's value. */
#define FLAG_IS(name, value)                                                                                                               \
	{                                                                                                                                  \
		(value), (value), #name                                                                                                    \
	}
#define ENUM_IS(name, value)                                                                                                               \
	{                                                                                                                                  \
		~0u, (value), #name                                                                                                        \
	}

static const struct trace_name oflags[] = {
	PART(O_ACCMODE, O_RDONLY),
	PART(O_ACCMODE, O_WRONLY),
	PART(O_ACCMODE, O_RDWR),
	FLAG(O_CREAT),
	FLAG(O_EXCL),
	FLAG(O_NOCTTY),
	FLAG(O_TRUNC),
	FLAG(O_APPEND),
	FLAG(O_NONBLOCK),
	FLAG(O_SYNC),
	FLAG(O_DSYNC),
	FLAG(O_DIRECT),
	FLAG_IS(O_LARGEFILE, 0100000),
	FLAG(O_TMPFILE),
	FLAG(O_DIRECTORY),
	FLAG(O_NOFOLLOW),
	FLAG(O_NOATIME),
	FLAG(O_CLOEXEC),
	FLAG(O_PATH),
	FLAG(FASYNC),
};
static const struct trace_name pipe_flags[] = {FLAG(O_CLOEXEC), FLAG(O_NONBLOCK), FLAG(O_DIRECT)};
static const struct trace_name prot[] = {
	ENUM(PROT_NONE),
	FLAG(PROT_READ),
	FLAG(PROT_WRITE),
	FLAG(PROT_EXEC),
	FLAG(PROT_GROWSDOWN),
	FLAG(PROT_GROWSUP),
};
static const struct trace_name map[] = {
	PART(MAP_TYPE, MAP_SHARED),
	PART(MAP_TYPE, MAP_PRIVATE),
	PART(MAP_TYPE, MAP_SHARED_VALIDATE),
	FLAG(MAP_FIXED),
	FLAG(MAP_ANONYMOUS),
	FLAG(MAP_32BIT),
	FLAG(MAP_GROWSDOWN),
	FLAG(MAP_DENYWRITE),
	FLAG(MAP_EXECUTABLE),
	FLAG(MAP_LOCKED),
	FLAG(MAP_NORESERVE),
	FLAG(MAP_POPULATE),
	FLAG(MAP_NONBLOCK),
	FLAG(MAP_STACK),
	FLAG(MAP_HUGETLB),
	FLAG(MAP_SYNC),
	FLAG(MAP_FIXED_NOREPLACE),
};
static const struct trace_name mremap_flags[] = {FLAG_IS(MREMAP_MAYMOVE, 1), FLAG_IS(MREMAP_FIXED, 2), FLAG_IS(MREMAP_DONTUNMAP, 4)};
static const struct trace_name msync_flags[] = {FLAG(MS_ASYNC), FLAG(MS_INVALIDATE), FLAG(MS_SYNC)};
static const struct trace_name mlock_flags[] = {FLAG(MCL_CURRENT), FLAG(MCL_FUTURE), FLAG(MCL_ONFAULT)};
static const struct trace_name madvise[] = {
	ENUM(MADV_NORMAL),
	ENUM(MADV_RANDOM),
	ENUM(MADV_SEQUENTIAL),
	ENUM(MADV_WILLNEED),
	ENUM(MADV_DONTNEED),
	ENUM(MADV_FREE),
	ENUM(MADV_REMOVE),
	ENUM(MADV_DONTFORK),
	ENUM(MADV_DOFORK),
	ENUM(MADV_MERGEABLE),
	ENUM(MADV_UNMERGEABLE),
	ENUM(MADV_HUGEPAGE),
	ENUM(MADV_NOHUGEPAGE),
	ENUM(MADV_DONTDUMP),
	ENUM(MADV_DODUMP),
	ENUM(MADV_WIPEONFORK),
	ENUM(MADV_KEEPONFORK),
	ENUM(MADV_COLD),
	ENUM(MADV_PAGEOUT),
	ENUM(MADV_POPULATE_READ),
	ENUM(MADV_POPULATE_WRITE),
};
static const struct trace_name at[] = {
	FLAG(AT_SYMLINK_NOFOLLOW),
	FLAG(AT_REMOVEDIR),
	FLAG(AT_SYMLINK_FOLLOW),
	FLAG(AT_NO_AUTOMOUNT),
	FLAG(AT_EMPTY_PATH),
	PART(AT_STATX_SYNC_TYPE, AT_STATX_FORCE_SYNC),
	PART(AT_STATX_SYNC_TYPE, AT_STATX_DONT_SYNC),
};
static const struct trace_name faccessat_flags[] = {FLAG(AT_EACCESS), FLAG(AT_SYMLINK_NOFOLLOW), FLAG(AT_EMPTY_PATH)};
static const struct trace_name access_mode[] = {ENUM_IS(F_OK, 0), FLAG_IS(R_OK, 4), FLAG_IS(W_OK, 2), FLAG_IS(X_OK, 1)};
static const struct trace_name rename_flags[] = {FLAG_IS(RENAME_NOREPLACE, 1), FLAG_IS(RENAME_EXCHANGE, 2), FLAG_IS(RENAME_WHITEOUT, 4)};
static const struct trace_name statx_mask[] = {
	PART(STATX_ALL, STATX_ALL),
	PART(STATX_BASIC_STATS, STATX_BASIC_STATS),
	FLAG(STATX_TYPE),
	FLAG(STATX_MODE),
	FLAG(STATX_NLINK),
	FLAG(STATX_UID),
	FLAG(STATX_GID),
	FLAG(STATX_ATIME),
	FLAG(STATX_MTIME),
	FLAG(STATX_CTIME),
	FLAG(STATX_INO),
	FLAG(STATX_SIZE),
	FLAG(STATX_BLOCKS),
	FLAG(STATX_BTIME),
	FLAG(STATX_MNT_ID),
};
static const struct trace_name whence[] = {
	ENUM_IS(SEEK_SET, 0),
	ENUM_IS(SEEK_CUR, 1),
	ENUM_IS(SEEK_END, 2),
	ENUM_IS(SEEK_DATA, 3),
	ENUM_IS(SEEK_HOLE, 4),
};
static const struct trace_name lock[] = {
	PART(7, LOCK_SH),
	PART(7, LOCK_EX),
	PART(7, LOCK_UN),
	FLAG(LOCK_NB),
};
static const struct trace_name falloc[] = {
	FLAG(FALLOC_FL_KEEP_SIZE),
	FLAG(FALLOC_FL_PUNCH_HOLE),
	FLAG(FALLOC_FL_COLLAPSE_RANGE),
	FLAG(FALLOC_FL_ZERO_RANGE),
	FLAG(FALLOC_FL_INSERT_RANGE),
};
static const struct trace_name fadvise[] = {
	ENUM_IS(POSIX_FADV_NORMAL, 0),
	ENUM_IS(POSIX_FADV_RANDOM, 1),
	ENUM_IS(POSIX_FADV_SEQUENTIAL, 2),
	ENUM_IS(POSIX_FADV_WILLNEED, 3),
	ENUM_IS(POSIX_FADV_DONTNEED, 4),
	ENUM_IS(POSIX_FADV_NOREUSE, 5),
};
static const struct trace_name fcntl_cmd[] = {
	ENUM(F_DUPFD),
	ENUM(F_GETFD),
	ENUM(F_SETFD),
	ENUM(F_GETFL),
	ENUM(F_SETFL),
	ENUM(F_GETLK),
	ENUM(F_SETLK),
	ENUM(F_SETLKW),
	ENUM(F_SETOWN),
	ENUM(F_GETOWN),
	ENUM(F_SETSIG),
	ENUM(F_GETSIG),
	ENUM(F_SETOWN_EX),
	ENUM(F_GETOWN_EX),
	ENUM(F_OFD_GETLK),
	ENUM(F_OFD_SETLK),
	ENUM(F_OFD_SETLKW),
	ENUM(F_SETLEASE),
	ENUM(F_GETLEASE),
	ENUM(F_NOTIFY),
	ENUM(F_DUPFD_CLOEXEC),
	ENUM(F_SETPIPE_SZ),
	ENUM(F_GETPIPE_SZ),
	ENUM(F_ADD_SEALS),
	ENUM(F_GET_SEALS),
};
static const struct trace_name lock_type[] = {ENUM(F_RDLCK), ENUM(F_WRLCK), ENUM(F_UNLCK)};
static const struct trace_name ioctl_cmd[] = {
	ENUM(TCGETS),
	ENUM(TCSETS),
	ENUM(TCSETSW),
	ENUM(TCSETSF),
	ENUM(TIOCGWINSZ),
	ENUM(TIOCSWINSZ),
	ENUM(TIOCGPGRP),
	ENUM(TIOCSPGRP),
	ENUM(TIOCGSID),
	ENUM(TIOCSCTTY),
	ENUM(TIOCNOTTY),
	ENUM(TIOCOUTQ),
	ENUM(TIOCSTI),
	ENUM(TCFLSH),
	ENUM(TCXONC),
	ENUM(TCSBRK),
	ENUM(TIOCGPTN),
	ENUM(TIOCSPTLCK),
	ENUM(FIONREAD),
	ENUM(FIONBIO),
	ENUM(FIOASYNC),
	ENUM(FIOCLEX),
	ENUM(FIONCLEX),
	ENUM(SIOCGIFNAME),
	ENUM(SIOCGIFCONF),
	ENUM(SIOCGIFFLAGS),
	ENUM(SIOCSIFFLAGS),
	ENUM(SIOCGIFADDR),
	ENUM(SIOCGIFBRDADDR),
	ENUM(SIOCGIFNETMASK),
	ENUM(SIOCGIFMTU),
	ENUM(SIOCGIFHWADDR),
	ENUM(SIOCGIFINDEX),
	ENUM(SIOCGIFTXQLEN),
	ENUM(SIOCETHTOOL),
	ENUM(SIOCGSTAMP_OLD),
	ENUM(SIOCOUTQ),
};
static const struct trace_name clone[] = {
	FLAG(CLONE_VM),
	FLAG(CLONE_FS),
	FLAG(CLONE_FILES),
	FLAG(CLONE_SIGHAND),
	FLAG(CLONE_PIDFD),
	FLAG(CLONE_PTRACE),
	FLAG(CLONE_VFORK),
	FLAG(CLONE_PARENT),
	FLAG(CLONE_THREAD),
	FLAG(CLONE_NEWNS),
	FLAG(CLONE_SYSVSEM),
	FLAG(CLONE_SETTLS),
	FLAG(CLONE_PARENT_SETTID),
	FLAG(CLONE_CHILD_CLEARTID),
	FLAG(CLONE_DETACHED),
	FLAG(CLONE_UNTRACED),
	FLAG(CLONE_CHILD_SETTID),
	FLAG(CLONE_NEWCGROUP),
	FLAG(CLONE_NEWUTS),
	FLAG(CLONE_NEWIPC),
	FLAG(CLONE_NEWUSER),
	FLAG(CLONE_NEWPID),
	FLAG(CLONE_NEWNET),
	FLAG(CLONE_IO),
	{0xff, SIGCHLD, "SIGCHLD"},
};
static const struct trace_name futex_op[] = {
#define FUTEX(name) { 0x7f, (name), #name }
	FUTEX(FUTEX_WAIT),
	FUTEX(FUTEX_WAKE),
	FUTEX(FUTEX_FD),
	FUTEX(FUTEX_REQUEUE),
	FUTEX(FUTEX_CMP_REQUEUE),
	FUTEX(FUTEX_WAKE_OP),
	FUTEX(FUTEX_LOCK_PI),
	FUTEX(FUTEX_UNLOCK_PI),
	FUTEX(FUTEX_TRYLOCK_PI),
	FUTEX(FUTEX_WAIT_BITSET),
	FUTEX(FUTEX_WAKE_BITSET),
	FUTEX(FUTEX_WAIT_REQUEUE_PI),
	FUTEX(FUTEX_CMP_REQUEUE_PI),
	FUTEX(FUTEX_LOCK_PI2),
	FLAG(FUTEX_PRIVATE_FLAG),
	FLAG(FUTEX_CLOCK_REALTIME),
};
static const struct trace_name epoll_op[] = {ENUM(EPOLL_CTL_ADD), ENUM(EPOLL_CTL_DEL), ENUM(EPOLL_CTL_MOD)};
static const struct trace_name epoll_events[] = {
	FLAG(EPOLLIN),
	FLAG(EPOLLPRI),
	FLAG(EPOLLOUT),
	FLAG(EPOLLERR),
	FLAG(EPOLLHUP),
	FLAG(EPOLLRDNORM),
	FLAG(EPOLLRDBAND),
	FLAG(EPOLLWRNORM),
	FLAG(EPOLLWRBAND),
	FLAG(EPOLLRDHUP),
	FLAG(EPOLLEXCLUSIVE),
	FLAG(EPOLLWAKEUP),
	FLAG(EPOLLONESHOT),
	FLAG(EPOLLET),
};
static const struct trace_name poll_events[] = {
	FLAG_IS(POLLIN, 1),
	FLAG_IS(POLLPRI, 2),
	FLAG_IS(POLLOUT, 4),
	FLAG_IS(POLLERR, 8),
	FLAG_IS(POLLHUP, 0x10),
	FLAG_IS(POLLNVAL, 0x20),
	FLAG_IS(POLLRDNORM, 0x40),
	FLAG_IS(POLLRDBAND, 0x80),
	FLAG_IS(POLLWRNORM, 0x100),
	FLAG_IS(POLLWRBAND, 0x200),
	FLAG_IS(POLLRDHUP, 0x2000),
};
static const struct trace_name epoll_flags[] = {FLAG(EPOLL_CLOEXEC)};
static const struct trace_name efd_flags[] = {FLAG_IS(EFD_SEMAPHORE, 1), FLAG_IS(EFD_CLOEXEC, 02000000), FLAG_IS(EFD_NONBLOCK, 04000)};
static const struct trace_name sfd_flags[] = {FLAG_IS(SFD_CLOEXEC, 02000000), FLAG_IS(SFD_NONBLOCK, 04000)};
static const struct trace_name tfd_flags[] = {FLAG_IS(TFD_CLOEXEC, 02000000), FLAG_IS(TFD_NONBLOCK, 04000)};
static const struct trace_name timer_flags[] = {FLAG_IS(TIMER_ABSTIME, 1), FLAG_IS(TFD_TIMER_CANCEL_ON_SET, 2)};
static const struct trace_name memfd_flags[] = {FLAG(MFD_CLOEXEC), FLAG(MFD_ALLOW_SEALING), FLAG(MFD_HUGETLB)};
static const struct trace_name random_flags[] = {FLAG(GRND_NONBLOCK), FLAG(GRND_RANDOM), FLAG(GRND_INSECURE)};
static const struct trace_name msg_flags[] = {
	FLAG_IS(MSG_OOB, 1),
	FLAG_IS(MSG_PEEK, 2),
	FLAG_IS(MSG_DONTROUTE, 4),
	FLAG_IS(MSG_CTRUNC, 8),
	FLAG_IS(MSG_TRUNC, 0x20),
	FLAG_IS(MSG_DONTWAIT, 0x40),
	FLAG_IS(MSG_EOR, 0x80),
	FLAG_IS(MSG_WAITALL, 0x100),
	FLAG_IS(MSG_CONFIRM, 0x800),
	FLAG_IS(MSG_ERRQUEUE, 0x2000),
	FLAG_IS(MSG_NOSIGNAL, 0x4000),
	FLAG_IS(MSG_MORE, 0x8000),
	FLAG_IS(MSG_WAITFORONE, 0x10000),
	FLAG_IS(MSG_CMSG_CLOEXEC, 0x40000000),
};
static const struct trace_name family[] = {
	ENUM_IS(AF_UNSPEC, 0),
	ENUM_IS(AF_UNIX, 1),
	ENUM_IS(AF_INET, 2),
	ENUM_IS(AF_INET6, 10),
	ENUM_IS(AF_NETLINK, 16),
	ENUM_IS(AF_PACKET, 17),
};
static const struct trace_name socket_type[] = {
	{15, 1, "SOCK_STREAM"},
	{15, 2, "SOCK_DGRAM"},
	{15, 3, "SOCK_RAW"},
	{15, 5, "SOCK_SEQPACKET"},
	FLAG_IS(SOCK_CLOEXEC, 02000000),
	FLAG_IS(SOCK_NONBLOCK, 04000),
};
static const struct trace_name socket_level[] = {
	ENUM(SOL_SOCKET),
	ENUM_IS(SOL_IP, 0),
	ENUM_IS(SOL_TCP, 6),
	ENUM_IS(SOL_UDP, 17),
	ENUM_IS(SOL_IPV6, 41),
	ENUM_IS(SOL_ICMPV6, 58),
	ENUM_IS(SOL_RAW, 255),
	ENUM_IS(SOL_NETLINK, 270),
};
static const struct trace_name ip_protocol[] = {
	ENUM(IPPROTO_IP),
	ENUM(IPPROTO_ICMP),
	ENUM(IPPROTO_IGMP),
	ENUM(IPPROTO_TCP),
	ENUM(IPPROTO_UDP),
	ENUM(IPPROTO_ICMPV6),
	ENUM(IPPROTO_SCTP),
	ENUM(IPPROTO_UDPLITE),
	ENUM(IPPROTO_RAW),
};
static const struct trace_name netlink_protocol[] = {
	ENUM(NETLINK_ROUTE),
	ENUM(NETLINK_SOCK_DIAG),
	ENUM(NETLINK_AUDIT),
	ENUM(NETLINK_NETFILTER),
	ENUM(NETLINK_KOBJECT_UEVENT),
	ENUM(NETLINK_GENERIC),
};
static const struct trace_name scm[] = {
	ENUM_IS(SCM_RIGHTS, 1), ENUM_IS(SCM_CREDENTIALS, 2), ENUM_IS(SCM_TIMESTAMP, 29), ENUM_IS(SCM_TIMESTAMPNS, 35), ENUM(SO_RXQ_OVFL)};
static const struct trace_name ip_option[] = {
	ENUM(IP_TOS),
	ENUM(IP_TTL),
	ENUM(IP_HDRINCL),
	ENUM(IP_OPTIONS),
	ENUM(IP_RECVOPTS),
	ENUM(IP_RETOPTS),
	ENUM(IP_PKTINFO),
	ENUM(IP_MTU_DISCOVER),
	ENUM(IP_RECVERR),
	ENUM(IP_RECVTTL),
	ENUM(IP_RECVTOS),
	ENUM(IP_MTU),
	ENUM(IP_FREEBIND),
	ENUM(IP_TRANSPARENT),
	ENUM(IP_ORIGDSTADDR),
	ENUM(IP_MINTTL),
	ENUM(IP_BIND_ADDRESS_NO_PORT),
	ENUM(IP_MULTICAST_IF),
	ENUM(IP_MULTICAST_TTL),
	ENUM(IP_MULTICAST_LOOP),
	ENUM(IP_ADD_MEMBERSHIP),
	ENUM(IP_DROP_MEMBERSHIP),
	ENUM(IP_ADD_SOURCE_MEMBERSHIP),
	ENUM(IP_DROP_SOURCE_MEMBERSHIP),
	ENUM(MCAST_JOIN_GROUP),
	ENUM(MCAST_LEAVE_GROUP),
	ENUM(MCAST_JOIN_SOURCE_GROUP),
	ENUM(MCAST_LEAVE_SOURCE_GROUP),
	ENUM(IP_MULTICAST_ALL),
	ENUM(IP_UNICAST_IF),
};
static const struct trace_name ip6_option[] = {
	ENUM(IPV6_UNICAST_HOPS),
	ENUM(IPV6_MULTICAST_IF),
	ENUM(IPV6_MULTICAST_HOPS),
	ENUM(IPV6_MULTICAST_LOOP),
	ENUM(IPV6_ADD_MEMBERSHIP),
	ENUM(IPV6_DROP_MEMBERSHIP),
	ENUM(IPV6_MTU_DISCOVER),
	ENUM(IPV6_MTU),
	ENUM(IPV6_RECVERR),
	ENUM(IPV6_V6ONLY),
	ENUM(IPV6_MULTICAST_ALL),
	ENUM(IPV6_RECVPKTINFO),
	ENUM(IPV6_PKTINFO),
	ENUM(IPV6_RECVHOPLIMIT),
	ENUM(IPV6_HOPLIMIT),
	ENUM(IPV6_DONTFRAG),
	ENUM(IPV6_RECVTCLASS),
	ENUM(IPV6_TCLASS),
	ENUM(IPV6_ADDR_PREFERENCES),
	ENUM(IPV6_UNICAST_IF),
	ENUM(IPV6_FREEBIND),
	ENUM(MCAST_JOIN_GROUP),
	ENUM(MCAST_LEAVE_GROUP),
};
static const struct trace_name tcp_option[] = {
	ENUM(TCP_NODELAY),
	ENUM(TCP_MAXSEG),
	ENUM(TCP_CORK),
	ENUM(TCP_KEEPIDLE),
	ENUM(TCP_KEEPINTVL),
	ENUM(TCP_KEEPCNT),
	ENUM(TCP_SYNCNT),
	ENUM(TCP_LINGER2),
	ENUM(TCP_DEFER_ACCEPT),
	ENUM(TCP_WINDOW_CLAMP),
	ENUM(TCP_INFO),
	ENUM(TCP_QUICKACK),
	ENUM(TCP_CONGESTION),
	ENUM(TCP_USER_TIMEOUT),
	ENUM(TCP_FASTOPEN),
	ENUM(TCP_NOTSENT_LOWAT),
	ENUM(TCP_FASTOPEN_CONNECT),
	ENUM(TCP_ULP),
};
static const struct trace_name udp_option[] = {ENUM(UDP_CORK), ENUM(UDP_NO_CHECK6_TX), ENUM(UDP_NO_CHECK6_RX), ENUM(UDP_SEGMENT), ENUM(UDP_GRO)};
static const struct trace_name netlink_option[] = {
	ENUM(NETLINK_ADD_MEMBERSHIP),
	ENUM(NETLINK_DROP_MEMBERSHIP),
	ENUM(NETLINK_PKTINFO),
	ENUM(NETLINK_NO_ENOBUFS),
	ENUM(NETLINK_CAP_ACK),
	ENUM(NETLINK_EXT_ACK),
	ENUM(NETLINK_GET_STRICT_CHK),
};
static const struct trace_name socket_option[] = {
	ENUM(SO_DEBUG),
	ENUM(SO_REUSEADDR),
	ENUM(SO_TYPE),
	ENUM(SO_ERROR),
	ENUM(SO_DONTROUTE),
	ENUM(SO_BROADCAST),
	ENUM(SO_SNDBUF),
	ENUM(SO_RCVBUF),
	ENUM(SO_KEEPALIVE),
	ENUM(SO_OOBINLINE),
	ENUM(SO_LINGER),
	ENUM(SO_REUSEPORT),
	ENUM(SO_PASSCRED),
	ENUM(SO_PEERCRED),
	ENUM(SO_RCVLOWAT),
	ENUM_IS(SO_RCVTIMEO, 20),
	ENUM_IS(SO_SNDTIMEO, 21),
	ENUM(SO_ACCEPTCONN),
	ENUM(SO_PROTOCOL),
	ENUM(SO_DOMAIN),
	ENUM(SO_PRIORITY),
	ENUM(SO_MARK),
	ENUM(SO_SNDLOWAT),
	ENUM(SO_BINDTODEVICE),
	ENUM_IS(SO_TIMESTAMP, 29),
	ENUM_IS(SO_TIMESTAMPNS, 35),
	ENUM_IS(SO_TIMESTAMPING, 37),
	ENUM(SO_SNDBUFFORCE),
	ENUM(SO_RCVBUFFORCE),
	ENUM(SO_RXQ_OVFL),
	ENUM(SO_ATTACH_FILTER),
	ENUM(SO_ZEROCOPY),
	ENUM(SO_BUSY_POLL),
	ENUM(SO_INCOMING_CPU),
	ENUM(SO_COOKIE),
	ENUM(SO_BINDTOIFINDEX),
};
static const struct trace_name shutdown_how[] = {ENUM_IS(SHUT_RD, 0), ENUM_IS(SHUT_WR, 1), ENUM_IS(SHUT_RDWR, 2)};
static const struct trace_name splice_flags[] = {
	FLAG_IS(SPLICE_F_MOVE, 1),
	FLAG_IS(SPLICE_F_NONBLOCK, 2),
	FLAG_IS(SPLICE_F_MORE, 4),
	FLAG_IS(SPLICE_F_GIFT, 8),
};
static const struct trace_name sig[] = {
	ENUM(SIGHUP),
	ENUM(SIGINT),
	ENUM(SIGQUIT),
	ENUM(SIGILL),
	ENUM(SIGTRAP),
	ENUM(SIGABRT),
	ENUM(SIGBUS),
	ENUM(SIGFPE),
	ENUM(SIGKILL),
	ENUM(SIGUSR1),
	ENUM(SIGSEGV),
	ENUM(SIGUSR2),
	ENUM(SIGPIPE),
	ENUM(SIGALRM),
	ENUM(SIGTERM),
	ENUM(SIGSTKFLT),
	ENUM(SIGCHLD),
	ENUM(SIGCONT),
	ENUM(SIGSTOP),
	ENUM(SIGTSTP),
	ENUM(SIGTTIN),
	ENUM(SIGTTOU),
	ENUM(SIGURG),
	ENUM(SIGXCPU),
	ENUM(SIGXFSZ),
	ENUM(SIGVTALRM),
	ENUM(SIGPROF),
	ENUM(SIGWINCH),
	ENUM(SIGIO),
	ENUM(SIGPWR),
	ENUM(SIGSYS),
	ENUM_IS(SIGRT_0, 32),
	ENUM_IS(SIGRT_1, 33),
	ENUM_IS(SIGRT_2, 34),
};
static const struct trace_name sig_how[] = {ENUM(SIG_BLOCK), ENUM(SIG_UNBLOCK), ENUM(SIG_SETMASK)};
static const struct trace_name sa_flags[] = {
	FLAG(SA_RESTORER),
	FLAG(SA_NOCLDSTOP),
	FLAG(SA_NOCLDWAIT),
	FLAG(SA_SIGINFO),
	FLAG(SA_ONSTACK),
	FLAG(SA_RESTART),
	FLAG(SA_NODEFER),
	FLAG(SA_RESETHAND),
};
static const struct trace_name ss_flags[] = {FLAG_IS(SS_ONSTACK, 1), FLAG_IS(SS_DISABLE, 2), FLAG_IS(SS_AUTODISARM, 1u << 31)};
static const struct trace_name si_code[] = {
	ENUM_IS(SI_USER, 0),
	ENUM_IS(SI_KERNEL, 0x80),
	ENUM_IS(SI_QUEUE, ~0u),
	ENUM_IS(SI_TIMER, ~1u),
	ENUM_IS(SI_TKILL, ~5u),
};
static const struct trace_name segv_code[] = {ENUM_IS(SEGV_MAPERR, 1), ENUM_IS(SEGV_ACCERR, 2)};
static const struct trace_name clock[] = {
	ENUM_IS(CLOCK_REALTIME, 0),
	ENUM_IS(CLOCK_MONOTONIC, 1),
	ENUM_IS(CLOCK_PROCESS_CPUTIME_ID, 2),
	ENUM_IS(CLOCK_THREAD_CPUTIME_ID, 3),
	ENUM_IS(CLOCK_MONOTONIC_RAW, 4),
	ENUM_IS(CLOCK_REALTIME_COARSE, 5),
	ENUM_IS(CLOCK_MONOTONIC_COARSE, 6),
	ENUM_IS(CLOCK_BOOTTIME, 7),
	ENUM_IS(CLOCK_REALTIME_ALARM, 8),
	ENUM_IS(CLOCK_BOOTTIME_ALARM, 9),
	ENUM_IS(CLOCK_TAI, 11),
};
static const struct trace_name itimer[] = {ENUM_IS(ITIMER_REAL, 0), ENUM_IS(ITIMER_VIRTUAL, 1), ENUM_IS(ITIMER_PROF, 2)};
static const struct trace_name prctl_option[] = {
	ENUM(PR_SET_PDEATHSIG),
	ENUM(PR_GET_PDEATHSIG),
	ENUM(PR_GET_DUMPABLE),
	ENUM(PR_SET_DUMPABLE),
	ENUM(PR_GET_KEEPCAPS),
	ENUM(PR_SET_KEEPCAPS),
	ENUM(PR_SET_NAME),
	ENUM(PR_GET_NAME),
	ENUM(PR_GET_SECCOMP),
	ENUM(PR_SET_SECCOMP),
	ENUM(PR_CAPBSET_READ),
	ENUM(PR_CAPBSET_DROP),
	ENUM(PR_GET_TSC),
	ENUM(PR_SET_TSC),
	ENUM(PR_GET_SECUREBITS),
	ENUM(PR_SET_SECUREBITS),
	ENUM(PR_SET_TIMERSLACK),
	ENUM(PR_GET_TIMERSLACK),
	ENUM(PR_SET_MM),
	ENUM(PR_SET_PTRACER),
	ENUM(PR_SET_CHILD_SUBREAPER),
	ENUM(PR_GET_CHILD_SUBREAPER),
	ENUM(PR_SET_NO_NEW_PRIVS),
	ENUM(PR_GET_NO_NEW_PRIVS),
	ENUM(PR_GET_TID_ADDRESS),
	ENUM(PR_SET_THP_DISABLE),
	ENUM(PR_GET_THP_DISABLE),
	ENUM(PR_CAP_AMBIENT),
	ENUM(PR_SET_SYSCALL_USER_DISPATCH),
	ENUM(PR_SET_VMA),
};
static const struct trace_name arch_prctl[] = {
	ENUM(ARCH_SET_GS), ENUM(ARCH_SET_FS), ENUM(ARCH_GET_FS), ENUM(ARCH_GET_GS), ENUM_IS(ARCH_CET_STATUS, 0x3001)};
static const struct trace_name resource[] = {
	ENUM(RLIMIT_CPU),
	ENUM(RLIMIT_FSIZE),
	ENUM(RLIMIT_DATA),
	ENUM(RLIMIT_STACK),
	ENUM(RLIMIT_CORE),
	ENUM(RLIMIT_RSS),
	ENUM(RLIMIT_NPROC),
	ENUM(RLIMIT_NOFILE),
	ENUM(RLIMIT_MEMLOCK),
	ENUM(RLIMIT_AS),
	ENUM(RLIMIT_LOCKS),
	ENUM(RLIMIT_SIGPENDING),
	ENUM(RLIMIT_MSGQUEUE),
	ENUM(RLIMIT_NICE),
	ENUM(RLIMIT_RTPRIO),
	ENUM(RLIMIT_RTTIME),
};
static const struct trace_name rusage_who[] = {ENUM(RUSAGE_SELF), ENUM(RUSAGE_CHILDREN), ENUM(RUSAGE_THREAD)};
static const struct trace_name wait_options[] = {
	FLAG(WNOHANG),
	FLAG(WUNTRACED),
	FLAG(WEXITED),
	FLAG(WCONTINUED),
	FLAG(WNOWAIT),
	FLAG(__WNOTHREAD),
	FLAG(__WALL),
	FLAG(__WCLONE),
};
static const struct trace_name id_type[] = {ENUM(P_ALL), ENUM(P_PID), ENUM(P_PGID), ENUM(P_PIDFD)};
static const struct trace_name policy[] = {
	PART(0xff, SCHED_NORMAL),
	PART(0xff, SCHED_FIFO),
	PART(0xff, SCHED_RR),
	PART(0xff, SCHED_BATCH),
	PART(0xff, SCHED_IDLE),
	FLAG(SCHED_RESET_ON_FORK),
};
static const struct trace_name membarrier[] = {
	ENUM(MEMBARRIER_CMD_QUERY),
	ENUM(MEMBARRIER_CMD_GLOBAL),
	ENUM(MEMBARRIER_CMD_PRIVATE_EXPEDITED),
	ENUM(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
	ENUM(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE),
	ENUM(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE),
};
static const struct trace_name close_range_flags[] = {FLAG_IS(CLOSE_RANGE_UNSHARE, 2), FLAG_IS(CLOSE_RANGE_CLOEXEC, 4)};
static const struct trace_name fd_flags[] = {FLAG(FD_CLOEXEC)};
static const struct trace_name xattr_flags[] = {FLAG_IS(XATTR_CREATE, 1), FLAG_IS(XATTR_REPLACE, 2)};
static const struct trace_name rwf[] = {
	FLAG_IS(RWF_HIPRI, 1), FLAG_IS(RWF_DSYNC, 2), FLAG_IS(RWF_SYNC, 4), FLAG_IS(RWF_NOWAIT, 8), FLAG_IS(RWF_APPEND, 16)};

#define SET(word, names)                                                                                                                   \
	{                                                                                                                                  \
		word, names, VB_ARRAY_LEN(names)                                                                                           \
	}
const struct trace_set trace_sets[] = {
	SET("oflags", oflags),
	SET("pipeflags", pipe_flags),
	SET("prot", prot),
	SET("map", map),
	SET("mremap", mremap_flags),
	SET("msync", msync_flags),
	SET("mlock", mlock_flags),
	SET("madvise", madvise),
	SET("at", at),
	SET("eaccess", faccessat_flags),
	SET("access", access_mode),
	SET("rename", rename_flags),
	SET("statxmask", statx_mask),
	SET("whence", whence),
	SET("lock", lock),
	SET("falloc", falloc),
	SET("fadvise", fadvise),
	SET("fcntl", fcntl_cmd),
	SET("locktype", lock_type),
	SET("ioctl", ioctl_cmd),
	SET("clone", clone),
	SET("futex", futex_op),
	SET("epollop", epoll_op),
	SET("epollev", epoll_events),
	SET("pollev", poll_events),
	SET("epollflags", epoll_flags),
	SET("efd", efd_flags),
	SET("sfd", sfd_flags),
	SET("tfd", tfd_flags),
	SET("timerflags", timer_flags),
	SET("memfd", memfd_flags),
	SET("random", random_flags),
	SET("msg", msg_flags),
	SET("family", family),
	SET("socktype", socket_type),
	SET("level", socket_level),
	SET("sockopts", socket_option),
	SET("ipopts", ip_option),
	SET("ip6opts", ip6_option),
	SET("tcpopts", tcp_option),
	SET("udpopts", udp_option),
	SET("netlinkopts", netlink_option),
	SET("ipproto", ip_protocol),
	SET("netlinkproto", netlink_protocol),
	SET("scm", scm),
	SET("shut", shutdown_how),
	SET("splice", splice_flags),
	SET("sig", sig),
	SET("sighow", sig_how),
	SET("saflags", sa_flags),
	SET("ssflags", ss_flags),
	SET("sicode", si_code),
	SET("segvcode", segv_code),
	SET("clock", clock),
	SET("itimer", itimer),
	SET("prctl", prctl_option),
	SET("archprctl", arch_prctl),
	SET("resource", resource),
	SET("rusagewho", rusage_who),
	SET("wait", wait_options),
	SET("idtype", id_type),
	SET("policy", policy),
	SET("membarrier", membarrier),
	SET("closerange", close_range_flags),
	SET("fdflags", fd_flags),
	SET("xattr", xattr_flags),
	SET("rwf", rwf),
};
const unsigned trace_set_count = VB_ARRAY_LEN(trace_sets);

static const struct trace_field timespec[] = {{"tv_sec", "l", 0, 8}, {"tv_nsec", "l", 8, 8}};
static const struct trace_field timeval[] = {{"tv_sec", "l", 0, 8}, {"tv_usec", "l", 8, 8}};
static const struct trace_field timezone[] = {{"tz_minuteswest", "d", 0, 4}, {"tz_dsttime", "d", 4, 4}};
static const struct trace_field itimerspec[] = {{"it_interval", "&timespec", 0, 16}, {"it_value", "&timespec", 16, 16}};
static const struct trace_field itimerval[] = {{"it_interval", "&timeval", 0, 16}, {"it_value", "&timeval", 16, 16}};
static const struct trace_field rlimit[] = {{"rlim_cur", "limit", 0, 8}, {"rlim_max", "limit", 8, 8}};
static const struct trace_field rusage[] = {{"ru_utime", "&timeval", 0, 16}, {"ru_stime", "&timeval", 16, 16}, {"ru_maxrss", "l", 32, 8}};
static const struct trace_field stat[] = {{"st_mode", "mode", 24, 4}, {"st_size", "l", 48, 8}};
static const struct trace_field statx[] = {{"stx_mask", "statxmask", 0, 4}, {"stx_mode", "mode", 28, 2}, {"stx_size", "l", 40, 8}};
static const struct trace_field statfs[] = {
	{"f_type", "x", 0, 8},
	{"f_bsize", "l", 8, 8},
	{"f_blocks", "l", 16, 8},
	{"f_bfree", "l", 24, 8},
};
static const struct trace_field sysinfo[] = {
	{"uptime", "l", 0, 8},
	{"totalram", "l", 32, 8},
	{"freeram", "l", 40, 8},
	{"procs", "u", 80, 2},
	{"mem_unit", "u", 104, 4},
};
static const struct trace_field utsname[] = {
	{"sysname", "&str", 0, 65},
	{"nodename", "&str", 65, 65},
	{"release", "&str", 130, 65},
	{"machine", "&str", 260, 65},
};
static const struct trace_field pollfd[] = {{"fd", "d", 0, 4}, {"events", "pollev", 4, 2}, {"revents", "pollev", 6, 2}};
static const struct trace_field epoll_event[] = {{"events", "epollev", 0, 4}, {"data", "x", 4, 8}};
static const struct trace_field sigaction[] = {
	{"sa_handler", "handler", 0, 8},
	{"sa_mask", "&sigset", 24, 8},
	{"sa_flags", "saflags", 8, 8},
};
static const struct trace_field stack[] = {{"ss_sp", "p", 0, 8}, {"ss_flags", "ssflags", 8, 4}, {"ss_size", "l", 16, 8}};
static const struct trace_field flock[] = {
	{"l_type", "locktype", 0, 2},
	{"l_whence", "whence", 2, 2},
	{"l_start", "l", 8, 8},
	{"l_len", "l", 16, 8},
};
static const struct trace_field winsize[] = {{"ws_row", "u", 0, 2}, {"ws_col", "u", 2, 2}};
static const struct trace_field termios[] = {
	{"c_iflag", "x", 0, 4}, {"c_oflag", "x", 4, 4}, {"c_cflag", "x", 8, 4}, {"c_lflag", "x", 12, 4}};
static const struct trace_field clone_args[] = {
	{"flags", "clone", 0, 8},
	{"child_tid", "p", 16, 8},
	{"parent_tid", "p", 24, 8},
	{"exit_signal", "sig", 32, 8},
	{"stack", "p", 40, 8},
	{"stack_size", "x", 48, 8},
	{"tls", "p", 56, 8},
};
static const struct trace_field open_how[] = {{"flags", "oflags", 0, 8}, {"mode", "o", 8, 8}, {"resolve", "x", 16, 8}};
static const struct trace_field sched_param[] = {{"sched_priority", "d", 0, 4}};
static const struct trace_field tms[] = {{"tms_utime", "l", 0, 8}, {"tms_stime", "l", 8, 8}};
static const struct trace_field sigevent[] = {{"sigev_value", "x", 0, 8}, {"sigev_signo", "sig", 8, 4}, {"sigev_notify", "d", 12, 4}};
static const struct trace_field siginfo[] = {{"si_signo", "sig", 0, 4}, {"si_code", "sicode", 8, 4}};

#define STRUCT(name, bytes)                                                                                                                \
	{                                                                                                                                  \
#name, bytes, VB_ARRAY_LEN(name), name                                                                                     \
	}
const struct trace_struct trace_structs[] = {
	STRUCT(timespec, 16),
	STRUCT(timeval, 16),
	STRUCT(timezone, 8),
	STRUCT(itimerspec, 32),
	STRUCT(itimerval, 32),
	STRUCT(rlimit, 16),
	STRUCT(rusage, 144),
	STRUCT(stat, 144),
	STRUCT(statx, 256),
	STRUCT(statfs, 120),
	STRUCT(sysinfo, 112),
	STRUCT(utsname, 390),
	STRUCT(pollfd, 8),
	STRUCT(epoll_event, 12),
	STRUCT(sigaction, 32),
	STRUCT(stack, 24),
	STRUCT(flock, 32),
	STRUCT(winsize, 8),
	STRUCT(termios, 36),
	STRUCT(clone_args, 64),
	STRUCT(open_how, 24),
	STRUCT(sched_param, 4),
	STRUCT(tms, 32),
	STRUCT(sigevent, 64),
	STRUCT(siginfo, 128),
};
const unsigned trace_struct_count = VB_ARRAY_LEN(trace_structs);
