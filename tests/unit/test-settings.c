/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What keys take, and what is said about what they do not take. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "settings-help.h"

#define PROBLEMS_MAX 3

/* --- What is taken --------------------------------------------------------------------------- */

struct taken {
        const char *text; /* without "KEY=" */
        enum key key;
        const char *shown;
};

static const struct taken takens[] = {
        {"60", KEY_MONITOR_INTERVAL, "60000000"},
        {"0.1", KEY_MONITOR_INTERVAL, "100000"},
        {"0.5", KEY_MONITOR_INTERVAL, "500000"},
        {".25", KEY_MONITOR_INTERVAL, "250000"},
        {"1.001", KEY_MONITOR_INTERVAL, "1001000"}, /* 1.001 × 1e6 is less in binary */
        {"1.", KEY_MONITOR_INTERVAL, "1000000"},
        {"2s", KEY_MONITOR_INTERVAL, "2000000"},
        {"2m", KEY_MONITOR_INTERVAL, "120000000"},
        {"1.5h", KEY_MONITOR_INTERVAL, "5400000000"},
        {"1d", KEY_MONITOR_INTERVAL, "86400000000"},
        {"86400", KEY_MONITOR_INTERVAL, "86400000000"},
        {"0.01m", KEY_MONITOR_INTERVAL, "600000"},
        {"'1m 30s'", KEY_MONITOR_INTERVAL, "90000000"},
        {"' 0.05\t0.05 '", KEY_MONITOR_INTERVAL, "100000"},
        {"'0 5'", KEY_MONITOR_INTERVAL, "5000000"},
        {"1e1", KEY_MONITOR_INTERVAL, "10000000"},
        {"+3", KEY_MONITOR_INTERVAL, "3000000"},
        {"", KEY_MONITOR_INTERVAL, "60000000"},
        {"0", KEY_SLEEP_MSEC, "0"},
        {"100", KEY_SLEEP_MSEC, "100"},
        {"4294967295", KEY_SLEEP_MSEC, "4294967295"},
        {"' 20\t'", KEY_SLEEP_MSEC, "20"},
        {"+20", KEY_SLEEP_MSEC, "20"},
        {"-0", KEY_SLEEP_MSEC, "0"},
        {"020", KEY_SLEEP_MSEC, "20"},
        {"", KEY_SLEEP_MSEC, "10"},
        {"''", KEY_SLEEP_MSEC, "10"},
        {"0", KEY_NPAGES_BOOST, "0"},
        {"4294967295", KEY_NPAGES_BOOST, "4294967295"},
        {"", KEY_NPAGES_BOOST, "300"},
        {"-4294967295", KEY_NPAGES_DECAY, "-4294967295"},
        {"-700", KEY_NPAGES_DECAY, "-700"},
        {"0", KEY_NPAGES_DECAY, "0"},
        {"", KEY_NPAGES_DECAY, "-50"},
        {"1", KEY_NPAGES_MIN, "1"},
        {"", KEY_NPAGES_MIN, "64"},
        {"4294967295", KEY_NPAGES_MAX, "4294967295"},
        {"", KEY_NPAGES_MAX, "1250"},
        {"1", KEY_THRES_COEF, "1"},
        {"99", KEY_THRES_COEF, "99"},
        {"100", KEY_THRES_COEF, "100"},
        {"", KEY_THRES_COEF, "20"},
        {"0", KEY_THRES_CONST, "0"},
        {"2048", KEY_THRES_CONST, "2048"},
        {"65536", KEY_THRES_CONST, "65536"},
        {"1099511627776", KEY_THRES_CONST, "1099511627776"},
        {"", KEY_THRES_CONST, "2048"},
        {"1", KEY_DEBUG, "1"},
        {"yes", KEY_DEBUG, "1"},
        {"00", KEY_DEBUG, "1"},
        {"0", KEY_DEBUG, "0"},
        {"", KEY_DEBUG, "0"},
        {"' '", KEY_DEBUG, "0"},
        {"' 0 '", KEY_DEBUG, "0"},
        {"'0 0'", KEY_DEBUG, "1"},
        {"/x", KEY_LOGFILE, "/x"},
        {"'/var/log/a b;c'", KEY_LOGFILE, "/var/log/a b;c"},
        {"", KEY_LOGFILE, ""},
        {"/run/x.pid", KEY_PIDFILE, "/run/x.pid"},
        {"", KEY_PIDFILE, ""},
        {"classic", KEY_POLICY, "classic"},
        {"' classic '", KEY_POLICY, "classic"},
        {"adaptive", KEY_POLICY, "adaptive"},
        {"1", KEY_CPU_MAX, "1"},
        {"100", KEY_CPU_MAX, "100"},
        {"", KEY_CPU_MAX, "100"},
        {"2", KEY_CPU_BUDGET, "2000/1000"},
        {"2.", KEY_CPU_BUDGET, "2000/1000"},
        {"' .5 '", KEY_CPU_BUDGET, "500/1000"},
        {"0.01", KEY_CPU_BUDGET, "10/1000"},
        {"100.000", KEY_CPU_BUDGET, "100000/1000"},
        {"007.12399999999999999999999", KEY_CPU_BUDGET, "7123/1000"},
        {"", KEY_CPU_BUDGET, "2000/1000"},
        {"0.001", KEY_MEMORY_PRICE, "1000/1000000"},
        {"1", KEY_MEMORY_PRICE, "1000000/1000000"},
        {"1000", KEY_MEMORY_PRICE, "1000000000/1000000"},
        {"", KEY_MEMORY_PRICE, "125000/1000000"},
        {"", KEY_POLICY, "classic"},
        {"my-vmm", KEY_VM_MATCH, "my-vmm"},
        {"a,b", KEY_VM_MATCH, "a|b"},
        {"'a b'", KEY_VM_MATCH, "a|b"},
        {"' ,a ,, b*\tc, '", KEY_VM_MATCH, "a|b*|c"},
        {"qemu:*,[a-z]?", KEY_VM_MATCH, "qemu:*|[a-z]?"},
        {"", KEY_VM_MATCH, VM_MATCH_DEFAULT},
        {"rss", KEY_PS_METRIC, "rss"},
        {"pss", KEY_PS_METRIC, "pss"},
        {"vsz", KEY_PS_METRIC, "vsz"},
        {"rsz", KEY_PS_METRIC, "rss"},
        {"rssize", KEY_PS_METRIC, "rss"},
        {"vsize", KEY_PS_METRIC, "vsz"},
        {"", KEY_PS_METRIC, "rss"},
        {"keep", KEY_STOP_ACTION, "keep"},
        {"stop", KEY_STOP_ACTION, "stop"},
        {"unmerge", KEY_STOP_ACTION, "unmerge"},
        {"", KEY_STOP_ACTION, "keep"},
        {"/run/ksm.prom", KEY_METRICS_FILE, "/run/ksm.prom"},
        {"'/a b/.prom'", KEY_METRICS_FILE, "/a b/.prom"},
        {"", KEY_METRICS_FILE, ""},
        {"0", KEY_METRICS_GUESTS, "0"},
        {"500", KEY_METRICS_GUESTS, "500"},
        {"", KEY_METRICS_GUESTS, "50"},
        {"0", KEY_MERGE_ACROSS_NODES, "0"},
        {"' 1 '", KEY_MERGE_ACROSS_NODES, "1"},
        {"", KEY_MERGE_ACROSS_NODES, "unset"},
        {"2", KEY_MAX_PAGE_SHARING, "2"},
        {"2147483647", KEY_MAX_PAGE_SHARING, "2147483647"},
        {"", KEY_MAX_PAGE_SHARING, "unset"},
        {"1", KEY_USE_ZERO_PAGES, "1"},
        {"", KEY_USE_ZERO_PAGES, "unset"},
        {"0", KEY_SMART_SCAN, "0"},
        {"''", KEY_SMART_SCAN, "unset"},
};

