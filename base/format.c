/* A bounded printf subset, for code without a C library. Owns nothing; the format is trusted, the arguments are not. */
#include "base/string.h"

#include <stdbool.h>

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_repeated(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

struct spec {
	bool left, zero, plus, space, alt;
	int width, precision; /* precision -1: none */
	int size_bytes;
};

static void put_padded(struct out *o, const struct spec *s, const char *prefix, const char *body, int body_len)
{
	int prefix_len = (int)strlen(prefix), zeros = 0;
	if (s->precision > body_len)
		zeros = s->precision - body_len;
	else if (s->zero && !s->left && s->precision < 0 && s->width > prefix_len + body_len)
		zeros = s->width - prefix_len - body_len;
	int pad = s->width - prefix_len - zeros - body_len;
	if (!s->left)
		put_repeated(o, ' ', pad);
	while (*prefix)
		put(o, *prefix++);
	put_repeated(o, '0', zeros);
	for (int i = 0; i < body_len; i++)
		put(o, body[i]);
	if (s->left)
		put_repeated(o, ' ', pad);
}

static void put_number(struct out *o, const struct spec *s, char conv, uint64_t v)
{
	char digits[24];
	int n = sizeof(digits);
	const char *prefix = "", *alphabet = conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = conv == 'x' || conv == 'X' || conv == 'p' ? 16 : conv == 'o' ? 8 : 10;

	if (conv == 'd' || conv == 'i') {
		prefix = s->plus ? "+" : s->space ? " " : "";
		if ((int64_t)v < 0) {
			prefix = "-";
			v = -v;
		}
	} else if (conv == 'p' || (s->alt && base == 16 && v)) {
		prefix = conv == 'X' ? "0X" : "0x";
	} else if (s->alt && base == 8) {
		prefix = "0";
	}
	if (v || s->precision)
		do
			digits[--n] = alphabet[v % base];
		while (v /= base);
	put_padded(o, s, prefix, digits + n, (int)sizeof(digits) - n);
}

static uint64_t take_number(va_list *ap, const struct spec *s, bool is_signed)
{
	if (s->size_bytes == 8)
		return va_arg(*ap, uint64_t);
	if (is_signed) {
		int v = va_arg(*ap, int);
		return (uint64_t)(int64_t)(s->size_bytes == 1 ? (signed char)v : s->size_bytes == 2 ? (short)v : v);
	}
	unsigned v = va_arg(*ap, unsigned);
	return s->size_bytes == 1 ? (unsigned char)v : s->size_bytes == 2 ? (unsigned short)v : v;
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){.precision = -1, .size_bytes = 4};
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '+')
			s->plus = true;
		else if (*f == ' ')
			s->space = true;
		else if (*f == '#')
			s->alt = true;
		else
			break;
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		f++;
	}
	while (*f >= '0' && *f <= '9')
		s->width = s->width * 10 + (*f++ - '0');
	if (*f == '.') {
		s->precision = 0;
		if (*++f == '*') {
			s->precision = va_arg(*ap, int);
			f++;
		}
		while (*f >= '0' && *f <= '9')
			s->precision = s->precision * 10 + (*f++ - '0');
	}
	for (;; f++) {
		if (*f == 'h')
			s->size_bytes /= 2;
		else if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't')
			s->size_bytes = 8;
		else
			return f;
	}
}

int vb_vsnprintf(char *buf, size_t size, const char *f, va_list args)
{
	struct out o = {buf, size, 0};
	struct spec s;
	va_list ap;
	va_copy(ap, args);
	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_spec(f + 1, &s, &ap);
		if (*f == 's') {
			const char *str = va_arg(ap, const char *);
			if (!str)
				str = "(null)";
			size_t len = strnlen(str, s.precision >= 0 ? (size_t)s.precision : 0x7fffffff);
			s.precision = -1;
			s.zero = false;
			put_padded(&o, &s, "", str, (int)len);
		} else if (*f == 'c') {
			char c = (char)va_arg(ap, int);
			s.zero = false;
			put_padded(&o, &s, "", &c, 1);
		} else if (*f == '%') {
			put(&o, '%');
		} else if (*f == 'p') {
			put_number(&o, &s, 'p', (uint64_t)va_arg(ap, void *));
		} else if (*f == 'd' || *f == 'i' || *f == 'u' || *f == 'x' || *f == 'X' || *f == 'o') {
			put_number(&o, &s, *f, take_number(&ap, &s, *f == 'd' || *f == 'i'));
		} else {
			break; /* the format ends inside a specification */
		}
	}
	va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int vb_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vb_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
