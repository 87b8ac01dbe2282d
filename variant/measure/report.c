/* Owns how a measurement looks, for people and for programs. */
#include "variant/measure/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/types.h"

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static void print_binaries(FILE *out, const struct measurement *m)
{
	fprintf(out, "%10s %8s %9s %9s %9s  %s\n", "text", "growth", "gadgets", "of use", "distinct", "file");
	for (unsigned i = 0; i < m->count + (m->plain != NULL); i++) {
		const struct measured *v = i < m->count ? &m->variants[i] : m->plain;
		char growth[32] = "";
		if (m->plain && v != m->plain)
			snprintf(growth, sizeof(growth), "%+.2f%%",
				percent((double)v->text_bytes - (double)m->plain->text_bytes, (double)m->plain->text_bytes));
		fprintf(out, "%10llu %8s %9zu %9zu %9zu  %s%s\n", (unsigned long long)v->text_bytes, growth, v->gadgets.count,
			v->gadgets.count - v->trivial, v->keys.count[SURVIVES_ANYWHERE], v->binary.path, v == m->plain ? " (plain)" : "");
	}
}

static void print_survivors(FILE *out, const struct measurement *m)
{
	fprintf(out, "\n%-26s %10s %10s %10s", "survivors", "mean", "least", "most");
	if (m->count >= 3)
		fprintf(out, " %10s", "in >= 2");
	if (m->count >= 5)
		fprintf(out, " %10s", "in >= 5");
	fputc('\n', out);
	for (unsigned kind = 0; kind < SURVIVES_KINDS; kind++) {
		const struct survivors *s = &m->survival[kind];
		fprintf(out, "%-26s %9.4f%% %9.4f%% %9.4f%%", survival_titles[kind], 100 * s->mean, 100 * s->least, 100 * s->max);
		if (m->count >= 3 && kind != SURVIVES_PLACES)
			fprintf(out, " %9.4f%%", percent((double)s->in_many[1], s->mean_keys));
		if (m->count >= 5 && kind != SURVIVES_PLACES)
			fprintf(out, " %9.4f%%", percent((double)s->in_many[4], s->mean_keys));
		fputc('\n', out);
	}
}

static void print_entropy(FILE *out, const struct measurement *m)
{
	fprintf(out, "\n%-40s %12s\n", "entropy", "bits");
	for (unsigned i = 0; i < ENTROPIES; i++) {
		const struct entropy *e = &m->entropy[i];
		if (e->samples)
			fprintf(out, "%-40s %2s%10.2f  %s, %zu samples\n", e->title, e->at_least ? ">=" : "", e->bits, e->method,
				e->samples);
		else
			fprintf(out, "%-40s %12s  needs %s\n", e->title, "?", i == ENTROPY_INSTRUCTION_OFFSET ? "maps" : "symbols");
	}
}

void report_text(FILE *out, const struct measurement *m, size_t places)
{
	fprintf(out, "gadgets of up to %u instructions; %u variants, %u ordered pairs\n\n", m->depth, m->count, m->count * (m->count - 1));
	print_binaries(out, m);
	print_survivors(out, m);
	print_entropy(out, m);
	if (places)
		fprintf(out, "\nfunctions by survivors relative to them, first pair\n%10s %10s  %s\n", "survivors", "gadgets", "function");
	for (size_t i = 0; i < places && i < m->place_count && m->places[i].survivors; i++)
		fprintf(out, "%10zu %10zu  %s\n", m->places[i].survivors, m->places[i].gadgets, m->places[i].function);
}

static json_t *json_of_binary(const struct measured *v)
{
	return json_pack("{s:s%, s:I, s:i, s:i, s:i, s:b}", "file", v->binary.path, strlen(v->binary.path), "text_bytes",
		(json_int_t)v->text_bytes, "gadgets", (int)v->gadgets.count, "useful", (int)(v->gadgets.count - v->trivial), "distinct",
		(int)v->keys.count[SURVIVES_ANYWHERE], "stripped", v->binary.stripped);
}

static json_t *json_of_survival(const struct measurement *m, const struct survivors *s)
{
	json_t *in_many = json_array(), *matrix = json_array();
	for (unsigned k = 0; k < m->count && s != &m->survival[SURVIVES_PLACES]; k++)
		json_array_append_new(in_many, json_integer((json_int_t)s->in_many[k]));
	for (unsigned a = 0; a < m->count; a++) {
		json_t *row = json_array();
		for (unsigned b = 0; b < m->count; b++)
			json_array_append_new(row, a == b ? json_null() : json_real(s->fractions[a * m->count + b]));
		json_array_append_new(matrix, row);
	}
	return json_pack("{s:f, s:f, s:f, s:f, s:o, s:o}", "mean", s->mean, "least", s->least, "most", s->max, "gadgets_per_variant",
		s->mean_keys, "in_at_least", in_many, "pairs", matrix);
}

int report_json(FILE *out, const struct measurement *m, size_t places)
{
	json_t *variants = json_array(), *survivors = json_object(), *entropy = json_object();
	for (unsigned i = 0; i < m->count; i++) {
		json_t *v = json_of_binary(&m->variants[i]);
		if (m->plain)
			json_object_set_new(v, "growth", json_real((double)m->variants[i].text_bytes / (double)m->plain->text_bytes - 1));
		json_array_append_new(variants, v);
	}
	for (unsigned kind = 0; kind < SURVIVES_KINDS; kind++)
		json_object_set_new(survivors, survival_names[kind], json_of_survival(m, &m->survival[kind]));
	for (unsigned i = 0; i < ENTROPIES; i++) {
		const struct entropy *e = &m->entropy[i];
		if (e->samples)
			json_object_set_new(entropy, e->name,
				json_pack("{s:f, s:b, s:i, s:s}", "bits", e->bits, "at_least", e->at_least, "samples", (int)e->samples,
					"method", e->method));
	}
	json_t *all =
		json_pack("{s:i, s:o, s:o, s:o}", "depth", m->depth, "variants", variants, "survivors", survivors, "entropy", entropy);
	if (m->plain)
		json_object_set_new(all, "plain", json_of_binary(m->plain));
	if (places) {
		json_t *list = json_array();
		for (size_t i = 0; i < places && i < m->place_count && m->places[i].survivors; i++)
			json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "function", m->places[i].function, "survivors",
							    (int)m->places[i].survivors, "gadgets", (int)m->places[i].gadgets));
		json_object_set_new(all, "functions", list);
	}
	int r = all && json_dumpf(all, out, JSON_INDENT(1) | JSON_REAL_PRECISION(8)) == 0 ? 0 : -ENOMEM;
	fputc('\n', out);
	json_decref(all);
	return r;
}
