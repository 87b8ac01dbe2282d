/* What people type. */
#include "host/parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_size(const char *text, uint64_t *ret_bytes)
{
	char *end;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	double value = strtod(text, &end);
	static const char units[] = "KMGT";
	if (*end) {
		const char *unit = strchr(units, toupper((unsigned char)*end));
		if (!unit && toupper((unsigned char)*end) != 'B')
			return -EINVAL;
		for (; unit && unit >= units; unit--)
			value *= 1024;
		if (toupper((unsigned char)*end) != 'B')
			end++;
		if (*end && strcasecmp(end, "B") != 0 && strcasecmp(end, "iB") != 0)
			return -EINVAL;
	}
	if (!(value < 9.0e18))
		return -EINVAL;
	*ret_bytes = (uint64_t)value;
	return 0;
}

int parse_number(const char *text, long min, long max, long *ret_value)
{
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static const char *const signals[] = {[SIGHUP] = "HUP",
	[SIGINT] = "INT",
	[SIGQUIT] = "QUIT",
	[SIGILL] = "ILL",
	[SIGTRAP] = "TRAP",
	[SIGABRT] = "ABRT",
	[SIGBUS] = "BUS",
	[SIGFPE] = "FPE",
	[SIGKILL] = "KILL",
	[SIGUSR1] = "USR1",
	[SIGSEGV] = "SEGV",
	[SIGUSR2] = "USR2",
	[SIGPIPE] = "PIPE",
	[SIGALRM] = "ALRM",
	[SIGTERM] = "TERM",
	[SIGSTKFLT] = "STKFLT",
	[SIGCHLD] = "CHLD",
	[SIGCONT] = "CONT",
	[SIGSTOP] = "STOP",
	[SIGTSTP] = "TSTP",
	[SIGTTIN] = "TTIN",
	[SIGTTOU] = "TTOU",
	[SIGURG] = "URG",
	[SIGXCPU] = "XCPU",
	[SIGXFSZ] = "XFSZ",
	[SIGVTALRM] = "VTALRM",
	[SIGPROF] = "PROF",
	[SIGWINCH] = "WINCH",
	[SIGIO] = "IO",
	[SIGPWR] = "PWR",
	[SIGSYS] = "SYS"};

int parse_signal(const char *text, int *ret_signal)
{
	long number;
	if (parse_number(text, 1, 64, &number) == 0) {
		*ret_signal = (int)number;
		return 0;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (unsigned i = 1; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (signals[i] && strcasecmp(signals[i], text) == 0) {
			*ret_signal = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *signal_name(int sig)
{
	static char name[32];
	if (sig > 0 && sig < (int)(sizeof(signals) / sizeof(signals[0])) && signals[sig])
		snprintf(name, sizeof(name), "SIG%s", signals[sig]);
	else
		snprintf(name, sizeof(name), "signal %d", sig);
	return name;
}