static void test_taken(void **state)
{
        const struct taken *taken = *state;
        struct settings_problems problems = {0};
        struct settings *settings, *defaults;
        char text[256], shown[256], other[256];
        int n = snprintf(text, sizeof(text), "%s=%s\n", key_infos[taken->key].name, taken->text);

        load_text(text, (size_t)n, &settings, &problems);
        for (size_t i = 0; i < problems.n; i++)
                print_error("%s\n", problems.list[i].text);
        assert_int_equal(problems.n, 0);
        assert_non_null(settings);
        assert_string_equal(show(settings, taken->key, shown, sizeof(shown)), taken->shown);

        /* Nothing else has changed. */
        assert_int_equal(settings_new(&defaults), 0);
        for (int key = 0; key < KEY_COUNT; key++)
                if (key != (int)taken->key)
                        assert_string_equal(show(settings, (enum key)key, shown, sizeof(shown)),
                                            show(defaults, (enum key)key, other, sizeof(other)));
        (void)settings_free(defaults);
        (void)settings_free(settings);
}

/* --- What is said ---------------------------------------------------------------------------- */

struct said {
        const char *name, *text;
        struct {
                char kind; /* E: error, W: warning */
                unsigned line;
                const char *text; /* the whole message where it ends with a newline, else a part */
        } problems[PROBLEMS_MAX];
};

