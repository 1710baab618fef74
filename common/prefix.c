/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "prefix.h"

static int
max_length(uint8_t family)
{
	return (family == AF_INET ? 32 : 128);
}

/* The length after the slash: decimal digits, no sign, no leading zero. */
static int
parse_length(const char *text, int max)
{
	int length = 0;

	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return (-1);
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return (-1);
		length = length * 10 + (*text - '0');
		if (length > max)
			return (-1);
	}
	return (length);
}

/* Do the first length bits of both agree? */
static bool
same_bits(const uint8_t *a, const uint8_t *b, int length)
{
	uint8_t mask;

	if (memcmp(a, b, length / 8) != 0)
		return (false);
	if (length % 8 == 0)
		return (true);
	mask = 0xff << (8 - length % 8);
	return (((a[length / 8] ^ b[length / 8]) & mask) == 0);
}

/*
 * Read "address/length" into *prefix; an address alone is a host.  Host bits
 * are kept as given, see prefix_masked().  Returns 0, or -1 and *prefix not
 * set (family 0) where the text is no prefix.
 */
int
prefix_parse(const char *text, struct prefix *prefix)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash;
	size_t len;
	int length;

	memset(prefix, 0, sizeof(*prefix));
	slash = strchr(text, '/');
	len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	if (len >= sizeof(address))
		return (-1);
	memcpy(address, text, len);
	address[len] = '\0';

	prefix->family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
	length = max_length(prefix->family);
	if (slash != NULL)
		length = parse_length(slash + 1, length);
	if (length == -1 ||
	    inet_pton(prefix->family, address, prefix->address) != 1) {
		memset(prefix, 0, sizeof(*prefix));
		return (-1);
	}
	prefix->length = length;
	return (0);
}

/*
 * True where no host bits are set.  *masked, unless NULL, becomes the prefix
 * without them; it may be the prefix itself.
 */
bool
prefix_masked(const struct prefix *prefix, struct prefix *masked)
{
	struct prefix clean = *prefix;
	bool same;
	int bit;

	for (bit = prefix->length; bit < max_length(prefix->family); bit++)
		clean.address[bit / 8] &= ~(0x80 >> (bit % 8));
	same = memcmp(clean.address, prefix->address, sizeof(clean.address)) ==
	    0;
	if (masked != NULL)
		*masked = clean;
	return (same);
}

/* True where both are the same network; host bits do not count. */
bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return (a->family == b->family && a->length == b->length &&
	    same_bits(a->address, b->address, a->length));
}

/* True where an address exists that is in both; never across families. */
bool
prefix_overlap(const struct prefix *a, const struct prefix *b)
{
	if (a->family != b->family || a->family == 0)
		return (false);
	return (same_bits(a->address, b->address,
	    a->length < b->length ? a->length : b->length));
}

/*
 * Write "address/length" into buf; PREFIX_LEN bytes are enough for any.
 * Returns buf, which holds "" where the prefix is not set or does not fit.
 */
const char *
prefix_text(const struct prefix *prefix, char *buf, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	int n;

	if (len == 0)
		return (buf);
	buf[0] = '\0';
	if (prefix->family == 0 ||
	    inet_ntop(prefix->family, prefix->address, address,
		sizeof(address)) == NULL)
		return (buf);
	n = snprintf(buf, len, "%s/%u", address, prefix->length);
	if (n < 0 || (size_t)n >= len)
		buf[0] = '\0';
	return (buf);
}
