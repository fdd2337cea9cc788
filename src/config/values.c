/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define BLANKS          " \t"
#define BLANKS_OR_COMMA " \t,"
#define DIGITS          "0123456789"

int value_integer(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
        const char *p = text + strspn(text, BLANKS);
        long long value;
        size_t digits;
        char *end;

        digits = strspn(p + (*p == '-' || *p == '+'), "0123456789");
        if (digits == 0)
                return -EBADMSG;
        errno = 0;
        value = strtoll(p, &end, 10);
        if (errno != 0 || value < min || value > max)
                return -EBADMSG;
        if (end[strspn(end, BLANKS)] != '\0')
                return -EBADMSG;

        *ret_value = value;
        return 0;
}

int value_decimal(const char *text, int64_t scale, int64_t min, int64_t max, int64_t *ret_parts)
{
        const char *p = text + strspn(text, BLANKS);
        size_t whole = strspn(p, DIGITS),
               fraction = p[whole] == '.' ? strspn(p + whole + 1, DIGITS) : 0;
        int64_t parts = 0;

        if (whole + fraction == 0)
                return -EBADMSG;
        for (size_t i = 0; i < whole; i++)
                if (__builtin_mul_overflow(parts, INT64_C(10), &parts) ||
                    __builtin_add_overflow(parts, (p[i] - '0') * scale, &parts))
                        return -EBADMSG;
        for (size_t i = 1; i <= fraction; i++) {
                scale /= 10;
                if (__builtin_add_overflow(parts, (p[whole + i] - '0') * scale, &parts))
                        return -EBADMSG;
        }
        p += whole + (p[whole] == '.' ? 1 + fraction : 0);
        if (p[strspn(p, BLANKS)] != '\0' || parts < min || parts > max)
                return -EBADMSG;

        *ret_parts = parts;
        return 0;
}

/* Return: seconds in the unit of a suffix, which ends with a blank or the text; 0 for no suffix. */
static unsigned suffix_seconds(const char *suffix, size_t len)
{
        if (len == 0)
                return 1;
        if (len > 1)
                return 0;
        switch (*suffix) {
        case 's':
                return 1;
        case 'm':
                return 60;
        case 'h':
                return 60 * 60;
        case 'd':
                return 24 * 60 * 60;
        default:
                return 0;
        }
}

int value_interval(const char *text, uint64_t min_usec, uint64_t max_usec, uint64_t *ret_usec)
{
        /* Numbers have a point in a file, whatever the locale thinks. */
        locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        const char *p = text + strspn(text, BLANKS);
        double seconds = 0;
        int r = *p ? 0 : -EBADMSG;

        if (!c_locale)
                return -ENOMEM;

        while (*p && r == 0) {
                unsigned unit;
                double number;
                char *end;
                size_t n;

                number = strtod_l(p, &end, c_locale);
                n = strcspn(end, BLANKS);
                unit = suffix_seconds(end, n);
                if (end == p || unit == 0 || isnan(number) || signbit(number))
                        r = -EBADMSG;
                seconds += number * unit;
                p = end + n;
                p += strspn(p, BLANKS);
        }
        freelocale(c_locale);
        if (r < 0)
                return r;

        /* Compared before the conversion, which infinity would not survive. */
        if (seconds > (double)max_usec / 1e6 + 1)
                return -ERANGE;
        uint64_t usec = (uint64_t)(seconds * 1e6 + 0.5);
        if (usec < min_usec || usec > max_usec)
                return -ERANGE;

        *ret_usec = usec;
        return 0;
}

int value_words(const char *text, char ***ret_words)
{
        size_t n = 0, i = 0, len = strlen(text);
        char **words, *copy;

        for (const char *p = text; *(p += strspn(p, BLANKS_OR_COMMA));) {
                p += strcspn(p, BLANKS_OR_COMMA);
                n++;
        }

        /* The words live behind the list of them. */
        words = malloc((n + 1) * sizeof(*words) + len + 1);
        if (!words)
                return -ENOMEM;
        copy = memcpy(words + n + 1, text, len + 1);
        for (char *word; (word = strsep(&copy, BLANKS_OR_COMMA)) != NULL;)
                if (*word)
                        words[i++] = word;
        words[n] = NULL;

        *ret_words = words;
        return (int)n;
}

int value_path(const char *text, char **ret_path)
{
        size_t len = strlen(text);
        char *path;

        if (len > 0 && (text[0] != '/' || text[len - 1] == '/'))
                return -EBADMSG;
        path = strdup(text);
        if (!path)
                return -ENOMEM;

        *ret_path = path;
        return 0;
}

int value_uri(const char *text, char **ret_uri)
{
        char *uri;

        if (*text && (!strstr(text, "://") || strpbrk(text, " \t\r\n")))
                return -EBADMSG;
        uri = strdup(text);
        if (!uri)
                return -ENOMEM;

        *ret_uri = uri;
        return 0;
}

int value_choice(const char *text, const char *const *choices)
{
        const char *p = text + strspn(text, BLANKS);
        size_t len = strcspn(p, BLANKS);

        if (p[len + strspn(p + len, BLANKS)] != '\0')
                return -EBADMSG;
        for (int i = 0; choices[i]; i++)
                if (strlen(choices[i]) == len && memcmp(choices[i], p, len) == 0)
                        return i;

        return -EBADMSG;
}
