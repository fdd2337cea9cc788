/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * inih parses, but it never sees the file's own lines. As distributions ship it, it splits lines
 * after 199 bytes and takes the rest for a new line, takes an indented line for a further value
 * of the key before, ends keys at ':' and values at ';', and keeps quotes. So each line is read by
 * shell-line.c first and then told to inih in words that it cannot misunderstand:
 *
 *      KEY=+first%20piece      more of the value follows
 *      KEY=.last%20piece       the value ends here
 *
 * Letters, digits and '_' of a value stand for themselves, any other byte is %XX. The handler
 * joins the pieces. inih asks for a line only when it is done with the one before, so the line
 * number of the assignment in hand is always the current one.
 */

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/reader.h"
#include "shell-line.h"

/* Bytes of a value in one of inih's lines. The longest line: 64 + 2 + 3 × 32 + 1, under 199. */
#define PIECE_BYTES 32

struct feed {
        const char *at, *end; /* what is left of the text */
        unsigned line_number; /* of the line in hand */
        struct shell_line line;

        struct shell_assignment given; /* what is being told to inih */
        size_t told;                   /* bytes of its value that inih has been told */
        bool telling;

        char value[READER_LINE_MAX + 1]; /* what came back from inih */
        size_t value_len;

        reader_fn fn;
        void *userdata;
        struct reader_error error;
        int result;
};

static int feed_refuse(struct feed *feed, const char *text)
{
        (void)snprintf(feed->error.text, sizeof(feed->error.text), "%s", text);
        return -EBADMSG;
}

/* Takes the next line of the text in hand, once it is known to be good as a whole. */
static int next_line(struct feed *feed)
{
        const char *newline = memchr(feed->at, '\n', (size_t)(feed->end - feed->at));
        const char *line_end = newline ? newline : feed->end;
        struct shell_line line;
        size_t len;
        int r;

        if (line_end > feed->at && line_end[-1] == '\r')
                len = (size_t)(line_end - 1 - feed->at);
        else
                len = (size_t)(line_end - feed->at);
        feed->line_number++;
        line = feed->line = shell_line(feed->at, len);
        feed->at = newline ? newline + 1 : feed->end;

        if (memchr(line.at, '\0', len))
                return feed_refuse(feed, "a NUL byte: this is no text file");
        if (len > READER_LINE_MAX)
                return feed_refuse(feed, "a line of more than 4096 bytes");
        do {
                r = shell_line_next(&line, &feed->given, &feed->error);
        } while (r > 0);

        return r;
}

/* Return: 1 with an assignment to tell; 0 at the end of the text; -EBADMSG. */
static int next_assignment(struct feed *feed)
{
        for (;;) {
                int r = shell_line_next(&feed->line, &feed->given, &feed->error);

                if (r != 0)
                        return r;
                if (feed->at == feed->end)
                        return 0;
                r = next_line(feed);
                if (r < 0)
                        return r;
        }
}

static char *encode(char *out, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            c == '_') {
                *out++ = (char)c;
        } else {
                *out++ = '%';
                *out++ = hex[c >> 4];
                *out++ = hex[c & 15];
        }
        return out;
}

static int tell_piece(struct feed *feed, char *out, size_t size)
{
        const struct shell_assignment *given = &feed->given;
        size_t n = given->value_len - feed->told, key_len = strlen(given->key);
        bool last = n <= PIECE_BYTES;

        if (!last)
                n = PIECE_BYTES;
        if (size < key_len + strlen("=+\r\n") + 3 * n + 1)
                return feed_refuse(feed, "inih's lines are too short");

        memcpy(out, given->key, key_len);
        out += key_len;
        *out++ = '=';
        *out++ = last ? '.' : '+';
        for (size_t i = 0; i < n; i++)
                out = encode(out, (unsigned char)given->value[feed->told + i]);
        memcpy(out, "\n", 2);

        feed->told += n;
        feed->telling = !last;
        return 0;
}

/* What inih calls for a line, in the way of fgets(). */
static char *feed_line(char *buf, int size, void *stream)
{
        struct feed *feed = stream;
        int r = feed->result;

        if (r < 0)
                return NULL;

        if (!feed->telling) {
                r = next_assignment(feed);
                if (r > 0) {
                        feed->telling = true;
                        feed->told = 0;
                        feed->value_len = 0;
                }
        }
        if (feed->telling)
                r = tell_piece(feed, buf, size > 0 ? (size_t)size : 0);
        else if (r == 0)
                return NULL;
        if (r < 0) {
                feed->result = r;
                return NULL;
        }

        return buf;
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -EBADMSG;
}

/* Return: 1 if the piece is the last one; 0; -EBADMSG if it is none of ours. */
static int join_piece(struct feed *feed, const char *piece)
{
        bool last = *piece == '.';

        if (!last && *piece != '+')
                return -EBADMSG;

        for (const char *p = piece + 1; *p;) {
                char c = *p++;

                if (c == '%') {
                        int high = hex_value(p[0]);
                        int low = high < 0 ? high : hex_value(p[1]);

                        if (low < 0)
                                return low;
                        c = (char)(high << 4 | low);
                        p += 2;
                }
                if (feed->value_len == READER_LINE_MAX)
                        return -EBADMSG;
                feed->value[feed->value_len++] = c;
        }
        feed->value[feed->value_len] = '\0';

        return last;
}

/* What inih calls for each KEY=VALUE. Return: 0 on error, as inih has it. */
static int take_assignment(void *userdata, const char *section, const char *key, const char *value)
{
        struct feed *feed = userdata;
        int r;

        if (feed->result < 0)
                return 0;

        r = *section || !value ? -EBADMSG : join_piece(feed, value);
        if (r < 0)
                (void)feed_refuse(feed, "inih took the line for something else");
        if (r > 0)
                r = feed->fn(feed->userdata, feed->line_number, key, feed->value);
        if (r < 0)
                feed->result = r;

        return r >= 0;
}

int reader_parse(const char *text, size_t len, reader_fn fn, void *userdata,
                 struct reader_error *ret_error)
{
        static const char bom[] = {'\xef', '\xbb', '\xbf'};
        struct feed feed;
        int r;

        if (len >= sizeof(bom) && memcmp(text, bom, sizeof(bom)) == 0) {
                text += sizeof(bom);
                len -= sizeof(bom);
        }

        /* Field by field: the buffers need no zeros. */
        feed.at = text;
        feed.end = text + len;
        feed.line_number = 0;
        feed.line = shell_line(text, 0);
        feed.telling = false;
        feed.fn = fn;
        feed.userdata = userdata;
        feed.error.text[0] = '\0';
        feed.result = 0;

        r = ini_parse_stream(feed_line, &feed, take_assignment, &feed);
        if (r != 0 && feed.result == 0)
                feed.result = r == -2 ? -ENOMEM : feed_refuse(&feed, "inih refused the line");
        if (feed.result == -EBADMSG && feed.error.text[0]) {
                feed.error.line = feed.line_number;
                *ret_error = feed.error;
        }

        return feed.result;
}
