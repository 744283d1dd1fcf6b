/*
 * table.c: texts in aligned columns, for people at a terminal.
 */
#include <stdio.h>
#include <string.h>

#include "table.h"

/* The character at a place, and how many bytes it has; what is no UTF-8 is taken byte by byte. */
static uint32_t
table_character(const char *at, size_t *len)
{
	const unsigned char *bytes = (const unsigned char *) at;
	size_t		n = bytes[0] < 0x80 ? 1 : bytes[0] < 0xc2 ? 0 : bytes[0] < 0xe0 ? 2 :
	bytes[0] < 0xf0 ? 3 : bytes[0] < 0xf5 ? 4 : 0;
	uint32_t	code = n == 1 ? bytes[0] : n == 2 ? bytes[0] & 0x1f : n == 3 ? bytes[0] & 0x0f :
	bytes[0] & 0x07;

	for (size_t i = 1; i < n; i++)
	{
		if ((bytes[i] & 0xc0) != 0x80)
			n = 0;
		else
			code = code << 6 | (bytes[i] & 0x3f);
	}
	*len = n > 0 ? n : 1;
	return n > 0 ? code : UINT32_MAX;
}

static bool
table_in(uint32_t code, uint32_t first, uint32_t last)
{
	return code >= first && code <= last;
}

/* Controls, marks of direction, what separates lines, and what cannot be seen at all. */
static bool
table_is_harmful(uint32_t code)
{
	return code < 0x20 || table_in(code, 0x7f, 0x9f) || code == 0x61c ||
		table_in(code, 0x200b, 0x200f) || table_in(code, 0x2028, 0x202e) ||
		table_in(code, 0x2060, 0x206f) || code == 0xfeff || table_in(code, 0xfff9, 0xfffb) ||
		table_in(code, 0xe0000, 0xe0fff) || code == UINT32_MAX;
}

/* How many columns of a terminal it takes, where that matters often. */
static size_t
table_columns(uint32_t code)
{
	if (table_in(code, 0x300, 0x36f))
		return 0;
	return table_in(code, 0x1100, 0x115f) || table_in(code, 0x2e80, 0xa4cf) ||
		table_in(code, 0xac00, 0xd7a3) || table_in(code, 0xf900, 0xfaff) ||
		table_in(code, 0xfe30, 0xfe6f) || table_in(code, 0xff00, 0xff60) ||
		table_in(code, 0xffe0, 0xffe6) || table_in(code, 0x1f300, 0x1faff) ||
		table_in(code, 0x20000, 0x3fffd) ? 2 : 1;
}

static size_t
table_width(const char *text)
{
	size_t		width = 0;
	size_t		len;

	for (; *text != '\0'; text += len)
		width += table_columns(table_character(text, &len));
	return width;
}

const char *
table_text(Pool *pool, const char *text)
{
	PoolText	out;
	size_t		len;

	pool_text_begin(&out, pool);
	for (; text != NULL && *text != '\0'; text += len)
	{
		uint32_t	code = table_character(text, &len);

		if (code == '\\')
			pool_text_puts(&out, "\\\\");
		else if (code == '\n')
			pool_text_puts(&out, "\\n");
		else if (code == '\t')
			pool_text_puts(&out, "\\t");
		else if (!table_is_harmful(code))
			pool_text_add(&out, text, len);
		else
			for (size_t i = 0; i < len; i++)
				pool_text_puts(&out, pool_format(pool, "\\x%02x", (unsigned char) text[i]));
	}
	return out.data;
}

static void
table_row(Table *table, const char *const *cells)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		const char *cell = table_text(table->pool, cells[i]);
		size_t		width = table_width(cell);

		if (width > table->widths[i])
			table->widths[i] = width;
		table->cells = pool_grow(table->pool, table->cells, table->ncells, sizeof(char *));
		table->cells[table->ncells++] = cell;
	}
}

void
table_begin(Table *table, const char *const *headers)
{
	memset(table, 0, sizeof(*table));
	table->pool = pool_new();
	while (headers[table->ncolumns] != NULL)
		table->ncolumns++;
	table_row(table, headers);
}

void
table_add(Table *table, const char *const *cells)
{
	table_row(table, cells);
	table->nrows++;
}

/* Columns that are empty in all rows are left out, and nothing is put behind the last cell. */
static void
table_write(const Table *table, const char *const *cells, const bool *used)
{
	size_t		owed = 2;

	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!used[i])
			continue;
		if (cells[i][0] != '\0')
		{
			printf("%*s%s", (int) owed, "", cells[i]);
			owed = table->widths[i] - table_width(cells[i]) + 2;
		}
		else
			owed += table->widths[i] + 2;
	}
	putchar('\n');
}

void
table_end(Table *table)
{
	bool		used[TABLE_COLUMNS_MAX] = {false};

	for (size_t i = (size_t) table->ncolumns; i < table->ncells; i++)
		if (table->cells[i][0] != '\0')
			used[i % (size_t) table->ncolumns] = true;
	for (size_t i = 0; i < table->ncells && table->nrows > 0; i += (size_t) table->ncolumns)
		table_write(table, table->cells + i, used);
	pool_free(table->pool);
}
