/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Small things that every file needs: memory, time, text, prefixes, JSON.
 */

#include <arpa/inet.h>

#include <ctype.h>
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <openssl/evp.h>

#include "cloudsim.h"

void *
xcalloc(size_t n, size_t size)
{
	void *p;

	p = calloc(n, size);
	if (p == NULL)
		err(1, "calloc");
	return (p);
}

char *
xstrdup(const char *s)
{
	char *p;

	p = strdup(s);
	if (p == NULL)
		err(1, "strdup");
	return (p);
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *text = NULL;
	size_t len = 0;
	FILE *fp;

	fp = open_memstream(&text, &len);
	if (fp == NULL)
		err(1, "open_memstream");
	vfprintf(fp, fmt, ap);
	if (fclose(fp) == EOF)
		err(1, "out of memory");
	return (text);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = xvasprintf(fmt, ap);
	va_end(ap);
	return (p);
}

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

int64_t
mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Google writes Pacific time, with milliseconds and the offset. */
void
stamp_google(char *buf, size_t len)
{
	int64_t t = now_ms();
	time_t secs = t / 1000 - 8 * 3600;
	struct tm tm;
	char day[32];

	gmtime_r(&secs, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, len, "%s.%03d-08:00", day, (int)(t % 1000));
}

void
stamp_cloudflare(char *buf, size_t len)
{
	int64_t t = now_ms();
	time_t secs = t / 1000;
	struct tm tm;
	char day[32];

	gmtime_r(&secs, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, len, "%s.%03dZ", day, (int)(t % 1000));
}

/* Fills buf with len - 1 hexadecimal digits. */
void
random_hex(char *buf, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i + 1 < len; i++)
		buf[i] = digits[arc4random_uniform(16)];
	buf[i] = '\0';
}

/* Positive as a signed number, so that it prints the same everywhere. */
uint64_t
random_u64(void)
{
	return (((uint64_t)arc4random() << 31 | arc4random()) | 1ULL << 61) &
	    INT64_MAX;
}

/* Strict: an address, a slash, digits, and no bits behind the length. */
int
prefix_parse(const char *s, struct prefix *p)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash, *errstr;
	int bits, i;

	memset(p, 0, sizeof(*p));
	if (s == NULL)
		return (-1);
	slash = strchr(s, '/');
	if (slash == NULL || (size_t)(slash - s) >= sizeof(addr))
		return (-1);
	memcpy(addr, s, (size_t)(slash - s));
	addr[slash - s] = '\0';
	p->family = strchr(addr, ':') != NULL ? AF_INET6 : AF_INET;
	bits = p->family == AF_INET6 ? 128 : 32;
	if (inet_pton(p->family, addr, p->addr) != 1)
		return (-1);
	if (!isdigit((unsigned char)slash[1]))
		return (-1);
	p->len = (int)strtonum(slash + 1, 0, bits, &errstr);
	if (errstr != NULL)
		return (-1);
	for (i = p->len; i < bits; i++) {
		if ((p->addr[i / 8] & (0x80 >> (i % 8))) == 0)
			continue;
		if (!sim.set.host_bits)
			return (-1);
		p->addr[i / 8] &= (unsigned char)~(0x80 >> (i % 8));
	}
	return (0);
}

bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return (a->family == b->family && a->len == b->len &&
	    memcmp(a->addr, b->addr, sizeof(a->addr)) == 0);
}

bool
prefix_same_text(const char *a, const char *b)
{
	struct prefix pa, pb;

	return (prefix_parse(a, &pa) == 0 && prefix_parse(b, &pb) == 0 &&
	    prefix_equal(&pa, &pb));
}

bool
address_valid(const char *s)
{
	unsigned char buf[16];

	return (s != NULL &&
	    (inet_pton(AF_INET, s, buf) == 1 ||
		inet_pton(AF_INET6, s, buf) == 1));
}

/* A UUID in its usual form, and not the nil one, which Google refuses. */
bool
uuid_valid(const char *s)
{
	bool nonzero = false;
	size_t i;

	if (strlen(s) != 36)
		return (false);
	for (i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return (false);
			continue;
		}
		if (!isxdigit((unsigned char)s[i]))
			return (false);
		if (s[i] != '0')
			nonzero = true;
	}
	return (nonzero);
}