/* clang-format off */
static const struct said saids[] = {
        {"number: letters", "\nKSM_NPAGES_MAX=abc\n", {{'E', 2, "KSM_NPAGES_MAX: 'abc' is not a whole number from 0 to 4294967295\n"}}},
        {"number: negative", "KSM_SLEEP_MSEC=-1\n", {{'E', 1, "KSM_SLEEP_MSEC: '-1' is not a whole number from 0 to 4294967295 (ms)\n"}}},
        {"number: negative boost", "KSM_NPAGES_BOOST=-300\n", {{'E', 1, "'-300' is not"}}},
        {"number: negative minimum", "KSM_NPAGES_MIN=-1\n", {{'E', 1, "'-1' is not"}}},
        {"number: negative share", "KSM_THRES_COEF=-1\n", {{'E', 1, "from 0 to 4294967295 (%)\n"}}},
        {"number: negative constant", "KSM_THRES_CONST=-1\n", {{'E', 1, "from 0 to 1099511627776 (kB)\n"}}},
        {"number: one over", "KSM_NPAGES_MAX=4294967296\n", {{'E', 1, "'4294967296'"}}},
        {"number: constant one over", "KSM_THRES_CONST=1099511627777\n", {{'E', 1, "'1099511627777'"}}},
        {"number: decay one under", "KSM_NPAGES_DECAY=-4294967296\n", {{'E', 1, "from -4294967295 to 4294967295\n"}}},
        {"number: 2 to the 64", "KSM_NPAGES_MAX=18446744073709551616\n", {{'E', 1, "is not a whole number"}}},
        {"number: a hundred digits", "KSM_NPAGES_MAX=1000000000000000000000000000000000000000000000000000\n", {{'E', 1, "'1000000000000000000000000000000000000000...' is not"}}},
        {"number: fraction", "KSM_THRES_COEF=20.5\n", {{'E', 1, "'20.5'"}}},
        {"number: per cent sign", "KSM_THRES_COEF=20%\n", {{'E', 1, "'20%'"}}},
        {"number: hexadecimal", "KSM_NPAGES_MAX=0x10\n", {{'E', 1, "'0x10'"}}},
        {"number: two", "KSM_NPAGES_MAX='1 2'\n", {{'E', 1, "'1 2'"}}},
        {"number: sign alone", "KSM_NPAGES_DECAY=-\n", {{'E', 1, "'-'"}}},
        {"number: two signs", "KSM_NPAGES_DECAY=--5\n", {{'E', 1, "'--5'"}}},
        {"number: sign and blank", "KSM_NPAGES_DECAY='- 5'\n", {{'E', 1, "'- 5'"}}},
        {"number: blanks alone", "KSM_NPAGES_MAX='  '\n", {{'E', 1, "'  '"}}},
        {"number: other digits", "KSM_NPAGES_MAX=\xd9\xa1\n", {{'E', 1, "'\?\?'"}}},
        {"setting: 2", "\nKSM_USE_ZERO_PAGES=2\n", {{'E', 2, "KSM_USE_ZERO_PAGES: '2' is neither 0 nor 1, nor empty\n"}}},
        {"setting: a word", "KSM_SMART_SCAN=yes\n", {{'E', 1, "KSM_SMART_SCAN: 'yes' is neither 0 nor 1, nor empty\n"}}},
        {"setting: -1", "KSM_MERGE_ACROSS_NODES=-1\n", {{'E', 1, "KSM_MERGE_ACROSS_NODES: '-1' is neither"}}},
        {"setting: one sharer", "KSM_MAX_PAGE_SHARING=1\n", {{'E', 1, "KSM_MAX_PAGE_SHARING: '1' is not a whole number from 2 to 2147483647, nor empty\n"}}},
        {"setting: too many sharers", "KSM_MAX_PAGE_SHARING=2147483648\n", {{'E', 1, "'2147483648' is not"}}},
        {"setting: blanks alone", "KSM_MAX_PAGE_SHARING='  '\n", {{'E', 1, "'  ' is not"}}},
        {"setting: a wrong name", "KSM_ZERO_PAGES=1\n", {{'W', 1, "unknown key KSM_ZERO_PAGES"}}},
        {"interval: 0", "#\nKSM_MONITOR_INTERVAL=0\n", {{'E', 2, "KSM_MONITOR_INTERVAL: '0' is not a time from 0.1 s to 1 day, such as 60, 0.5, 2m or '1m 30s'\n"}}},
        {"interval: letters", "KSM_MONITOR_INTERVAL=abc\n", {{'E', 1, "'abc' is not a time"}}},
        {"interval: just under", "KSM_MONITOR_INTERVAL=0.099\n", {{'E', 1, "'0.099'"}}},
        {"interval: just over", "KSM_MONITOR_INTERVAL=86400.1\n", {{'E', 1, "'86400.1'"}}},
        {"interval: sum over", "KSM_MONITOR_INTERVAL='1d 1s'\n", {{'E', 1, "'1d 1s'"}}},
        {"interval: negative", "KSM_MONITOR_INTERVAL=-60\n", {{'E', 1, "'-60'"}}},
        {"interval: negative summand", "KSM_MONITOR_INTERVAL='60 -1'\n", {{'E', 1, "'60 -1'"}}},
        {"interval: minus 0", "KSM_MONITOR_INTERVAL='-0 60'\n", {{'E', 1, "'-0 60'"}}},
        {"interval: infinite", "KSM_MONITOR_INTERVAL=inf\n", {{'E', 1, "'inf'"}}},
        {"interval: no number", "KSM_MONITOR_INTERVAL=nan\n", {{'E', 1, "'nan'"}}},
        {"interval: huge", "KSM_MONITOR_INTERVAL=1e999\n", {{'E', 1, "'1e999'"}}},
        {"interval: unknown suffix", "KSM_MONITOR_INTERVAL=1w\n", {{'E', 1, "'1w'"}}},
        {"interval: suffix of two letters", "KSM_MONITOR_INTERVAL=500ms\n", {{'E', 1, "'500ms'"}}},
        {"interval: suffix alone", "KSM_MONITOR_INTERVAL=s\n", {{'E', 1, "'s'"}}},
        {"interval: suffix apart", "KSM_MONITOR_INTERVAL='1 m'\n", {{'E', 1, "'1 m'"}}},
        {"interval: comma", "KSM_MONITOR_INTERVAL=0,5\n", {{'E', 1, "'0,5'"}}},
        {"interval: blanks alone", "KSM_MONITOR_INTERVAL=' '\n", {{'E', 1, "' '"}}},
        {"path: relative", "LOGFILE=log\n", {{'E', 1, "LOGFILE: 'log' is not the absolute path of a file, such as /var/log/ksmtuned, nor empty\n"}}},
        {"path: relative pidfile", "PIDFILE=./pid\n", {{'E', 1, "PIDFILE: './pid'"}}},
        {"path: folder", "LOGFILE=/var/log/\n", {{'E', 1, "'/var/log/'"}}},
        {"path: blank before it", "LOGFILE=' /log'\n", {{'E', 1, "' /log'"}}},
        {"policy", "KSM_POLICY=clever\n", {{'E', 1, "KSM_POLICY: 'clever' is none of classic and adaptive\n"}}},
        {"policy: capitals", "KSM_POLICY=Classic\n", {{'E', 1, "'Classic'"}}},
        {"metric", "KSM_PS_METRIC=uss\n", {{'E', 1, "KSM_PS_METRIC: 'uss' is none of rss, pss and vsz\n"}}},
        {"metric: two", "KSM_PS_METRIC='rss pss'\n", {{'E', 1, "'rss pss'"}}},
        {"stop action", "KSM_STOP_ACTION=kill\n", {{'E', 1, "KSM_STOP_ACTION: 'kill' is none of keep, stop and unmerge\n"}}},
        {"metrics: no absolute path", "KSM_METRICS_FILE=ksmtuned.prom\n", {{'E', 1, "KSM_METRICS_FILE: 'ksmtuned.prom' is not the absolute path of a file, such as /var/lib/prometheus/node-exporter/ksmtuned.prom, nor empty\n"}}},
        {"metrics: a folder", "KSM_METRICS_FILE=/run/\n", {{'E', 1, "'/run/' is not the absolute path"}}},
        {"metrics: another name", "\nKSM_METRICS_FILE=/run/metrics\n", {{'W', 2, "KSM_METRICS_FILE: '/run/metrics' does not end in .prom, and the node exporter reads no other files\n"}}},
        {"metrics: a short name", "KSM_METRICS_FILE=/p\n", {{'W', 1, "does not end in .prom"}}},
        {"metrics: too many guests", "KSM_METRICS_GUESTS=501\n", {{'E', 1, "KSM_METRICS_GUESTS: '501' is not a whole number from 0 to 500\n"}}},
        {"metrics: fewer than no guests", "KSM_METRICS_GUESTS=-1\n", {{'E', 1, "'-1' is not a whole number"}}},
        {"stop action: start of a word", "KSM_STOP_ACTION=unm\n", {{'E', 1, "'unm'"}}},
        {"no pattern", "KSM_VM_MATCH=' , '\n", {{'E', 1, "KSM_VM_MATCH: ' , ' is not a list of names"}}},

        {"unknown key, swapped letters", "KSM_TRHES_COEF=60\n", {{'W', 1, "unknown key KSM_TRHES_COEF: did you mean KSM_THRES_COEF?\n"}}},
        {"unknown key, letter left out", "KSM_NPAGE_MAX=60\n", {{'W', 1, "did you mean KSM_NPAGES_MAX?\n"}}},
        {"unknown key, letters swapped thrice", "KMS_TRHES_CEOF=60\n", {{'W', 1, "did you mean KSM_THRES_COEF?\n"}}},
        {"unknown key, four letters off", "KSM_PWXYZY=1\n", {{'W', 1, "unknown key KSM_PWXYZY is passed over\n"}}},
        {"unknown key, short and near", "BAG=1\n", {{'W', 1, "unknown key BAG is passed over\n"}}},
        {"unknown key, small letters", "debug=1\n", {{'W', 1, "unknown key debug: did you mean DEBUG?\n"}}},
        {"unknown key, without KSM_", "VM_MATCH=1\n", {{'W', 1, "unknown key VM_MATCH is passed over\n"}}},
        {"unknown key, nothing near", "#\nPATH=/bin\n", {{'W', 2, "unknown key PATH is passed over\n"}}},
        {"unknown key, short", "A=1\n", {{'W', 1, "unknown key A is passed over\n"}}},
        {"unknown key of 64 characters", "K234567890123456789012345678901234567890123456789012345678901234=x\n",
         {{'W', 1, "unknown key K234567890123456789012345678901234567890123456789012345678901234 is passed over\n"}}},
        {"keys that are not there", "KSM_ELSEWHERE=/x\n", {{'W', 1, "unknown key KSM_ELSEWHERE is"}}},
        {"no share of a CPU", "KSM_CPU_MAX=0\nKSM_CPU_MAX=101\nKSM_CPU_MAX=2.5\n",
         {{'E', 1, "KSM_CPU_MAX: '0' is not a whole number from 1 to 100 (% of a CPU)\n"}, {'E', 2, "'101'"}, {'E', 3, "'2.5'"}}},
        {"no budget", "KSM_CPU_BUDGET=0\nKSM_CPU_BUDGET=100.001\nKSM_CPU_BUDGET=.\n",
         {{'E', 1, "KSM_CPU_BUDGET: '0' is not a number from 0.01 to 100 (% of a CPU), such as 2\n"}, {'E', 2, "'100.001'"}, {'E', 3, "'.'"}}},
        {"no budget either", "KSM_CPU_BUDGET=-1\nKSM_CPU_BUDGET=1e1\nKSM_CPU_BUDGET=1,5\n", {{'E', 1, "'-1'"}, {'E', 2, "'1e1'"}, {'E', 3, "'1,5'"}}},
        {"no price", "KSM_MEMORY_PRICE=0.0009\nKSM_MEMORY_PRICE=99999999999999999999\nKSM_MEMORY_PRICE='1 2'\n",
         {{'E', 1, "KSM_MEMORY_PRICE: '0.0009' is not a number from 0.001 to 1000 (CPU seconds), such as 0.125\n"}, {'E', 2, "'9999"}, {'E', 3, "'1 2'"}}},

        {"minimum above maximum, minimum later", "KSM_NPAGES_MAX=10\n#\nKSM_NPAGES_MIN=11\n", {{'W', 3, "KSM_NPAGES_MIN: KSM_NPAGES_MIN (11) is above KSM_NPAGES_MAX (10)"}}},
        {"minimum above maximum, maximum later", "KSM_NPAGES_MIN=11\nKSM_NPAGES_MAX=10\n", {{'W', 2, "KSM_NPAGES_MAX: KSM_NPAGES_MIN (11) is above"}}},
        {"minimum above the default maximum", "\nKSM_NPAGES_MIN=2000\n", {{'W', 2, "KSM_NPAGES_MIN (2000) is above KSM_NPAGES_MAX (1250)"}}},
        {"maximum under the default minimum", "KSM_NPAGES_MAX=0\n", {{'W', 1, "KSM_NPAGES_MIN (64) is above KSM_NPAGES_MAX (0)"}}},
        {"minimum above maximum, mended", "KSM_NPAGES_MIN=2000\nKSM_NPAGES_MAX=2000\n", {{0}}},
        {"share of 101", "KSM_THRES_COEF=101\n", {{'W', 1, "KSM_THRES_COEF: 101 % is more than all memory"}}},
        {"share of 0", "KSM_THRES_COEF=0\n", {{'W', 1, "KSM_THRES_COEF: with 0 % the threshold is KSM_THRES_CONST alone, 2048 kB\n"}}},
        {"share of 0, mended", "KSM_THRES_COEF=0\nKSM_THRES_COEF=20\n", {{0}}},
        {"share of 0, emptied", "KSM_THRES_COEF=0\nKSM_THRES_COEF=\n", {{0}}},
        {"decay of 0", "KSM_NPAGES_DECAY=0\n", {{0}}},
        {"positive decay", "KSM_NPAGES_DECAY=50\n", {{'W', 1, "KSM_NPAGES_DECAY: 50 makes ksmd work harder"}}},
        {"constant like MB", "KSM_THRES_CONST=4096\n", {{'W', 1, "KSM_THRES_CONST: 4096 counts in kB; if MB are meant, write 4194304\n"}}},
        {"constant of 1", "KSM_THRES_CONST=1\n", {{'W', 1, "write 1024\n"}}},
        {"constant just under 64 MiB", "KSM_THRES_CONST=65535\n", {{'W', 1, "counts in kB"}}},
        {"pattern with a folder", "KSM_VM_MATCH='kvm /usr/bin/qemu-*'\n", {{'W', 1, "KSM_VM_MATCH: '/usr/bin/qemu-*' matches nothing"}}},
        {"pattern that is not ASCII", "KSM_VM_MATCH=/\xff\n", {{'W', 1, "KSM_VM_MATCH: '/?' matches nothing"}}},
        {"pattern for everything", "KSM_VM_MATCH=*\n", {{'W', 1, "KSM_VM_MATCH: '*' matches processes that are no"}}},

        {"all errors, in order", "KSM_SLEEP_MSEC=x\n$\nDEBUG\n", {{'E', 1, "'x'"}, {'E', 2, "'$'"}, {'E', 3, "'DEBUG' is no assignment"}}},
        {"errors and warnings, in order", "FOO=1\nKSM_SLEEP_MSEC=x\nBAR=1\n", {{'W', 1, "FOO"}, {'E', 2, "'x'"}, {'W', 3, "BAR"}}},
        {"warnings of both kinds, in order", "FOO=1\nKSM_THRES_COEF=0\nBAR=1\n", {{'W', 1, "FOO"}, {'W', 2, "COEF"}, {'W', 3, "BAR"}}},
        {"no thought of wholes that hold errors", "KSM_NPAGES_MIN=2000\nKSM_NPAGES_MAX=x\n", {{'E', 2, "'x'"}}},
        {"error that a later line replaces", "KSM_SLEEP_MSEC=x\nKSM_SLEEP_MSEC=10\n", {{'E', 1, "'x'"}}},
        {"byte order mark behind an error", "$\n\xef\xbb\xbf" "DEBUG=1\n", {{'E', 1, "'$'"}, {'E', 2, "is no assignment"}}},
        {"error in the last line", "DEBUG=1\nKSM_SLEEP_MSEC=$x", {{'E', 2, "'$'"}}},
        {"errors of DOS", "$\r\n\r\n$\r\n", {{'E', 1, "'$'"}, {'E', 3, "'$'"}}},
};
/* clang-format on */

