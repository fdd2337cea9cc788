/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /run/ksmtuned/guests: what is written is read again, and nothing else is. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/guest-file.h"
#include "made-up-root.h"

static const struct guest_file_entry example[] = {{1, 0}, {4711, 123456}, {INT32_MAX, UINT64_MAX}};
#define N_EXAMPLE ELEMENTS(example)

static const char example_text[] = "# ksmtuned-guests 1 812 3\n1 0\n4711 123456\n"
                                   "2147483647 18446744073709551615\n";

static void test_format(void **unused)
{
        char text[GUEST_FILE_SIZE(N_EXAMPLE)];

        assert_int_equal(guest_file_format(text, sizeof(text), 812, example, N_EXAMPLE),
                         strlen(example_text));
        assert_string_equal(text, example_text);
        assert_int_equal(guest_file_format(text, sizeof(text), 812, NULL, 0), 26);
        assert_string_equal(text, "# ksmtuned-guests 1 812 0\n");
        for (size_t size = 0; size < sizeof(example_text); size++)
                assert_int_equal(guest_file_format(text, size, 812, example, N_EXAMPLE), -EFBIG);
        assert_int_equal(guest_file_format(text, sizeof(example_text), 812, example, N_EXAMPLE),
                         strlen(example_text));
}

/* The longest lines there are fit into what is set aside for them. */
static void test_size(void **unused)
{
        static struct guest_file_entry list[1000];
        static char text[GUEST_FILE_SIZE(ELEMENTS(list))];

        for (size_t i = 0; i < ELEMENTS(list); i++)
                list[i] = (struct guest_file_entry){INT32_MAX - (pid_t)i, UINT64_MAX};
        assert_true(guest_file_format(text, sizeof(text), INT32_MAX, list, ELEMENTS(list)) > 0);
}

static void assert_example(const struct guest_file_entry *list, size_t n)
{
        assert_int_equal(n, N_EXAMPLE);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(list[i].pid, example[i].pid);
                assert_int_equal(list[i].start_time, example[i].start_time);
        }
}

static void test_parse(void **unused)
{
        struct guest_file_entry list[N_EXAMPLE];
        pid_t daemon = 0;
        size_t n = 9;

        assert_int_equal(guest_file_parse(example_text, list, N_EXAMPLE, &daemon, &n), 0);
        assert_int_equal(daemon, 812);
        assert_example(list, n);
        assert_int_equal(guest_file_parse("# ksmtuned-guests 1 5 0\n", NULL, 0, &daemon, &n), 0);
        assert_int_equal(daemon, 5);
        assert_int_equal(n, 0);
}

static void assert_bad(const char *text)
{
        struct guest_file_entry list[N_EXAMPLE];
        pid_t daemon = -7;
        size_t n = 77;

        if (guest_file_parse(text, list, N_EXAMPLE, &daemon, &n) != -EBADMSG)
                fail_msg("was taken: %s", text);
        assert_int_equal(daemon, -7);
        assert_int_equal(n, 77);
}

#define HEADER(n) "# ksmtuned-guests 1 812 " n "\n"

static void test_bad(void **unused)
{
        static const char *const texts[] = {
                "",
                "\n",
                "1 2\n",
                "# ksmtuned-guests 2 812 0\n",
                "# ksmtuned-guests 10 812 0\n",
                "# ksmtuned-guests 1 812\n",
                "# ksmtuned-guests 1 0 0\n",
                "# ksmtuned-guests 1 -1 0\n",
                "# ksmtuned-guests 1 2147483648 0\n",
                "# ksmtuned-guests 1  812 0\n",
                "# ksmtuned-guests 1 812 0 \n",
                "# ksmtuned-guests 1 812 0\r\n",
                "# ksmtuned-guests 1 812 18446744073709551616\n",
                HEADER("4") "1 1\n2 2\n3 3\n4 4\n", /* more than there is room for */
                HEADER("18446744073709551615") "1 1\n",
                HEADER("0") "1 1\n",
                HEADER("2") "1 1\n",
                HEADER("1") "1 1\n\n",
                HEADER("1") "1 1\n2",
                HEADER("1") "0 1\n",
                HEADER("1") "-1 1\n",
                HEADER("1") "+1 1\n",
                HEADER("1") " 1 1\n",
                HEADER("1") "1\t1\n",
                HEADER("1") "1  1\n",
                HEADER("1") "1 1 \n",
                HEADER("1") "1 \n",
                HEADER("1") "1\n",
                HEADER("1") "1 -1\n",
                HEADER("1") "1 0x1\n",
                HEADER("1") "x 1\n",
                HEADER("1") "2147483648 1\n",
                HEADER("1") "4294967297 1\n",
                HEADER("1") "1 18446744073709551616\n",
                HEADER("1") "1 99999999999999999999\n",
                HEADER("2") "2 1\n1 1\n",
                HEADER("2") "1 1\n1 2\n",
                HEADER("2") "2147483647 1\n1 2\n",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++)
                assert_bad(texts[i]);
        for (size_t len = 0; len < strlen(example_text); len++) {
                char *cut = strndup(example_text, len);

                assert_non_null(cut);
                assert_bad(cut);
                free(cut);
        }
}

