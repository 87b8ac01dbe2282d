/* The kernel's end of the channel to the monitor: the log, and the messages that the monitor sends. Owns the receive
 * buffer. The monitor is trusted; lengths are checked all the same.
 */
#include "kernel/task/task_private.h"

#include "kernel/debug/debug.h"
#include "kernel/debug/trace.h"
#include "kernel/fs/fs.h"
#include "kernel/fs/p9.h"
#include "kernel/fs/site.h"
#include "kernel/net/report.h"
#include "kernel/platform/platform.h"

#include <vauban/message.h>

#define LOG_LINE_MAX 480

static void log_line(int severity, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	int len = vb_vsnprintf(text, sizeof(text), fmt, ap);
	struct vb_message header = {VB_MSG_LOG, (uint32_t)severity};
	platform_send(&header, sizeof(header), text, vb_min((size_t)len, sizeof(text) - 1));
}

void klog(int severity, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	log_line(severity, fmt, ap);
	va_end(ap);
}

_Noreturn void kpanic(const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	va_start(ap, fmt);
	vb_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	klog(0, "cell kernel panic: %s", text);
	platform_halt(125);
}

void messages_run(void)
{
	static union {
		struct vb_message header;
		char bytes[VB_MESSAGE_MAX_BYTES];
	} m;
	for (;;) {
		long len = platform_receive(&m, sizeof(m));
		if (len < (long)sizeof(m.header))
			return;
		const void *payload = &m.header + 1;
		size_t size = (size_t)len - sizeof(m.header);
		if (m.header.type != VB_MSG_9P_REPLY)
			p9_heard++;
		switch (m.header.type) {
		case VB_MSG_SIGNAL:
			if (m.header.tag >= 1 && m.header.tag <= SIG_COUNT) {
				struct k_siginfo info = {.signo = (int)m.header.tag, .code = 0 /* SI_USER */};
				signal_process(current->process, &info);
			}
			break;
		case VB_MSG_9P_REPLY:
			p9_reply(m.header.tag, payload, size);
			break;
		case VB_MSG_STDIO_REPLY:
			stdio_reply(payload, size);
			break;
		case VB_MSG_SITE_REPLY:
			site_reply(m.header.tag, payload, size);
			break;
		case VB_MSG_SITE_EVENT:
			site_event(m.header.tag, payload, size);
			break;
		case VB_MSG_WINSIZE:
			if (size == sizeof(struct vb_msg_winsize))
				stdio_winsize(payload);
			break;
		case VB_MSG_NET_QUERY:
			net_report();
			break;
		case VB_MSG_TRACE_SET:
			trace_set(m.header.tag != 0);
			break;
		case VB_MSG_DEBUG_IN:
			debug_message(payload, size, m.header.tag);
			break;
		}
	}
}
