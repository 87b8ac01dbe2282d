/* Terminals: what the host's terminal (stdio.c) and pseudo-terminals (pty.c) share. Owned by tty.c. */
#ifndef KERNEL_FS_TTY_H
#define KERNEL_FS_TTY_H

#include "kernel/fs/fs.h"

/* struct termios2 of the kernel ABI, its first TERMIOS_BYTES bytes being struct termios. */
struct k_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[19];
	uint32_t ispeed, ospeed;
};
#define TERMIOS_BYTES 36
#define PTS_MAJOR     136u
_Static_assert(sizeof(struct k_termios) == 44, "the kernel ABI's struct termios2");

struct k_winsize {
	uint16_t rows, cols, xpixel, ypixel;
};

struct tty {
	int sid, pgrp; /* session that it controls and foreground process group; 0: none */
	struct k_winsize winsize;
	int (*open)(struct tty *tty, struct file *f); /* /dev/tty: makes f a descriptor of this terminal */
};

/* The ioctls about sessions, groups and the window; -ENOTTY for others. */
long tty_ioctl(struct tty *tty, unsigned cmd, uint64_t arg);
void tty_set_winsize(struct tty *tty, const struct k_winsize *size); /* SIGWINCH to the foreground if it changed */
void tty_signal(struct tty *tty, int sig);                           /* to the foreground process group */
void tty_release(struct tty *tty);                                   /* it goes: no process keeps it as its controlling terminal */
void tty_attach(struct tty *tty);                                    /* becomes the controlling terminal of the current session */

extern const struct file_ops tty_device_ops; /* /dev/tty */
extern const struct file_ops ptmx_ops, pts_ops;

extern const struct file_ops null_ops, stdio_console_ops;
extern struct dentry *device_null, *device_console;

#endif