static void test_files(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct guest_file_entry *list = NULL;
        char *big = malloc(GUEST_FILE_SIZE(GUEST_FILE_MAX));
        pid_t daemon;
        size_t n;

        assert_non_null(big);
        assert_int_equal(guest_file_read(&host->root, &daemon, &list, &n), -ENOENT);
        assert_int_equal(guest_file_remove(&host->root), 0);
        /* /run itself is not made. */
        assert_int_equal(guest_file_write(&host->root, 812, example, N_EXAMPLE), -ENOENT);

        put_folder(host, "/run");
        assert_int_equal(guest_file_write(&host->root, 812, example, N_EXAMPLE), 0);
        assert_file(host, GUEST_FILE_PATH, example_text);
        assert_int_equal(guest_file_read(&host->root, &daemon, &list, &n), 0);
        assert_int_equal(daemon, 812);
        assert_example(list, n);
        free(list);
        list = NULL;

        put_bytes(host, GUEST_FILE_PATH, "# ksmtuned-guests 1 5 0\n\0", 25);
        assert_int_equal(guest_file_read(&host->root, &daemon, &list, &n), -EBADMSG);
        memset(big, '\n', GUEST_FILE_SIZE(GUEST_FILE_MAX));
        put_bytes(host, GUEST_FILE_PATH, big, GUEST_FILE_SIZE(GUEST_FILE_MAX));
        assert_int_equal(guest_file_read(&host->root, &daemon, &list, &n), -EBADMSG);
        put_away(host, GUEST_FILE_PATH);
        put_fifo(host, GUEST_FILE_PATH);
        assert_int_equal(guest_file_read(&host->root, &daemon, &list, &n), -ESPIPE);
        assert_null(list);
        free(big);

        put_mode(host, "/run/ksmtuned", 0555);
        become_ordinary();
        assert_int_equal(guest_file_write(&host->root, 812, example, N_EXAMPLE), -EACCES);
        assert_int_equal(guest_file_remove(&host->root), -EACCES);
        become_self();
        put_mode(host, "/run/ksmtuned", 0755);
        assert_int_equal(guest_file_remove(&host->root), 0);
        assert_int_equal(sysroot_exists(&host->root, GUEST_FILE_PATH), 0);
        assert_int_equal(guest_file_remove(&host->root), 0);
}

static void test_most(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct guest_file_entry *list = calloc(GUEST_FILE_MAX + 1, sizeof(*list)), *read = NULL;
        pid_t daemon;
        size_t n;

        assert_non_null(list);
        put_folder(host, "/run");
        for (size_t i = 0; i <= GUEST_FILE_MAX; i++)
                list[i] = (struct guest_file_entry){2000000000 + (pid_t)i, UINT64_MAX};
        assert_int_equal(guest_file_write(&host->root, 812, list, GUEST_FILE_MAX + 1), -EFBIG);
        assert_int_equal(sysroot_exists(&host->root, GUEST_FILE_PATH), 0);
        assert_int_equal(guest_file_write(&host->root, 812, list, GUEST_FILE_MAX), 0);
        assert_int_equal(guest_file_read(&host->root, &daemon, &read, &n), 0);
        assert_int_equal(n, GUEST_FILE_MAX);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(read[i].pid, list[i].pid);
                assert_int_equal(read[i].start_time, list[i].start_time);
        }
        free(read);
        free(list);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format), cmocka_unit_test(test_size),
                cmocka_unit_test(test_parse),  cmocka_unit_test(test_bad),
                ON_A_HOST(test_files),         ON_A_HOST(test_most),
        };

        return cmocka_run_group_tests_name("guest-file", tests, NULL, NULL);
}
