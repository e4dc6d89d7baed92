// SPDX-License-Identifier: MIT
#include <string.h>

#include "agent.h"

/* The next string of a list, or NULL at its end; a last one without its NUL is none. */
const char *list_next(const char **at, const char *end)
{
	const char *text = *at;
	const char *stop = text < end ? memchr(text, 0, end - text) : NULL;

	if (!stop)
		return NULL;
	*at = stop + 1;
	return text;
}