static int
hexval(int c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

char *
url_decode(const char *s, size_t len)
{
	char *out;
	size_t i, n = 0;

	out = xcalloc(1, len + 1);
	for (i = 0; i < len; i++) {
		if (s[i] == '%' && i + 2 < len && hexval(s[i + 1]) != -1 &&
		    hexval(s[i + 2]) != -1) {
			out[n++] = (char)(hexval(s[i + 1]) << 4 |
			    hexval(s[i + 2]));
			i += 2;
		} else
			out[n++] = s[i] == '+' ? ' ' : s[i];
	}
	return (out);
}

/* The decoded value of one parameter of a query or form, or NULL. */
char *
query_get(const char *query, const char *name)
{
	const char *p = query, *eq;
	size_t len;

	while (p != NULL && *p != '\0') {
		len = strcspn(p, "&");
		eq = memchr(p, '=', len);
		if (eq != NULL && (size_t)(eq - p) == strlen(name) &&
		    strncmp(p, name, strlen(name)) == 0)
			return (url_decode(eq + 1, len - (size_t)(eq + 1 - p)));
		p += len;
		if (*p == '&')
			p++;
	}
	return (NULL);
}

/* Decodes base64url without padding; -1 for anything else. */
int
b64url_decode(const char *s, size_t len, unsigned char **out)
{
	unsigned char *buf;
	uint32_t acc = 0;
	int bits = 0, n = 0, v;
	size_t i;

	buf = xcalloc(1, len + 1);
	for (i = 0; i < len; i++) {
		if (s[i] >= 'A' && s[i] <= 'Z')
			v = s[i] - 'A';
		else if (s[i] >= 'a' && s[i] <= 'z')
			v = s[i] - 'a' + 26;
		else if (s[i] >= '0' && s[i] <= '9')
			v = s[i] - '0' + 52;
		else if (s[i] == '-')
			v = 62;
		else if (s[i] == '_')
			v = 63;
		else {
			free(buf);
			return (-1);
		}
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf[n++] = (unsigned char)(acc >> bits);
		}
	}
	*out = buf;
	return (n);
}

char *
b64_encode(const char *s)
{
	size_t len = strlen(s);
	char *out;

	out = xcalloc(1, (len + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)s,
	    (int)len);
	return (out);
}

char *
b64_decode(const char *s)
{
	size_t len = strlen(s);
	char *out;

	out = xcalloc(1, len + 4);
	if (len == 0 ||
	    EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)s,
		(int)len) == -1) {
		free(out);
		return (NULL);
	}
	return (out);
}

/* A JSON string from text that may be missing or not be UTF-8. */
json_t *
jstr(const char *s)
{
	json_t *v;

	if (s == NULL)
		return (json_null());
	v = json_string(s);
	return (v != NULL ? v : json_string("(not UTF-8)"));
}

json_t *
jtime(int64_t ms)
{
	return (json_real((double)ms / 1000.0));
}

/*
 * RFC 7396.  The result is new, but shares with target what the patch does
 * not touch, so that a patch of one member in a large world stays cheap; of
 * the patch everything is copied, because faults use theirs again.
 */
json_t *
json_merge(json_t *target, json_t *patch)
{
	json_t *result, *value, *merged;
	const char *key;

	if (!json_is_object(patch))
		return (json_deep_copy(patch));
	result = json_is_object(target) ? json_copy(target) : json_object();
	json_object_foreach(patch, key, value) {
		if (json_is_null(value)) {
			json_object_del(result, key);
			continue;
		}
		merged = json_merge(json_object_get(result, key), value);
		json_object_set_new(result, key, merged);
	}
	return (result);
}

/* Google leaves empty lists out, at every level.  Changes its argument. */
void
json_prune(json_t *v)
{
	json_t *child;
	const char *key;
	void *tmp;
	size_t i;

	json_array_foreach(v, i, child) {
		json_prune(child);
	}
	json_object_foreach_safe(v, tmp, key, child)
	{
		if (json_is_array(child) && json_array_size(child) == 0)
			json_object_del(v, key);
		else
			json_prune(child);
	}
}

json_t *
json_without(json_t *obj, const char *key)
{
	json_t *copy;

	copy = json_copy(obj);
	json_object_del(copy, key);
	return (copy);
}

const char *
json_str(json_t *obj, const char *key)
{
	return (json_string_value(json_object_get(obj, key)));
}

/* Splits in place and decodes each piece; the pieces point into path. */
size_t
path_split(char *path, char **seg, size_t max)
{
	char *p, *decoded;
	size_t n = 0;

	while ((p = strsep(&path, "/")) != NULL && n < max) {
		if (*p == '\0')
			continue;
		decoded = url_decode(p, strlen(p));
		/* Never longer than what it came from. */
		memcpy(p, decoded, strlen(decoded) + 1);
		free(decoded);
		seg[n++] = p;
	}
	return (n);
}
