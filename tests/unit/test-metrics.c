/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The text for Prometheus: what stands in it, what is left out, and that it stays within bounds. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/decision.h"
#include "ksmtuned/metrics.h"
#include "ksmtuned/sample.h"
#include "made-up-root.h"
#include "src/report/metrics-label.h"

#define CROWD 300

static const struct metrics_trigger triggers[] = {{"start", 1}, {"timer", 41}};

static struct metrics example(void)
{
        struct metrics metrics;

        metrics_init(&metrics);
        metrics.version = "0.1.0";
        metrics.policy = "classic";
        metrics.phase = "boost";
        metrics.dry_run = 0;
        metrics.ksm_wanted = 1;
        metrics.libvirt_connected = 1;
        metrics.threshold_kb = 3355443;
        metrics.free_kb = 1000000;
        metrics.committed_kb = 14000000;
        metrics.available_kb = 1200000;
        metrics.saved_bytes = INT64_C(2000000000);
        metrics.ksmd_cpu_nsec = INT64_C(12034567890);
        metrics.own_cpu_nsec = 5;
        metrics.start_usec = INT64_C(1790000000000001);
        metrics.decision_usec = INT64_C(1790000060500000);
        metrics.interval_usec = 60000000;
        metrics.counters = (struct metrics_counters){
                .failed_decisions = 1,
                .knob_write_failures = 2,
                .foreign_writes = 3,
                .guest_starts = 4,
                .guest_ends = 5,
                .smart = {6, 7, 8000000000},
                .full = {9, 10, 1},
        };
        metrics.triggers = triggers;
        metrics.n_triggers = ELEMENTS(triggers);
        metrics.max_guests = 50;
        return metrics;
}

/* The text, in memory that the caller frees. */
static char *format(const struct metrics *metrics)
{
        char *text = malloc(METRICS_SIZE_MAX);
        ssize_t len;

        assert_non_null(text);
        memset(text, 'x', METRICS_SIZE_MAX);
        len = metrics_format(metrics, text, METRICS_SIZE_MAX);
        assert_true(len > 0 && len < METRICS_SIZE_MAX);
        assert_int_equal(strlen(text), len);
        assert_int_equal(text[len - 1], '\n');
        return text;
}

/* How many lines begin with @start. */
static size_t count(const char *text, const char *start)
{
        size_t n = strncmp(text, start, strlen(start)) == 0;

        for (const char *p = text; (p = strchr(p, '\n')); p++)
                n += strncmp(p + 1, start, strlen(start)) == 0;
        return n;
}

static void assert_line(const char *text, const char *line)
{
        char wanted[512];

        (void)snprintf(wanted, sizeof(wanted), "%s\n", line);
        if (count(text, wanted) != 1)
                fail_msg("not once in the text: %s\n%s", line, text);
}

static void test_lines(void **state)
{
        static const char *const lines[] = {
                "# HELP ksmtuned_build_info Version of the daemon; always 1.",
                "# TYPE ksmtuned_build_info gauge",
                "ksmtuned_build_info{version=\"0.1.0\"} 1",
                "ksmtuned_policy_info{policy=\"classic\"} 1",
                "ksmtuned_phase{phase=\"boost\"} 1",
                "ksmtuned_phase{phase=\"off\"} 0",
                "ksmtuned_dry_run 0",
                "ksmtuned_ksm_wanted 1",
                "ksmtuned_libvirt_connected 1",
                "ksmtuned_start_time_seconds 1790000000.000001",
                "ksmtuned_last_decision_timestamp_seconds 1790000060.500000",
                "ksmtuned_decision_interval_seconds 60.000000",
                "ksmtuned_memory_threshold_bytes 3435973632",
                "ksmtuned_memory_free_bytes 1024000000",
                "ksmtuned_memory_committed_bytes 14336000000",
                /* 1200000 kB less what is saved: below 0. */
                "ksmtuned_memory_unmerged_available_bytes -771200000",
                "ksmtuned_saved_bytes 2000000000",
                "# TYPE ksmtuned_ksmd_cpu_seconds_total counter",
                "ksmtuned_ksmd_cpu_seconds_total 12.034567890",
                "ksmtuned_process_cpu_seconds_total 0.000000005",
                "ksmtuned_failed_decisions_total 1",
                "ksmtuned_knob_write_failures_total 2",
                "ksmtuned_foreign_writes_total 3",
                "ksmtuned_guest_starts_total 4",
                "ksmtuned_guest_ends_total 5",
                "ksmtuned_decisions_total{trigger=\"start\"} 1",
                "ksmtuned_decisions_total{trigger=\"timer\"} 41",
                "ksmtuned_passes_total{kind=\"smart\"} 6",
                "ksmtuned_pass_merged_pages_total{kind=\"smart\"} 7",
                "ksmtuned_pass_cpu_seconds_total{kind=\"smart\"} 8.000000000",
                "ksmtuned_passes_total{kind=\"full\"} 9",
                "ksmtuned_pass_merged_pages_total{kind=\"full\"} 10",
                "ksmtuned_pass_cpu_seconds_total{kind=\"full\"} 0.000000001",
                "ksmtuned_guests{mergeable=\"yes\"} 0",
                "ksmtuned_guests_untold 0",
        };
        const struct metrics metrics = example();
        CLEANUP_FREE char *text = format(&metrics);

        for (size_t i = 0; i < ELEMENTS(lines); i++)
                assert_line(text, lines[i]);
        /* No guests, no families of theirs. */
        assert_null(strstr(text, "ksmtuned_guest_m"));
}

