/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Checks of values in the configuration: names, paths and URLs.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

#define USER_LEN  32 /* what useradd(8) takes */
#define LABEL_LEN 63 /* RFC 1035 */

#define SERVICE_ACCOUNT_MAX 128 /* bytes */

/* A label of RFC 1035 in lower case: what Google Cloud names things with. */
static bool
is_label(const char *text, size_t len)
{
	size_t i;

	if (len == 0 || len > LABEL_LEN || !islower((u_char)text[0]) ||
	    text[len - 1] == '-')
		return (false);
	for (i = 0; i < len; i++) {
		if (!islower((u_char)text[i]) && !isdigit((u_char)text[i]) &&
		    text[i] != '-')
			return (false);
	}
	return (true);
}

const char *
value_label(const char *text)
{
	if (is_label(text, strlen(text)))
		return (NULL);
	return ("expected at most 63 lower-case letters, digits and hyphens, "
		"a letter first and no hyphen last");
}

/* A project's id, which in old projects begins with "domain:". */
const char *
value_project(const char *text)
{
	static const char why[] =
	    "expected the id of a project: lower-case "
	    "letters, digits and hyphens, a letter first and no hyphen last";
	const char *colon, *p;

	if (strlen(text) >= PROJECT_LEN)
		return (why);
	colon = strchr(text, ':');
	if (colon == NULL)
		return (is_label(text, strlen(text)) ? NULL : why);
	for (p = text; p < colon; p++) {
		if (!islower((u_char)*p) && !isdigit((u_char)*p) && *p != '-' &&
		    *p != '.')
			return (why);
	}
	if (colon == text || strchr(".-", text[0]) != NULL ||
	    strchr(".-", colon[-1]) != NULL ||
	    !is_label(colon + 1, strlen(colon + 1)))
		return (why);
	return (NULL);
}

const char *
value_account(const char *text)
{
	size_t i;

	for (i = 0; isalnum((u_char)text[i]); i++)
		continue;
	if (i > 0 && i < ACCOUNT_LEN && text[i] == '\0')
		return (NULL);
	return ("expected at most 63 letters and digits");
}

const char *
value_user(const char *text)
{
	size_t i;

	if (strcmp(text, "root") == 0)
		return ("no child runs as root");
	for (i = 0; isalnum((u_char)text[i]) || text[i] == '_' ||
	     (i > 0 && (text[i] == '-' || text[i] == '.'));
	     i++)
		continue;
	if (i > 0 && i <= USER_LEN && text[i] == '\0' &&
	    !isdigit((u_char)text[0]))
		return (NULL);
	return ("expected the name of a user");
}

const char *
value_group(const char *text)
{
	if (strcmp(text, "root") == 0 || value_user(text) == NULL)
		return (NULL);
	return ("expected the name of a group");
}

/* The text that marks our routes. */
const char *
value_text(const char *text)
{
	if (*text == '\0')
		return ("an empty text would match every route");
	if (strlen(text) >= MATCH_LEN)
		return ("expected at most 255 bytes");
	return (NULL);
}

/* The name of a failover. */
const char *
value_name(const char *text)
{
	if (*text != '\0' && strlen(text) < FAILOVER_LEN)
		return (NULL);
	return ("expected 1 to 63 bytes");
}

/* The id of a log at Cloud Logging. */
const char *
value_log(const char *text)
{
	const char *p;

	for (p = text; *p != '\0'; p++) {
		if (!isalnum((u_char)*p) && strchr("/_.-", *p) == NULL)
			break;
	}
	if (p > text && *p == '\0' && p - text < LOG_NAME_LEN)
		return (NULL);
	return ("expected 1 to 255 letters, digits and characters of /_.-");
}

const char *
value_path(const char *text)
{
	if (*text == '\0')
		return ("expected the path of a file");
	if (strlen(text) >= PATH_MAX)
		return ("the path is too long");
	return (NULL);
}

/* A service account of this machine: it becomes a part of a URL. */
const char *
value_service_account(const char *text)
{
	const char *at = strchr(text, '@');
	size_t i;

	if (strcmp(text, "default") == 0)
		return (NULL);
	for (i = 0; isalnum((u_char)text[i]) || text[i] == '@' ||
	     text[i] == '.' || text[i] == '-' || text[i] == '_';
	     i++)
		continue;
	if (i <= SERVICE_ACCOUNT_MAX && text[i] == '\0' && at != NULL &&
	    at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL)
		return (NULL);
	return ("expected the email address of a service account");
}

