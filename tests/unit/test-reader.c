/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Shell lines: what is read from them, what is refused and where, and that a shell agrees. */

#include <errno.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "reader-help.h"

/* --- Good texts ------------------------------------------------------------------------------ */

struct expected {
        unsigned line;
        const char *key, *value;
};

struct good {
        const char *name, *text;
        bool no_shell; /* a shell reads it otherwise, and on purpose */
        struct expected expected[4];
};

/* clang-format off */
static const struct good goods[] = {
        {"nothing at all", "", false, {{0}}},
        {"plain", "A=1\n", false, {{1, "A", "1"}}},
        {"no newline at the end", "A=1", false, {{1, "A", "1"}}},
        {"empty value", "A=\n", false, {{1, "A", ""}}},
        {"empty value at the end", "A=", false, {{1, "A", ""}}},
        {"empty in double quotes", "A=\"\"\n", false, {{1, "A", ""}}},
        {"empty in single quotes", "A=''\n", false, {{1, "A", ""}}},
        {"key of all kinds of characters", "_aZ09=x\n", false, {{1, "_aZ09", "x"}}},
        {"blank lines count", "\n\n  \n\t\nA=1\n\nB=2\n", false, {{5, "A", "1"}, {7, "B", "2"}}},
        {"blanks before and behind", " \t A=1 \t \n", false, {{1, "A", "1"}}},
        {"indented line is a key of its own", "A=1\n  B=2\n", false, {{1, "A", "1"}, {2, "B", "2"}}},
        {"export", "export A=1\n", false, {{1, "A", "1"}}},
        {"export with tabs", "\texport\t \tA=1\n", false, {{1, "A", "1"}}},
        {"export of two", "export A=1 B=2\n", false, {{1, "A", "1"}, {1, "B", "2"}}},
        {"key that starts like export", "exported=1\n", false, {{1, "exported", "1"}}},
        {"key called export", "export=1\n", false, {{1, "export", "1"}}},
        {"two on a line", "A=1 B='2 3'\n", false, {{1, "A", "1"}, {1, "B", "2 3"}}},
        {"two on a line, the first empty", "A= B=2\n", false, {{1, "A", ""}, {1, "B", "2"}}},
        {"same key twice", "A=1\nA=2\n", false, {{1, "A", "1"}, {2, "A", "2"}}},
        {"comment", "# A=0\nA=1\n", false, {{2, "A", "1"}}},
        {"comment with everything in it", "# $ ` ' \" ; ( [x] \\\nA=1\n", false, {{2, "A", "1"}}},
        {"indented comment", " \t# x\nA=1\n", false, {{2, "A", "1"}}},
        {"comment behind a value", "A=1 # x 'y\n", false, {{1, "A", "1"}}},
        {"comment behind a tab", "A=1\t#x\n", false, {{1, "A", "1"}}},
        {"comment behind an empty value", "A= # x\n", false, {{1, "A", ""}}},
        {"hash in a value", "A=a#b#\n", false, {{1, "A", "a#b#"}}},
        {"hash starts a value", "A=#b\n", false, {{1, "A", "#b"}}},
        {"hash behind a quote", "A='a'#b\n", false, {{1, "A", "a#b"}}},
        {"hash in quotes", "A=' # b'\n", false, {{1, "A", " # b"}}},
        {"comment at the end without newline", "A=1\n#", false, {{1, "A", "1"}}},
        {"DOS lines", "A=1\r\n\r\n# x\r\nB='2 '\r\nC=\r\n", true,
         {{1, "A", "1"}, {4, "B", "2 "}, {5, "C", ""}}},
        {"DOS line without its newline", "A=1\r", true, {{1, "A", "1"}}},
        {"byte order mark", "\xef\xbb\xbf""A=1\n", true, {{1, "A", "1"}}},
        {"byte order mark and a comment", "\xef\xbb\xbf# x\nA=1\n", true, {{2, "A", "1"}}},
        {"single quotes keep everything", "A='$x `y` \"z\" \\ ;#'\n", false, {{1, "A", "$x `y` \"z\" \\ ;#"}}},
        {"double quotes keep nearly everything", "A=\"a 'b' ;&|<>() #~*\"\n", false, {{1, "A", "a 'b' ;&|<>() #~*"}}},
        {"backslashes in double quotes", "A=\"\\\" \\\\ \\$ \\` \\a \\ \\n\"\n", false, {{1, "A", "\" \\ $ ` \\a \\ \\n"}}},
        {"backslashes in single quotes", "A='\\\\ \\a'\n", false, {{1, "A", "\\\\ \\a"}}},
        {"bare backslashes", "A=a\\ b\\\\c\\$d\\;e\\'f\\\"g\\h\n", false, {{1, "A", "a b\\c$d;e'f\"gh"}}},
        {"backslash before the first character", "A=\\#x\n", false, {{1, "A", "#x"}}},
        {"parts in a row", "A=a'b c'\"d e\"f\\ g\n", false, {{1, "A", "ab cd ef g"}}},
        {"blanks in quotes survive", "A='  a\t  b  '\n", false, {{1, "A", "  a\t  b  "}}},
        {"only blanks in quotes", "A='   '\n", false, {{1, "A", "   "}}},
        {"colon and equals sign in a value", "A=a:b=c\n", false, {{1, "A", "a:b=c"}}},
        {"semicolon in quotes", "A='a ;b; c'\n", false, {{1, "A", "a ;b; c"}}},
        {"value like a section", "A=[x]\n", false, {{1, "A", "[x]"}}},
        {"value like our own encoding", "A=+%20.%\n", false, {{1, "A", "+%20.%"}}},
        {"globs and braces stay", "A=qemu-*,k?m,[a-z],{b,c}\n", false, {{1, "A", "qemu-*,k?m,[a-z],{b,c}"}}},
        {"tilde in the middle", "A=a~ B=x/~\n", false, {{1, "A", "a~"}, {1, "B", "x/~"}}},
        {"tilde in quotes", "A='~' B=\\~ C=\"~\"\n", false, {{1, "A", "~"}, {1, "B", "~"}, {1, "C", "~"}}},
        {"exclamation mark and the like", "A=!%^*?@-+.,/:\n", false, {{1, "A", "!%^*?@-+.,/:"}}},
        {"bytes over 127", "A=\xc3\xa4 B='\xff\x80'\n", false, {{1, "A", "\xc3\xa4"}, {1, "B", "\xff\x80"}}},
        {"Latin-1 in a comment", "# \xe4\nA=1\n", false, {{2, "A", "1"}}},
        {"form feed in a comment", "# \f\nA=1\n", false, {{2, "A", "1"}}},
        {"33 bytes, one over a piece", "A=012345678901234567890123456789012\n", false,
         {{1, "A", "012345678901234567890123456789012"}}},
        {"32 bytes, one piece", "A=01234567890123456789012345678901\n", false,
         {{1, "A", "01234567890123456789012345678901"}}},
        {"64 characters of a key",
         "K234567890123456789012345678901234567890123456789012345678901234=x\n", false,
         {{1, "K234567890123456789012345678901234567890123456789012345678901234", "x"}}},
};
/* clang-format on */

