/* The manifest's one parser and one writer. Owns the strings of struct image_manifest; trusts nothing of the text. */
#include "image/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vauban/image.h"

struct reader {
	const char *text;
	size_t len;
	struct vb_error *err;
};

static size_t skip_string(const char *s, size_t at, size_t len)
{
	for (at++; at < len && s[at] != '"'; at++)
		if (s[at] == '\\')
			at++;
	return at + 1;
}

/* The line of a key of the outermost object: jansson keeps none. The text is valid JSON by now. */
static unsigned line_of(const struct reader *r, const char *key)
{
	unsigned line = 1, depth = 0;
	size_t key_len = strlen(key);

	for (size_t i = 0; i < r->len; i++) {
		char c = r->text[i];

		if (c == '\n')
			line++;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (c == '"') {
			size_t end = skip_string(r->text, i, r->len);

			if (depth == 1 && end - i == key_len + 2 && !memcmp(r->text + i + 1, key, key_len))
				return line;
			i = end - 1;
		}
	}
	return 1;
}

static int bad(const struct reader *r, const char *key, const char *what)
{
	return vb_error_set(r->err, -EINVAL, "manifest: \"%s\" (line %u) %s", key, line_of(r, key), what);
}

static int no_memory(struct vb_error *err)
{
	return vb_error_set(err, -ENOMEM, "out of memory");
}

int image_strings_add(struct image_strings *list, const char *s)
{
	char **grown = realloc(list->at, (list->count + 2) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->at = grown;
	grown[list->count] = strdup(s);
	if (!grown[list->count])
		return -ENOMEM;
	grown[++list->count] = NULL;
	return 0;
}

void image_strings_release(struct image_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i]);
	free(list->at);
	*list = (struct image_strings){0};
}

static char **environment_find(const struct image_strings *list, const char *assignment)
{
	size_t name_len = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < list->count; i++)
		if (!strncmp(list->at[i], assignment, name_len))
			return &list->at[i];
	return NULL;
}

int image_environment_set(struct image_strings *list, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	char **old, *copy;

	if (!equals || equals == assignment)
		return -EINVAL;
	old = environment_find(list, assignment);
	if (!old)
		return image_strings_add(list, assignment);
	copy = strdup(assignment);
	if (!copy)
		return -ENOMEM;
	free(*old);
	*old = copy;
	return 0;
}

void image_manifest_release(struct image_manifest *m)
{
	free(m->program);
	free(m->cwd);
	free(m->created_from);
	image_strings_release(&m->entry);
	image_strings_release(&m->arguments);
	image_strings_release(&m->environment);
	*m = (struct image_manifest){0};
}

static int read_string(const struct reader *r, const char *key, const json_t *v, char **ret)
{
	const char *s = json_string_value(v); /* jansson refuses \u0000 within: strlen is safe */

	if (!s)
		return bad(r, key, "must be a string");
	free(*ret);
	*ret = strdup(s);
	return *ret ? 0 : no_memory(r->err);
}

static int read_path(const struct reader *r, const char *key, const json_t *v, char **ret)
{
	int code = read_string(r, key, v, ret);

	if (code)
		return code;
	if ((*ret)[0] != '/')
		return bad(r, key, "must be an absolute path");
	return strlen(*ret) < 4096 ? 0 : bad(r, key, "is too long for a path");
}

static int read_strings(const struct reader *r, const char *key, const json_t *v, struct image_strings *ret)
{
	if (!json_is_array(v) || json_array_size(v) > IMAGE_MANIFEST_MAX_STRINGS)
		return bad(r, key, "must be a list of at most 4096 strings");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (!s)
			return bad(r, key, "must hold only strings");
		if (image_strings_add(ret, s))
			return no_memory(r->err);
	}
	return 0;
}

static int read_environment(const struct reader *r, const char *key, const json_t *v, struct image_strings *ret)
{
	struct image_strings all = {0};
	int code = read_strings(r, key, v, &all);

	for (size_t i = 0; i < all.count && !code; i++) {
		if (environment_find(ret, all.at[i]))
			code = bad(r, key, "sets a variable twice");
		else if ((code = image_environment_set(ret, all.at[i])))
			code = code == -ENOMEM ? no_memory(r->err) : bad(r, key, "must hold NAME=VALUE strings");
	}
	image_strings_release(&all);
	return code;
}

static int read_number(const struct reader *r, const char *key, const json_t *v, uint64_t min, uint64_t max, uint64_t *ret)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return bad(r, key, "must be a whole number");
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return bad(r, key, "is out of range");
	*ret = n;
	return 0;
}

static int read_user(const struct reader *r, const char *key, const json_t *v, struct image_manifest *m)
{
	uint64_t uid, gid;
	int code;

	if (!json_is_object(v) || json_object_size(v) != 2 || !json_object_get(v, "uid") || !json_object_get(v, "gid"))
		return bad(r, key, "must be {\"uid\": NUMBER, \"gid\": NUMBER}");
	if ((code = read_number(r, key, json_object_get(v, "uid"), 0, UINT32_MAX - 1, &uid)) ||
		(code = read_number(r, key, json_object_get(v, "gid"), 0, UINT32_MAX - 1, &gid)))
		return code;
	m->uid = uid;
	m->gid = gid;
	return 0;
}