/* Each family has one HELP, one TYPE, and its lines right behind them. */
static void test_families(void **state)
{
        struct metrics_guest guests[] = {{"a", 4096, 1, 1}, {"b", 0, 2, 0}};
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL;
        char name[128] = "";
        size_t n = 0;

        metrics.guests = guests;
        metrics.n_guests = ELEMENTS(guests);
        text = format(&metrics);
        for (char *line, *next = text; (line = strsep(&next, "\n")) != NULL && *line;) {
                if (strncmp(line, "# HELP ", 7) == 0) {
                        char help[160];
                        const char *type = next;

                        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 7, " "),
                                       line + 7);
                        (void)snprintf(help, sizeof(help), "# TYPE %s ", name);
                        assert_memory_equal(type, help, strlen(help));
                        n++;
                } else if (*line != '#') {
                        assert_memory_equal(line, name, strlen(name));
                        assert_non_null(strchr(" {", line[strlen(name)]));
                }
        }
        assert_int_equal(n, 29);
}

static void test_absent(void **state)
{
        static const char *const left_out[] = {
                "ksmtuned_dry_run",     "ksmtuned_ksm_wanted",  "ksmtuned_libvirt_connected",
                "ksmtuned_memory_",     "ksmtuned_saved_bytes", "ksmtuned_ksmd_cpu_seconds_total",
                "ksmtuned_start_time_", "ksmtuned_decisions_",
        };
        struct metrics metrics;
        CLEANUP_FREE char *text = NULL;

        metrics_init(&metrics);
        text = format(&metrics);
        for (size_t i = 0; i < ELEMENTS(left_out); i++)
                if (strstr(text, left_out[i]))
                        fail_msg("%s should be left out", left_out[i]);
        /* Counters begin at 0, so that their first step is seen. */
        assert_line(text, "ksmtuned_knob_write_failures_total 0");
        assert_line(text, "ksmtuned_passes_total{kind=\"full\"} 0");
}

/* What would be available unmerged needs both of its figures. */
static void test_half_known(void **state)
{
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL, *other = NULL;

        metrics.available_kb = SAMPLE_ABSENT;
        text = format(&metrics);
        assert_null(strstr(text, "unmerged_available"));
        metrics.available_kb = INT64_MAX;
        other = format(&metrics);
        assert_line(other, "ksmtuned_memory_unmerged_available_bytes 9223372034854775807");
}

static void test_phases(void **state)
{
        for (int phase = 0; phase <= PHASE_DECAY; phase++) {
                struct metrics metrics = example();
                CLEANUP_FREE char *text = NULL;
                char line[64];

                metrics.phase = decision_phase_name((enum phase)phase);
                text = format(&metrics);
                (void)snprintf(line, sizeof(line), "ksmtuned_phase{phase=\"%s\"} 1", metrics.phase);
                assert_line(text, line);
                assert_int_equal(count(text, "ksmtuned_phase{"), 7);
                /* One is 1, the others are 0. */
                for (char *p = text; (p = strstr(p, "ksmtuned_phase{")); p++)
                        *strchr(p, '}') = p[strcspn(p, "\n") - 1];
                (void)snprintf(line, sizeof(line), "\"1 1\n");
                assert_non_null(strstr(text, line));
                assert_null(strstr(strstr(text, line) + 1, line));
        }
}

