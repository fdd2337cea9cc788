/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics-label.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Return: how many bytes the character takes that @p begins with; 0 where it is no UTF-8 (RFC 3629:
 * no overlong forms, no surrogates, nothing above U+10FFFF).
 */
static size_t utf8_length(const unsigned char *p)
{
        static const struct {
                uint8_t from, to, low, high, len; /* of the first byte, of the second, in all */
        } forms[] = {
                {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
                {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
                {0xf4, 0xf4, 0x80, 0x8f, 4},
        };

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                if (*p < forms[i].from || *p > forms[i].to)
                        continue;
                if (forms[i].len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
                        return 0;
                for (size_t k = 2; k < forms[i].len; k++)
                        if (p[k] < 0x80 || p[k] > 0xbf)
                                return 0;
                return forms[i].len;
        }
        return 0;
}

const char *metrics_label(char buf[METRICS_LABEL_SIZE], const char *value)
{
        const unsigned char *p = (const unsigned char *)value;
        size_t len = 0;

        while (*p) {
                size_t n = utf8_length(p), put;
                const char *text = (const char *)p;

                if (n == 0)
                        text = "\xef\xbf\xbd";
                else if (*p == '\\')
                        text = "\\\\";
                else if (*p == '"')
                        text = "\\\"";
                else if (*p == '\n')
                        text = "\\n";
                put = text == (const char *)p ? n : strlen(text);
                if (len + put >= METRICS_LABEL_SIZE)
                        break;
                memcpy(buf + len, text, put);
                len += put;
                p += n > 0 ? n : 1;
        }
        buf[len] = '\0';
        return buf;
}