static void check_said(const struct settings_problem *problem, char kind, unsigned line,
                       const char *text)
{
        size_t len = strlen(text);
        bool whole_end = text[len - 1] == '\n';
        size_t given = strlen(problem->text);

        assert_string_equal(problem->file, "test.conf");
        assert_int_equal(problem->is_error ? 'E' : 'W', kind);
        assert_int_equal(problem->line, line);
        if (whole_end &&
            (given < len - 1 || memcmp(problem->text + given - (len - 1), text, len - 1) != 0))
                fail_msg("\"%s\" does not end with \"%s\"", problem->text, text);
        else if (!whole_end && !strstr(problem->text, text))
                fail_msg("\"%s\" is not in \"%s\"", text, problem->text);
}

static void test_said(void **state)
{
        const struct said *said = *state;
        struct settings_problems problems = {0};
        struct settings *settings;
        bool failed = false;
        size_t n = 0;

        load_text(said->text, strlen(said->text), &settings, &problems);
        for (; n < PROBLEMS_MAX && said->problems[n].kind; n++) {
                assert_true(n < problems.n);
                check_said(&problems.list[n], said->problems[n].kind, said->problems[n].line,
                           said->problems[n].text);
                failed = failed || said->problems[n].kind == 'E';
        }
        assert_int_equal(problems.n, n);
        assert_int_equal(settings == NULL, failed);

        (void)settings_free(settings);
        settings_problems_clear(&problems);
        assert_int_equal(problems.n, 0);
        assert_null(problems.list);
}