static void test_good(void **state)
{
        const struct good *good = *state;
        struct taken taken = {0};
        struct reader_error error = {.line = 4711};
        unsigned n = 0;
        int r = reader_parse(good->text, strlen(good->text), take, &taken, &error);

        if (r < 0)
                print_error("line %u: %s\n", error.line, error.text);
        assert_int_equal(r, 0);
        assert_int_equal(error.line, 4711);
        while (n < ELEMENTS(good->expected) && good->expected[n].key)
                n++;
        assert_int_equal(taken.n, n);
        for (unsigned i = 0; i < n; i++) {
                assert_int_equal(taken.lines[i], good->expected[i].line);
                assert_string_equal(taken.keys[i], good->expected[i].key);
                assert_string_equal(taken.values[i], good->expected[i].value);
        }
}

/* What the shell has in @key after it has read @text. */
static void ask_shell(const char *text, const char *key, char *value, size_t size)
{
        char script[2 * READER_LINE_MAX];
        char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
        posix_spawn_file_actions_t actions;
        int pipe_fds[2], status;
        size_t n = 0;
        ssize_t got;
        pid_t pid;

        (void)snprintf(script, sizeof(script), "%s\nprintf '%%s.' \"$%s\"", text, key);
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1), 0);
        assert_int_equal(posix_spawn_file_actions_addclose(&actions, pipe_fds[0]), 0);
        assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)close(pipe_fds[1]);
        while ((got = read(pipe_fds[0], value + n, size - 1 - n)) > 0)
                n += (size_t)got;
        (void)close(pipe_fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);

        /* The full stop is there to be sure that the end was reached. */
        assert_true(n > 0 && value[n - 1] == '.');
        value[n - 1] = '\0';
}

