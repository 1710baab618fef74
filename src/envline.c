/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The lines of an environment file: KEY=value, perhaps after "export", with
 * the value bare or in quotes.
 */

#include <ctype.h>
#include <string.h>

#include "conf.h"

/*
 * The next line as it stands, without its end, LF or CRLF.  Returns false
 * where there is none.
 */
static bool
read_line(FILE *fp, struct env_line *line)
{
	size_t len = 0;
	int c;

	line->error = NULL;
	line->key = line->value = NULL;
	c = getc(fp);
	if (c == EOF)
		return (false);
	line->number++;
	for (; c != EOF && c != '\n'; c = getc(fp)) {
		if (len == sizeof(line->text) - 1)
			line->error = "the line is too long";
		else
			/* A NUL is no less wrong so, and seen by the check. */
			line->text[len++] = (char)(c == '\0' ? '\1' : c);
	}
	if (len > 0 && line->text[len - 1] == '\r')
		len--;
	line->text[len] = '\0';
	return (true);
}

static char *
skip_blanks(char *p)
{
	return (p + strspn(p, " \t"));
}

/* Behind "export ", where that comes first. */
static char *
skip_export(char *p)
{
	if (strncmp(p, "export", 6) == 0 && (p[6] == ' ' || p[6] == '\t'))
		p = skip_blanks(p + 6);
	return (p);
}

/* Put an end to the value before the white space, and a comment, behind it. */
static void
end_bare(char *value)
{
	char *end = value, *p;

	for (p = value; *p != '\0'; p++) {
		if (*p == ' ' || *p == '\t') {
			if (p[1] == '#')
				break;
		} else
			end = p + 1;
	}
	*end = '\0';
}

/*
 * Take the quotes away.  Between double ones a backslash takes the meaning
 * from \ and "; between single ones it has none.
 */
static void
end_quoted(struct env_line *line)
{
	char quote = *line->value, *from = line->value + 1, *to = line->value;

	while (*from != quote) {
		if (*from == '\0') {
			line->error = "the closing quote is missing";
			return;
		}
		if (quote == '"' && *from == '\\' &&
		    (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	from = skip_blanks(from + 1);
	*to = '\0';
	if (*from != '\0' && *from != '#')
		line->error = "expected nothing behind the closing quote";
}

/* Find key and value. */
static void
split_line(struct env_line *line, char *p)
{
	char *end, *value;

	p = skip_export(p);
	for (end = p; isalnum((u_char)*end) || *end == '_'; end++)
		continue;
	value = skip_blanks(end);
	if (end == p || isdigit((u_char)*p) || *value != '=') {
		if (line->error == NULL)
			line->error = "expected KEY=value";
		return;
	}
	*end = '\0';
	line->key = p;
	p = value + 1;
	line->value = skip_blanks(p);
	if (line->error != NULL)
		return;
	if (*line->value == '"' || *line->value == '\'')
		end_quoted(line);
	else if (*line->value == '#' && line->value > p)
		*line->value = '\0';
	else
		end_bare(line->value);
}

/*
 * Read the next line of an environment file that is neither empty nor a
 * comment.  line->number is 0 before the first one.  line->key and line->value
 * point into line->text, which may hold a secret, so the caller wipes it in
 * the end.  Where line->error is set it says what is wrong, without a word of
 * the line; key is then NULL unless it was understood.  Returns false at the
 * end of the file, and where it cannot be read.
 */
bool
env_line(FILE *fp, struct env_line *line)
{
	char *p;

	while (read_line(fp, line)) {
		p = line->text;
		if (line->number == 1 && strncmp(p, "\xef\xbb\xbf", 3) == 0)
			p += 3; /* what editors put before UTF-8 */
		p = skip_blanks(p);
		if (line->error == NULL && (*p == '\0' || *p == '#'))
			continue;
		if (*p == '#')
			continue; /* a comment, however long */
		split_line(line, p);
		return (true);
	}
	return (false);
}