static int read_key(const struct reader *r, const char *key, const json_t *v, struct image_manifest *m)
{
	uint64_t version;
	int code;

	if (!strcmp(key, "version"))
		return read_number(r, key, v, IMAGE_MANIFEST_VERSION, IMAGE_MANIFEST_VERSION, &version);
	if (!strcmp(key, "program"))
		return read_path(r, key, v, &m->program);
	if (!strcmp(key, "entry"))
		return read_strings(r, key, v, &m->entry);
	if (!strcmp(key, "arguments"))
		return read_strings(r, key, v, &m->arguments);
	if (!strcmp(key, "environment"))
		return read_environment(r, key, v, &m->environment);
	if (!strcmp(key, "cwd"))
		return read_path(r, key, v, &m->cwd);
	if (!strcmp(key, "user"))
		return read_user(r, key, v, m);
	if (!strcmp(key, "memory_bytes")) {
		code = read_number(r, key, v, IMAGE_MEMORY_MIN_BYTES, IMAGE_MEMORY_MAX_BYTES, &m->memory_bytes);
		return code || m->memory_bytes % 4096 == 0 ? code : bad(r, key, "must be a multiple of 4096");
	}
	if (!strcmp(key, "jit")) {
		m->jit = json_is_true(v);
		return json_is_boolean(v) ? 0 : bad(r, key, "must be true or false");
	}
	if (!strcmp(key, "created_from"))
		return read_string(r, key, v, &m->created_from);
	return bad(r, key, "is no key of a manifest");
}

/* What may be missing gets its default. */
static int complete(const struct reader *r, const json_t *root, struct image_manifest *m)
{
	if (!json_object_get(root, "version"))
		return vb_error_set(r->err, -EINVAL, "manifest: \"version\" is missing");
	if (!m->program)
		return vb_error_set(r->err, -EINVAL, "manifest: \"program\" is missing");
	if (json_object_get(root, "entry") && !m->entry.count)
		return bad(r, "entry", "must not be empty");
	if (!m->entry.count && image_strings_add(&m->entry, m->program))
		return no_memory(r->err);
	if (!m->cwd && !(m->cwd = strdup("/")))
		return no_memory(r->err);
	if (!m->memory_bytes)
		m->memory_bytes = IMAGE_MEMORY_DEFAULT_BYTES;
	return 0;
}

int image_manifest_load(const char *bytes, size_t len, struct image_manifest *ret, struct vb_error *err)
{
	struct reader r = {.text = bytes, .len = len, .err = err};
	struct image_manifest m = {0};
	json_error_t why;
	json_t *root, *v;
	const char *key;
	int code = 0;

	if (len > VB_IMAGE_MANIFEST_MAX_BYTES)
		return vb_error_set(err, -EINVAL, "manifest: longer than %u bytes", VB_IMAGE_MANIFEST_MAX_BYTES);
	root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return vb_error_set(err, -EINVAL, "manifest: line %d, column %d: %s", why.line, why.column, why.text);
	if (!json_is_object(root))
		code = vb_error_set(err, -EINVAL, "manifest: not a JSON object");
	json_object_foreach(root, key, v) if (!code) code = read_key(&r, key, v, &m);
	if (!code)
		code = complete(&r, root, &m);
	json_decref(root);
	if (code)
		image_manifest_release(&m);
	else
		*ret = m;
	return code;
}

/* --- writing --- */

static json_t *json_strings(const struct image_strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		if (json_array_append_new(array, json_string(list->at[i])))
			return json_decref(array), NULL;
	return array;
}

int image_manifest_format(const struct image_manifest *m, char **ret_text, struct vb_error *err)
{
	json_t *root = json_object();
	int bad = json_object_set_new(root, "version", json_integer(IMAGE_MANIFEST_VERSION)) ||
		  json_object_set_new(root, "program", json_string(m->program)) ||
		  json_object_set_new(root, "entry", json_strings(&m->entry)) ||
		  json_object_set_new(root, "arguments", json_strings(&m->arguments)) ||
		  json_object_set_new(root, "environment", json_strings(&m->environment)) ||
		  json_object_set_new(root, "cwd", json_string(m->cwd ? m->cwd : "/")) ||
		  json_object_set_new(root, "user", json_pack("{sIsI}", "uid", (json_int_t)m->uid, "gid", (json_int_t)m->gid)) ||
		  json_object_set_new(root, "memory_bytes", json_integer(m->memory_bytes ? m->memory_bytes : IMAGE_MEMORY_DEFAULT_BYTES)) ||
		  json_object_set_new(root, "jit", json_boolean(m->jit)) ||
		  (m->created_from && json_object_set_new(root, "created_from", json_string(m->created_from)));
	char *text = bad ? NULL : json_dumps(root, JSON_INDENT(2));

	json_decref(root);
	if (!text)
		return vb_error_set(err, -EINVAL, "can't write the manifest: its strings must be UTF-8");
	*ret_text = text;
	return 0;
}