static void test_labels(void **state)
{
        static const struct {
                const char *value, *label;
        } cases[] = {
                {"", ""},
                {"plain name", "plain name"},
                {"a\"b", "a\\\"b"},
                {"a\\b", "a\\\\b"},
                {"a\nb", "a\\nb"},
                {"\\n", "\\\\n"},
                {"{pid=\"1\"}", "{pid=\\\"1\\\"}"},
                {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7"},
                /* No UTF-8: a lone byte, a cut one, overlong, a surrogate, beyond the last one. */
                {"a\xff z", "a\xef\xbf\xbd z"},
                {"\xc3", "\xef\xbf\xbd"},
                {"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
                {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char label[METRICS_LABEL_SIZE];

                assert_string_equal(metrics_label(label, cases[i].value), cases[i].label);
        }
}

/* However long the value, the label is whole, and no escape is cut in two. */
static void test_long_labels(void **state)
{
        static const char *const parts[] = {"a", "\"", "\\", "\n", "\xff", "\xe2\x82\xac"};

        for (size_t i = 0; i < ELEMENTS(parts); i++)
                for (size_t before = 0; before < 4; before++) {
                        char value[4096] = "zzz", label[METRICS_LABEL_SIZE];
                        char last[METRICS_LABEL_SIZE];
                        size_t len;

                        len = before;
                        while (len < 2048) {
                                memcpy(value + len, parts[i], strlen(parts[i]));
                                len += strlen(parts[i]);
                        }
                        value[len] = '\0';
                        (void)metrics_label(label, value);
                        len = strlen(label);
                        assert_true(len < METRICS_LABEL_SIZE && len > METRICS_LABEL_SIZE - 5);
                        (void)metrics_label(last, parts[i]);
                        assert_string_equal(label + len - strlen(last), last);
                        assert_int_equal((len - before) % strlen(last), 0);
                }
}

/* --- Guests ---------------------------------------------------------------------------------- */

static void test_guests(void **state)
{
        struct metrics_guest guests[] = {
                {"unknown", SAMPLE_ABSENT, 70, -1},
                {"small", 4096, 60, 1},
                {"twin", 8192, 51, 1},
                {"twin", 8192, 50, 1},
                {"off", 0, 40, 0},
                {"big\"\\\n", INT64_MAX, 30, 1},
        };
        static const char expected[] =
                "ksmtuned_guest_merged_bytes{guest=\"big\\\"\\\\\\n\",pid=\"30\"} "
                "9223372036854775807\n"
                "ksmtuned_guest_merged_bytes{guest=\"twin\",pid=\"50\"} 8192\n"
                "ksmtuned_guest_merged_bytes{guest=\"twin\",pid=\"51\"} 8192\n"
                "ksmtuned_guest_merged_bytes{guest=\"small\",pid=\"60\"} 4096\n"
                "ksmtuned_guest_merged_bytes{guest=\"off\",pid=\"40\"} 0\n"
                "# HELP";
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL, *other = NULL, *none = NULL;

        metrics.guests = guests;
        metrics.n_guests = ELEMENTS(guests);
        text = format(&metrics);
        assert_non_null(strstr(text, expected));
        assert_line(text, "ksmtuned_guests{mergeable=\"unknown\"} 1");
        assert_line(text, "ksmtuned_guests{mergeable=\"no\"} 1");
        assert_line(text, "ksmtuned_guests{mergeable=\"yes\"} 4");
        assert_int_equal(count(text, "ksmtuned_guest_mergeable{"), 5);
        assert_line(text, "ksmtuned_guest_mergeable{guest=\"off\",pid=\"40\"} 0");
        assert_line(text, "ksmtuned_guests_untold 0");

        /* Those with the most; the others count all the same. */
        metrics.max_guests = 2;
        other = format(&metrics);
        assert_int_equal(count(other, "ksmtuned_guest_merged_bytes{"), 2);
        assert_line(other, "ksmtuned_guest_merged_bytes{guest=\"twin\",pid=\"50\"} 8192");
        assert_line(other, "ksmtuned_guests_untold 4");
        assert_line(other, "ksmtuned_guests{mergeable=\"yes\"} 4");

        metrics.max_guests = 0;
        none = format(&metrics);
        assert_null(strstr(none, "ksmtuned_guest_m"));
        assert_line(none, "ksmtuned_guests_untold 6");
}

/* The order in which the guests come makes no difference. */
static void test_order(void **state)
{
        struct metrics_guest guests[CROWD], reversed[CROWD];
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL, *other = NULL;

        for (int i = 0; i < CROWD; i++) {
                guests[i] = (struct metrics_guest){"guest", i % 7 * 4096, 1000 + i, i % 3 - 1};
                reversed[CROWD - 1 - i] = guests[i];
        }
        metrics.n_guests = CROWD;
        metrics.guests = guests;
        text = format(&metrics);
        metrics.guests = reversed;
        other = format(&metrics);
        assert_string_equal(text, other);
}

/* 300 guests, all of them told, with names as people give them. */
static void test_crowd(void **state)
{
        struct metrics_guest guests[CROWD];
        char names[CROWD][32];
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL;

        for (int i = 0; i < CROWD; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "instance-%08x-web", i);
                guests[i] = (struct metrics_guest){names[i], INT64_C(1) << (20 + i % 15),
                                                   2000000 + i, 1};
        }
        metrics.guests = guests;
        metrics.n_guests = CROWD;
        metrics.max_guests = CROWD;
        text = format(&metrics);
        print_message("# %zu bytes for %d guests\n", strlen(text), CROWD);
        assert_int_equal(count(text, "ksmtuned_guest_merged_bytes{"), CROWD);
        assert_int_equal(count(text, "ksmtuned_guest_mergeable{"), CROWD);
        assert_line(text, "ksmtuned_guests_untold 0");
}

/* Names that take the most room: some guests are left out, which is told, and no line is cut. */
static void test_crowd_of_long_names(void **state)
{
        struct metrics_guest guests[CROWD];
        struct metrics metrics = example();
        CLEANUP_FREE char *text = NULL;
        char name[256], untold[64];
        size_t told;

        memset(name, '"', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (int i = 0; i < CROWD; i++)
                guests[i] = (struct metrics_guest){name, INT64_MAX, INT32_MAX - i, 0};
        metrics.guests = guests;
        metrics.n_guests = CROWD;
        metrics.max_guests = CROWD;
        text = format(&metrics);
        told = count(text, "ksmtuned_guest_merged_bytes{");
        assert_in_range(told, 50, CROWD - 1);
        assert_int_equal(count(text, "ksmtuned_guest_mergeable{"), told);
        (void)snprintf(untold, sizeof(untold), "ksmtuned_guests_untold %zu", CROWD - told);
        assert_line(text, untold);
        /* Not far from what there is room for. */
        assert_true(strlen(text) > METRICS_SIZE_MAX - 2048);
}

/* Whatever the size of the buffer: the whole text or an error, and nothing behind its end. */
static void test_sizes(void **state)
{
        struct metrics_guest guests[] = {{"a", 4096, 1, 1}};
        struct metrics metrics = example();
        CLEANUP_FREE char *whole = NULL, *buf = malloc(METRICS_SIZE_MAX);
        size_t n_whole = 0;

        assert_non_null(buf);
        metrics.guests = guests;
        metrics.n_guests = 1;
        whole = format(&metrics);
        for (size_t size = 0; size < 8192; size += size < 64 ? 1 : 61) {
                ssize_t len;

                memset(buf, 'x', METRICS_SIZE_MAX);
                len = metrics_format(&metrics, buf, size);
                for (size_t i = size; i < 8192; i++)
                        assert_int_equal(buf[i], 'x');
                if (len < 0) {
                        assert_int_equal(len, -ENOSPC);
                        continue;
                }
                assert_true((size_t)len < size);
                n_whole += strcmp(buf, whole) == 0;
        }
        assert_true(n_whole > 1);
}

/* --- The rest -------------------------------------------------------------------------------- */

static void test_passes(void **state)
{
        struct metrics_passes passes = {0};

        metrics_count_pass(&passes, 100, 2000);
        metrics_count_pass(&passes, -30, 1000);
        metrics_count_pass(&passes, 0, SAMPLE_ABSENT);
        assert_int_equal(passes.count, 3);
        assert_int_equal(passes.merged_pages, 100);
        assert_int_equal(passes.cpu_nsec, 3000);
        metrics_count_pass(&passes, INT64_MAX, INT64_MAX);
        assert_int_equal(passes.merged_pages, INT64_MAX);
        assert_int_equal(passes.cpu_nsec, INT64_MAX);
}

static void test_write(void **state)
{
        static const char path[] = "/var/lib/node/ksmtuned.prom";
        const struct made_up_root *host = *state;
        const struct metrics metrics = example();
        CLEANUP_FREE char *text = format(&metrics);
        char seen[1024];
        struct stat st;

        put_folder(host, "/var/lib");
        assert_int_equal(metrics_write(&host->root, path, &metrics), 0);
        assert_int_equal(metrics_write(&host->root, path, &metrics), 0);
        assert_file(host, path, text);
        assert_int_equal(count_entries(host, "/var/lib/node"), 1);
        (void)snprintf(seen, sizeof(seen), "%s%s", host->path, path);
        assert_int_equal(stat(seen, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);

        /* A folder in its place; and no folder to put it into. */
        put_folder(host, "/var/lib/folder.prom/in");
        assert_int_equal(metrics_write(&host->root, "/var/lib/folder.prom", &metrics), -EISDIR);
        assert_int_equal(metrics_write(&host->root, "/no/such/x.prom", &metrics), -ENOENT);
        assert_int_equal(count_entries(host, "/var/lib"), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_families),
                cmocka_unit_test(test_absent),
                cmocka_unit_test(test_half_known),
                cmocka_unit_test(test_phases),
                cmocka_unit_test(test_labels),
                cmocka_unit_test(test_long_labels),
                cmocka_unit_test(test_guests),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_crowd),
                cmocka_unit_test(test_crowd_of_long_names),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_passes),
                cmocka_unit_test_setup_teardown(test_write, made_up_root_setup,
                                                made_up_root_teardown),
        };

        return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