static void test_shell_agrees(void **state)
{
        const struct good *good = *state;
        struct taken taken = {0};
        struct reader_error error;
        char value[READER_LINE_MAX + 2];

        assert_int_equal(reader_parse(good->text, strlen(good->text), take, &taken, &error), 0);
        for (unsigned i = 0; i < taken.n; i++) {
                /* The last assignment of a key counts. */
                unsigned last = i;

                for (unsigned j = i; j < taken.n; j++)
                        if (strcmp(taken.keys[j], taken.keys[i]) == 0)
                                last = j;
                ask_shell(good->text, taken.keys[i], value, sizeof(value));
                assert_string_equal(taken.values[last], value);
        }
}

/* --- Bad texts ------------------------------------------------------------------------------- */

struct bad {
        const char *name, *text;
        unsigned line;       /* that the error must name */
        unsigned n;          /* assignments passed on before */
        const char *excerpt; /* of the message */
};

/* clang-format off */
static const struct bad bads[] = {
        {"variable", "A=1\nB=$HOME\n", 2, 1, "'$'"},
        {"variable in double quotes", "\nA=\"x $HOME\"\n", 2, 0, "'$'"},
        {"command", "A=$(id)\n", 1, 0, "'$'"},
        {"quote of the dollar kind", "A=$'x'\n", 1, 0, "'$'"},
        {"lone dollar", "A=100$\n", 1, 0, "'$'"},
        {"backticks", "#\n\nA=`id`\n", 3, 0, "'`'"},
        {"backticks in double quotes", "A=\"`id`\"\n", 1, 0, "'`'"},
        {"section", "A=1\n[global]\nB=2\n", 2, 1, "sections"},
        {"indented section", "  [global]\n", 1, 0, "sections"},
        {"section without an end", "[global\n", 1, 0, "sections"},
        {"spaces around the equals sign", "A=1\n\nFOO = 1\n", 3, 1, "a space before '='"},
        {"space before the equals sign", "FOO =1\n", 1, 0, "a space before '='"},
        {"space behind the equals sign", "FOO= 1\n", 1, 0, "a space after '='"},
        {"colon in a key", "FOO:BAR=1\n", 1, 0, "'FOO:BAR=1' is no assignment"},
        {"colon instead of the equals sign", "FOO: 1\n", 1, 0, "'FOO:' is no assignment"},
        {"key that starts with a digit", "1A=1\n", 1, 0, "'1A=1' is no assignment"},
        {"key with a hyphen", "A-B=1\n", 1, 0, "'A-B=1' is no assignment"},
        {"key with a dot", "a.b=1\n", 1, 0, "'a.b=1' is no assignment"},
        {"key with a quote", "'A'=1\n", 1, 0, "is no assignment"},
        {"key that is not ASCII", "\xc3\xa4=1\n", 1, 0, "'\?\?=1' is no assignment"},
        {"no key", "=1\n", 1, 0, "'=1' is no assignment"},
        {"addition", "A+=1\n", 1, 0, "'A+=1' is no assignment"},
        {"array element", "A[0]=1\n", 1, 0, "is no assignment"},
        {"array", "A=(1 2)\n", 1, 0, "'('"},
        {"word", "hello\n", 1, 0, "'hello' is no assignment"},
        {"word behind a value", "A=1\nKSM_VM_MATCH=qemu-kvm, kvm\n", 2, 1, "'kvm' is no assignment"},
        {"word behind an assignment of the same line", "A=1 B\n", 1, 0, "'B' is no assignment"},
        {"export alone", "export\n", 1, 0, "export alone"},
        {"export and a comment", "export # A=1\n", 1, 0, "export alone"},
        {"export without a value", "\nexport A\n", 2, 0, "'export A' has no value"},
        {"export with an option", "export -n A=1\n", 1, 0, "'-n' is no assignment"},
        {"export behind an assignment", "A=1 export B=2\n", 1, 0, "'export' is no assignment"},
        {"export twice", "export export A=1\n", 1, 0, "'export export' has no value"},
        {"unset", "A=1\nunset A\n", 2, 1, "'unset' is no assignment"},
        {"readonly", "readonly A=1\n", 1, 0, "'readonly' is no assignment"},
        {"declare", "declare A=1\n", 1, 0, "'declare' is no assignment"},
        {"source", ". /etc/default/x\n", 1, 0, "'.' is no assignment"},
        {"if", "if true; then\n", 1, 0, "'if' is no assignment"},
        {"semicolon", "A=1\nB=1; C=2\n", 2, 1, "';'"},
        {"ampersand", "A=1&\n", 1, 0, "'&'"},
        {"pipe", "A=a|b\n", 1, 0, "'|'"},
        {"less than", "A=<b\n", 1, 0, "'<'"},
        {"greater than", "A=b>c\n", 1, 0, "'>'"},
        {"opening parenthesis", "A=a(b\n", 1, 0, "'('"},
        {"closing parenthesis", "A=b)\n", 1, 0, "')'"},
        {"tilde", "A=~/x\n", 1, 0, "'~'"},
        {"tilde behind a colon", "A=/x:~root\n", 1, 0, "'~'"},
        {"open single quote", "A='x\nB=y'\n", 1, 0, "' is not closed"},
        {"open double quote", "\nA=\"x\nB=y\"\n", 2, 0, "\" is not closed"},
        {"open double quote behind a backslash", "A=\"x\\\"\n", 1, 0, "\" is not closed"},
        {"open quote at the end of the text", "A='", 1, 0, "' is not closed"},
        {"continued line", "A=1\\\n2\n", 1, 0, "backslash at the end"},
        {"backslash at the end of the text", "A=\\", 1, 0, "backslash at the end"},
        {"continued line of DOS", "A=1\\\r\n2\n", 1, 0, "backslash at the end"},
        {"lines of old Macs", "A=1\rB=2\r", 1, 0, "0x0d"},
        {"escape character", "A=1\nB=\x1b[1m\n", 2, 1, "0x1b"},
        {"control character in quotes", "A='\x01'\n", 1, 0, "0x01"},
        {"control character behind a backslash", "A=\\\x07\n", 1, 0, "0x07"},
        {"delete character", "A=\"\x7f\"\n", 1, 0, "0x7f"},
        {"byte order mark further down", "A=1\n\xef\xbb\xbf""B=2\n", 2, 1, "is no assignment"},
        {"half a byte order mark", "\xef\xbb""A=2\n", 1, 0, "is no assignment"},
        {"65 characters of a key",
         "K2345678901234567890123456789012345678901234567890123456789012345=x\n", 1, 0, "64 characters"},
        {"line number far down", "A=1\n\n#\n\n\r\n#\n   \nB=2 # x\n\n$\n", 10, 2, "'$'"},
        {"long word is cut", "0123456789012345678901234567890123456789abc\n", 1, 0,
         "'0123456789012345678901234567890123456789...'"},
};
/* clang-format on */