const char *
value_absolute(const char *text)
{
	if (*text != '/')
		return ("expected an absolute path");
	return (value_path(text));
}

const char *
value_socket(const char *text)
{
	if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return ("the path of a socket has at most 107 characters");
	return (value_absolute(text));
}

const char *
value_chroot(const char *text)
{
	if (strlen(text) >= PATHNAME_LEN)
		return ("expected at most 255 bytes");
	return (value_absolute(text));
}

/*
 * Is it UTF-8 without control characters?  What is not could neither be
 * written into a log line nor be found in an answer of an API.
 */
bool
value_utf8(const char *text)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const u_char *p = (const u_char *)text;
	uint32_t c;
	int more, n;

	for (; *p != '\0'; p++) {
		c = *p;
		more = c < 0x80	       ? 0 :
		    (c & 0xe0) == 0xc0 ? 1 :
		    (c & 0xf0) == 0xe0 ? 2 :
		    (c & 0xf8) == 0xf0 ? 3 :
					 -1;
		if (more == -1)
			return (false);
		if (more > 0)
			c &= 0x3f >> more;
		for (n = 0; n < more; n++) {
			if ((*++p & 0xc0) != 0x80)
				return (false);
			c = c << 6 | (*p & 0x3f);
		}
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c < least[more] ||
		    c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return (false);
	}
	return (true);
}

/* A host of a URL: a name of the DNS, or an IPv4 address. */
static bool
is_host(const char *host)
{
	struct in_addr address;
	const char *label;
	size_t len;
	bool number = false;

	if (strlen(host) >= HOST_LEN - 2)
		return (false);
	for (label = host;; label += len + 1) {
		len = strcspn(label, ".");
		if (len == 0 || len > LABEL_LEN || label[0] == '-' ||
		    label[len - 1] == '-')
			return (false);
		number = strspn(label, "0123456789") >= len;
		if (label[len] == '\0')
			break;
	}
	if (number)
		return (inet_pton(AF_INET, host, &address) == 1);
	for (; *host != '\0'; host++) {
		if (!isalnum((u_char)*host) && *host != '-' && *host != '.')
			return (false);
	}
	return (true);
}

/* What stands between the scheme and the path: host and perhaps a port. */
static const char *
check_authority(const char *text, size_t len)
{
	struct in6_addr address;
	const char *error;
	char buf[HOST_LEN + 16], *host = buf, *port;

	if (len >= sizeof(buf))
		return ("the host is too long");
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (strchr(buf, '@') != NULL)
		return ("a user has no place in it");
	port = strrchr(buf, ':');
	if (port != NULL && strchr(port, ']') != NULL)
		port = NULL;
	if (port != NULL) {
		*port++ = '\0';
		(void)strtonum(port, 1, 65535, &error);
		if (error != NULL || !isdigit((u_char)*port))
			return ("expected a port from 1 to 65535");
	}
	len = strlen(host);
	if (*host == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &address) == 1)
			return (NULL);
	} else if (is_host(host))
		return (NULL);
	return ("expected a host name or an address");
}

static const char *
check_url(const char *url, size_t scheme)
{
	const char *error, *p;
	size_t len;

	if (strlen(url) >= URL_LEN)
		return ("the URL is too long");
	if (strpbrk(url, "?#") != NULL)
		return ("query and fragment have no place in it");
	url += scheme;
	len = strcspn(url, "/");
	error = check_authority(url, len);
	if (error != NULL)
		return (error);
	for (p = url + len; *p != '\0'; p++) {
		if (!isgraph((u_char)*p) || strchr("\"<>\\^`{|}", *p) != NULL)
			return ("a character has no place in a URL");
	}
	return (NULL);
}

const char *
value_https(const char *url)
{
	if (strncmp(url, "https://", 8) != 0)
		return ("expected a URL that begins with https://");
	return (check_url(url, 8));
}

const char *
value_url(const char *url)
{
	if (strncmp(url, "http://", 7) == 0)
		return (check_url(url, 7));
	if (strncmp(url, "https://", 8) == 0)
		return (check_url(url, 8));
	return ("expected a URL that begins with http:// or https://");
}