/* What is warned of is in force nevertheless. */
static void test_applied_as_written(void **state)
{
        const char *text = "KSM_NPAGES_MIN=2000\nKSM_NPAGES_MAX=1000\nKSM_NPAGES_DECAY=7\n"
                           "KSM_THRES_COEF=101\nKSM_THRES_CONST=4096\nKSM_VM_MATCH='/x *'\n";
        struct settings_problems problems = {0};
        struct settings *settings;

        load_text(text, strlen(text), &settings, &problems);
        assert_non_null(settings);
        assert_int_equal(problems.n, 6);
        assert_int_equal(settings->policy.classic.npages_min, 2000);
        assert_int_equal(settings->policy.classic.npages_max, 1000);
        assert_int_equal(settings->policy.classic.npages_decay, 7);
        assert_int_equal(settings->policy.classic.thres_coef, 101);
        assert_int_equal(settings->policy.classic.thres_const_kb, 4096);
        assert_string_equal(settings->vm_match[0], "/x");
        assert_string_equal(settings->vm_match[1], "*");
        (void)settings_free(settings);
        settings_problems_clear(&problems);
}

/* The adaptive policy sees by the RSS what guests have come to hold. */
static void test_guest_metric(void **state)
{
        const char *text = "KSM_PS_METRIC=pss\n";
        struct settings_problems problems = {0};
        struct settings *settings;

        load_text(text, strlen(text), &settings, &problems);
        assert_non_null(settings);
        assert_int_equal(settings_guest_metric(settings), GUEST_METRIC_PSS);
        settings->policy.kind = POLICY_ADAPTIVE;
        assert_int_equal(settings_guest_metric(settings), GUEST_METRIC_RSS);
        (void)settings_free(settings);
        settings_problems_clear(&problems);
}

