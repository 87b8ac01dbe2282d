/* What `vauban inspect` shows. The statistics page is the cell's: its figures are printed, nothing more. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "monitor/cell.h"
#include "monitor/site_private.h"
#include "monitor/syscall_names.h"

#include <vauban/hostcall.h>

static const char *const host_calls[] = {
#define NAME(index, name) [index] = #name,
	VB_HOST_CALLS(NAME)
#undef NAME
};

static json_t *strings(char *const *list)
{
	json_t *array = json_array();
	for (; *list; list++) {
		json_t *s = json_string(*list);
		json_array_append_new(array, s ? s : json_string("(not UTF-8)"));
	}
	return array;
}

static json_t *volumes(const struct monitor_options *o)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < o->volume_count; i++)
		json_array_append_new(array, json_pack("{s:s, s:s, s:b}", "host", o->volumes[i].host_dir, "target", o->volumes[i].target,
						     "read_only", (int)o->volumes[i].read_only));
	return array;
}

json_t *report_cell(const struct monitor *m)
{
	const struct monitor_options *o = m->options;
	char started[40];
	struct tm tm;
	strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&m->started.tv_sec, &tm));
	json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:i, s:i, s:s, s:b, s:b, s:o}", "name", m->name, "image", o->image,
		"program", o->program, "arguments", strings(o->arguments), "started", started, "started_unix",
		(json_int_t)m->started.tv_sec, "tender_pid", (int)m->tender, "monitor_pid", (int)getpid(), "platform", "process",
		"detached", (int)o->detach, "remove", (int)o->remove, "volumes", volumes(o));
	if (!json)
		json = json_pack("{s:s}", "name", m->name);
	if (m->cgroup[0])
		json_object_set_new(json, "cgroup", json_string(m->cgroup));
	if (o->cpus > 0)
		json_object_set_new(json, "cpu_limit", json_pack("{s:f, s:s?}", "cpus", o->cpus, "method", m->cpu_method));
	return json;
}

/* "a=1 b=0" as an object of booleans. */
static json_t *lockdown(const char *text)
{
	json_t *json = json_object();
	char copy[sizeof(((struct monitor *)0)->lockdown)], *save;
	strcpy(copy, text);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		if (!value)
			continue;
		*value++ = 0;
		json_object_set_new(json, word, json_boolean(strcmp(value, "0") != 0));
	}
	return json;
}

static json_t *host_call_report(const struct vb_stats *stats)
{
	json_t *allowed = json_array(), *used = json_object();
	for (unsigned i = 0; i < VB_ARRAY_LEN(host_calls); i++) {
		json_array_append_new(allowed, json_string(host_calls[i]));
		if (stats && stats->host_call[i])
			json_object_set_new(used, host_calls[i], json_integer((json_int_t)stats->host_call[i]));
	}
	return json_pack("{s:o, s:o}", "allowed", allowed, "used", used);
}

static json_t *guest_call_report(const struct vb_stats *stats)
{
	json_t *used = json_object();
	for (unsigned i = 0; i < VB_STATS_GUEST_CALLS; i++) {
		char number[16];
		if (!stats->guest_call[i])
			continue;
		snprintf(number, sizeof(number), "%u", i);
		const char *name = syscall_names[i] ? syscall_names[i] : number;
		json_object_set_new(used, name, json_integer((json_int_t)stats->guest_call[i]));
	}
	return used;
}

static json_t *site_report(const struct monitor *m)
{
	const struct site *s = m->site;
	unsigned bound = 0, listening = 0, connected = 0;
	json_t *folders = json_array();
	for (unsigned i = 0; i < m->options->site_folder_count; i++)
		json_array_append_new(folders, json_string(m->options->site_folders[i]));
	for (unsigned i = 0; i < s->high; i++) {
		const struct site_socket *k = &s->sockets[i];
		bound += k->id && k->file;
		listening += k->id && k->listening;
		connected += k->id && k->connected && !k->ended;
	}
	return json_pack("{s:s, s:o, s:i, s:i, s:i, s:I, s:I, s:I}", "dir", m->options->site_dir, "folders", folders, "bound", (int)bound,
		"listening", (int)listening, "connected", (int)connected, "bytes_sent", (json_int_t)s->bytes_sent, "bytes_received",
		(json_int_t)s->bytes_received, "bytes_waiting", (json_int_t)s->queued);
}

json_t *report_state(const struct monitor *m)
{
	static const char *const states[] = {"starting", "running", "stopped", "exited"};
	const struct vb_stats *s = m->stats;
	json_t *json = report_cell(m);
	json_object_set_new(
		json, "state", json_string(states[m->state == CELL_STARTING && m->stats && m->stats->running ? CELL_RUNNING : m->state]));
	json_object_set_new(json, "cpu_seconds", json_real(tender_cpu_seconds(m)));
	json_object_set_new(json, "lockdown", lockdown(m->lockdown));
	json_object_set_new(json, "host_calls", host_call_report(s));
	json_object_set_new(json, "net", net_report(m));
	if (m->site)
		json_object_set_new(json, "site", site_report(m));
	if (s) {
		json_object_set_new(json, "memory",
			json_pack("{s:I, s:I, s:I}", "limit", (json_int_t)m->options->memory_bytes, "used", (json_int_t)s->memory_bytes,
				"peak", (json_int_t)s->memory_peak_bytes));
		json_object_set_new(json, "guest_calls", guest_call_report(s));
		json_object_set_new(json, "threads", json_integer((json_int_t)s->threads));
		json_object_set_new(json, "faults", json_integer((json_int_t)s->faults));
		json_object_set_new(json, "switches", json_integer((json_int_t)s->switches));
		json_object_set_new(json, "call_sites",
			json_pack("{s:I, s:I}", "patched", (json_int_t)s->sites_patched, "calls_trapped", (json_int_t)s->sites_trapped));
		json_object_set_new(json, "booby_traps", json_integer((json_int_t)s->booby_traps));
		json_object_set_new(json, "refused_calls", json_integer((json_int_t)s->refused_calls));
	}
	if (m->state == CELL_EXITED)
		json_object_set_new(json, "exit",
			json_pack("{s:i, s:i, s:b}", "status", m->exit.status, "signal", m->exit.signal, "core", (int)(m->exit.core != 0)));
	return json;
}
