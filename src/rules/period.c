/*
 * period.c: times and periods, as the ledger spells them.
 */
#include <string.h>

#include "rules/period.h"

#define SECONDS_PER_DAY 86400

/* Days from 0000-03-01 of the proleptic Gregorian calendar. */
static int64_t
period_days(int64_t year, int month, int day)
{
	int64_t		y = month > 2 ? year : year - 1;
	int64_t		m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
}

/* Digits of that number in text, which has been compared with its form. */
static int
period_digits(const char *text, int count)
{
	int			value = 0;

	for (int i = 0; i < count; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

static bool
period_form(const char *text, const char *form)
{
	if (strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

bool
period_time(const char *text, int64_t *time)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		micro = period_form(text, "0000-00-00T00:00:00.000000Z");
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int64_t		fraction;
	int64_t		of_day;
	bool		leap;

	if (!micro && !period_form(text, "0000-00-00T00:00:00.000Z"))
		return false;
	year = period_digits(text, 4);
	month = period_digits(text + 5, 2);
	day = period_digits(text + 8, 2);
	hour = period_digits(text + 11, 2);
	minute = period_digits(text + 14, 2);
	second = period_digits(text + 17, 2);
	fraction = micro ? period_digits(text + 20, 6) : period_digits(text + 20, 3) * 1000;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_days[month - 1] + (month == 2 && leap) || minute > 59 || second > 60)
		return false;
	of_day = ((hour * INT64_C(60) + minute) * 60 + second) * PERIOD_SECOND + fraction;
	if (of_day > SECONDS_PER_DAY * PERIOD_SECOND)
		return false;
	*time = (period_days(year, month, day) - period_days(2000, 1, 1)) * SECONDS_PER_DAY *
		PERIOD_SECOND + of_day;
	return true;
}

static char *
period_put(char *at, int64_t value, int width, char then)
{
	for (int i = width - 1; i >= 0; i--)
	{
		at[i] = (char) ('0' + value % 10);
		value /= 10;
	}
	at[width] = then;
	return at + width + 1;
}

void
period_time_text(int64_t time, char out[PERIOD_TIME_SIZE])
{
	const int64_t day_micros = SECONDS_PER_DAY * PERIOD_SECOND;
	int64_t		days = time / day_micros;
	int64_t		rest = time % day_micros;
	int64_t		era;
	int64_t		of_era;
	int64_t		year_of_era;
	int64_t		of_year;
	int64_t		month;
	int64_t		year;

	if (rest < 0)
	{
		rest += day_micros;
		days--;
	}
	days += period_days(2000, 1, 1);
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = days - era * 146097;
	year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * of_year + 2) / 153;
	year = year_of_era + era * 400 + (month >= 10);
	if (year < 1)
		year = 1 - year;		/* before Christ, as to_char() has it */
	out = period_put(out, year, 4 + (year > 9999) + (year > 99999), '-');
	out = period_put(out, month < 10 ? month + 3 : month - 9, 2, '-');
	out = period_put(out, of_year - (153 * month + 2) / 5 + 1, 2, 'T');
	out = period_put(out, rest / (3600 * PERIOD_SECOND), 2, ':');
	out = period_put(out, rest / (60 * PERIOD_SECOND) % 60, 2, ':');
	out = period_put(out, rest / PERIOD_SECOND % 60, 2, '.');
	out = period_put(out, rest % PERIOD_SECOND, 6, 'Z');
	*out = '\0';
}

int64_t
period_seconds(int64_t time)
{
	return time / PERIOD_SECOND + PERIOD_EPOCH;
}

int64_t
period_from_seconds(int64_t seconds)
{
	return (seconds - PERIOD_EPOCH) * PERIOD_SECOND;
}

/* What contains nothing is one and the same. */
static Period
period_checked(Period period)
{
	static const Period empty = {.empty = true};

	if (period.has_from && period.has_to &&
		(period.from > period.to ||
		 (period.from == period.to && !(period.from_inclusive && period.to_inclusive))))
		return empty;
	return period;
}

Period
period_between(const int64_t *from, const int64_t *to)
{
	Period		period = {0};

	if (from != NULL)
	{
		period.has_from = period.from_inclusive = true;
		period.from = *from;
	}
	if (to != NULL)
	{
		period.has_to = true;
		period.to = *to;
	}
	return period_checked(period);
}

/* A bound; false if it is none. */
static bool
period_bound(JsonSlice value, bool *there, int64_t *time)
{
	char		text[PERIOD_TIME_SIZE];
	JsonSliceType type = json_slice_type(value);

	*there = type != JSON_SLICE_MISSING && type != JSON_SLICE_NULL;
	return !*there || (type == JSON_SLICE_STRING &&
					   json_slice_string(value, text, sizeof(text)) &&
					   strlen(text) == strlen("0000-00-00T00:00:00.000000Z") &&
					   period_time(text, time));
}

bool
period_read(JsonSlice value, Period *period)
{
	static const Period always = {0};
	JsonSliceType type = json_slice_type(value);
	JsonSliceStep step = {0};
	const char *name;
	JsonSlice	field;
	int64_t		from = 0;
	int64_t		to = 0;
	bool		has_from = false;
	bool		has_to = false;

	*period = always;
	if (type == JSON_SLICE_MISSING || type == JSON_SLICE_NULL)
		return true;
	if (type != JSON_SLICE_OBJECT)
		return false;
	while (json_slice_next(value, &step, &name, &field))
	{
		if (strcmp(name, "from") == 0)
		{
			if (!period_bound(field, &has_from, &from))
				return false;
		}
		else if (strcmp(name, "to") != 0 || !period_bound(field, &has_to, &to))
			return false;
	}
	if (has_from && has_to && from > to)
		return false;
	*period = period_between(has_from ? &from : NULL, has_to ? &to : NULL);
	return true;
}

bool
period_has(const Period *period, int64_t time)
{
	return !period->empty &&
		(!period->has_from || time > period->from ||
		 (time == period->from && period->from_inclusive)) &&
		(!period->has_to || time < period->to || (time == period->to && period->to_inclusive));
}

Period
period_intersect(const Period *a, const Period *b)
{
	Period		both = *a;

	if (a->empty || b->empty)
		return a->empty ? *a : *b;
	if (b->has_from && (!both.has_from || b->from > both.from ||
						(b->from == both.from && !b->from_inclusive)))
	{
		both.has_from = true;
		both.from = b->from;
		both.from_inclusive = b->from_inclusive;
	}
	if (b->has_to && (!both.has_to || b->to < both.to ||
					  (b->to == both.to && !b->to_inclusive)))
	{
		both.has_to = true;
		both.to = b->to;
		both.to_inclusive = b->to_inclusive;
	}
	return period_checked(both);
}

char *
period_text(Pool *pool, const Period *period)
{
	char		from[PERIOD_TIME_SIZE] = "";
	char		to[PERIOD_TIME_SIZE] = "";

	if (period->empty)
		return pool_text(pool, "empty");
	if (period->has_from)
		period_time_text(period->from, from);
	if (period->has_to)
		period_time_text(period->to, to);
	return pool_format(pool, "%c%s,%s%c", period->from_inclusive ? '[' : '(', from, to,
					   period->to_inclusive ? ']' : ')');
}