/* A file that is all rubbish has an end to what is said about it. */
static void test_rubbish_is_cut(void **state)
{
        struct settings_problems problems = {0};
        struct settings *settings;
        char text[8001], *p = text;

        for (unsigned i = 0; i < 1000; i++)
                p = stpcpy(p, "A=1\n$ x\n");
        load_text(text, strlen(text), &settings, &problems);
        assert_null(settings);
        assert_int_equal(problems.n, 2 * (DRAFT_PROBLEMS_MAX + 1));
        assert_string_equal(problems.list[problems.n - 1].text, "there are further errors");
        settings_problems_clear(&problems);

        /* Warnings of lines do not hide the warning of the whole. */
        p = stpcpy(text, "KSM_NPAGES_MIN=5000\n");
        for (unsigned i = 0; i < 100; i++)
                p = stpcpy(p, "A=1\n");
        load_text(text, strlen(text), &settings, &problems);
        assert_non_null(settings);
        assert_int_equal(problems.n, DRAFT_PROBLEMS_MAX + 2);
        assert_int_equal(problems.list[0].line, 1);
        assert_non_null(strstr(problems.list[0].text, "KSM_NPAGES_MAX (1250)"));
        (void)settings_free(settings);
        settings_problems_clear(&problems);

        /* Nor the error behind them. */
        p = text;
        for (unsigned i = 0; i < 999; i++)
                p = stpcpy(p, "A=1\n");
        (void)stpcpy(p, "$ x\n");
        load_text(text, strlen(text), &settings, &problems);
        assert_null(settings);
        assert_int_equal(problems.n, DRAFT_PROBLEMS_MAX + 2);
        assert_string_equal(problems.list[problems.n - 2].text, "there are further warnings");
        assert_true(problems.list[problems.n - 1].is_error);
        assert_int_equal(problems.list[problems.n - 1].line, 1000);
        settings_problems_clear(&problems);
}

int main(void)
{
        struct CMUnitTest tests[ELEMENTS(takens) + ELEMENTS(saids) + 8];
        char names[ELEMENTS(takens) + ELEMENTS(saids)][80];
        static const struct CMUnitTest others[] = {
                cmocka_unit_test(test_applied_as_written),
                cmocka_unit_test(test_guest_metric),
                cmocka_unit_test(test_rubbish_is_cut),
        };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTS(takens); i++, n++) {
                (void)snprintf(names[n], sizeof(names[n]), "taken: %s=%s",
                               key_infos[takens[i].key].name, takens[i].text);
                tests[n] =
                        (struct CMUnitTest){names[n], test_taken, NULL, NULL, (void *)&takens[i]};
        }
        for (size_t i = 0; i < ELEMENTS(saids); i++, n++) {
                (void)snprintf(names[n], sizeof(names[n]), "said: %s", saids[i].name);
                tests[n] = (struct CMUnitTest){names[n], test_said, NULL, NULL, (void *)&saids[i]};
        }
        memcpy(&tests[n], others, sizeof(others));
        n += ELEMENTS(others);

        return _cmocka_run_group_tests("settings", tests, n, NULL, NULL);
}