static void test_bad(void **state)
{
        const struct bad *bad = *state;
        struct taken taken = {0};
        struct reader_error error = {0};

        assert_int_equal(reader_parse(bad->text, strlen(bad->text), take, &taken, &error),
                         -EBADMSG);
        assert_int_equal(error.line, bad->line);
        assert_int_equal(taken.n, bad->n);
        if (!strstr(error.text, bad->excerpt))
                fail_msg("\"%s\" is not in \"%s\"", bad->excerpt, error.text);
        /* Fit for a log: one line of printable characters. */
        for (const char *p = error.text; *p; p++)
                assert_true(*p >= ' ' && *p <= '~');
        assert_true(strlen(error.text) < sizeof(error.text) - 1);
}

int main(void)
{
        struct CMUnitTest tests[2 * ELEMENTS(goods) + ELEMENTS(bads)];
        char names[2 * ELEMENTS(goods) + ELEMENTS(bads)][80];
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(goods); i++) {
                (void)snprintf(names[n], sizeof(names[n]), "good: %s", goods[i].name);
                tests[n] = (struct CMUnitTest){names[n], test_good, NULL, NULL, (void *)&goods[i]};
                n++;
                if (goods[i].no_shell || !goods[i].expected[0].key)
                        continue;
                (void)snprintf(names[n], sizeof(names[n]), "shell agrees: %s", goods[i].name);
                tests[n] = (struct CMUnitTest){names[n], test_shell_agrees, NULL, NULL,
                                               (void *)&goods[i]};
                n++;
        }
        for (size_t i = 0; i < ELEMENTS(bads); i++) {
                (void)snprintf(names[n], sizeof(names[n]), "bad: %s", bads[i].name);
                tests[n] = (struct CMUnitTest){names[n], test_bad, NULL, NULL, (void *)&bads[i]};
                n++;
        }

        return _cmocka_run_group_tests("reader", tests, n, NULL, NULL);
}
