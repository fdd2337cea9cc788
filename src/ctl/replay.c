/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl replay: options, the file, and what is shown of it. */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"
#include "replay.h"
#include "sampler.h"

struct request {
        const char *file;
        const char *configs[REPLAY_CONFIGS_MAX];
        size_t n_configs;
        enum replay_at at;
        bool decisions, json;
};

static const char *const at_names[] = {
        [REPLAY_AT_INTERVAL] = "interval",
        [REPLAY_AT_SAMPLE] = "sample",
        [REPLAY_AT_DAEMON] = "daemon",
};

static bool parse_at(const char *text, enum replay_at *ret_at)
{
        for (size_t i = 0; i < sizeof(at_names) / sizeof(at_names[0]); i++)
                if (strcmp(text, at_names[i]) == 0) {
                        *ret_at = (enum replay_at)i;
                        return true;
                }
        warnx("replay: --at is '%s'; interval, sample or daemon is accepted", text);
        return false;
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(struct request *request, const struct ctl_verb *verb, int argc,
                         char **argv)
{
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'}, {"at", required_argument, NULL, 'a'},
                {"decisions", no_argument, NULL, 'd'},    {"json", no_argument, NULL, 'j'},
                {"help", no_argument, NULL, 'h'},         {0}};
        int c;

        while ((c = getopt_long(argc, argv, "c:a:djh", options, NULL)) != -1) {
                switch (c) {
                case 'c':
                        if (request->n_configs == REPLAY_CONFIGS_MAX) {
                                warnx("replay: up to %d configurations are accepted",
                                      REPLAY_CONFIGS_MAX);
                                return CTL_USAGE;
                        }
                        request->configs[request->n_configs++] = optarg;
                        break;
                case 'a':
                        if (!parse_at(optarg, &request->at))
                                return CTL_USAGE;
                        break;
                case 'd':
                        request->decisions = true;
                        break;
                case 'j':
                        request->json = true;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        if (optind == argc) {
                warnx("replay: which recording? FILE is missing, - is standard input");
                return CTL_USAGE;
        }
        request->file = argv[optind++];
        return optind < argc ? ctl_verb_misuse(verb, argv[optind]) : -1;
}

static int add(struct replay *replay, const char *name, struct settings *settings)
{
        int r = replay_add(replay, name, settings);

        if (r < 0)
                (void)settings_free(settings);
        return r;
}

static int add_defaults(struct replay *replay)
{
        struct settings *settings = NULL;
        int r = settings_new(&settings);

        if (r < 0) {
                warnx("replay: %s", strerror(-r));
                return r;
        }
        return add(replay, "defaults", settings);
}

/* The configurations that were named; else the defaults and the host's. Return: 0; -errno, told. */
static int add_configs(struct replay *replay, const struct request *request,
                       const struct sysroot *root)
{
        struct settings *settings = NULL;
        int r = 0;

        for (size_t i = 0; r == 0 && i < request->n_configs; i++) {
                const char *slash = strrchr(request->configs[i], '/');

                r = ctl_load_settings(root, request->configs[i], &settings);
                if (r == 0)
                        r = add(replay, slash && slash[1] ? slash + 1 : request->configs[i],
                                settings);
        }
        if (request->n_configs > 0)
                return r;
        r = add_defaults(replay);
        if (r < 0 || (sysroot_exists(root, SETTINGS_PATH) != 1 &&
                      sysroot_exists(root, SETTINGS_DROPIN_PATH) != 1))
                return r;
        r = ctl_load_settings(root, NULL, &settings);
        return r < 0 ? r : add(replay, "ksmtuned.conf", settings);
}

/* A negative number, or an event. Fails with its own word on standard error. */
static int read_line(struct replay *replay, struct recording_reader *reader, const char *file,
                     const char *line, size_t len)
{
        struct recording_remark problem;
        struct recording_row row;
        int r = recording_read_line(reader, line, len, &row, &problem);

        if (r == -EBADMSG) {
                warnx("%s:%u: %s", file, problem.line, problem.text);
                return r;
        }
        if (r == RECORDING_BEGIN)
                replay_begin(replay, &reader->header);
        if (r == RECORDING_ROW) {
                if (*reader->note.text)
                        replay_remark(replay, reader->note.line, reader->note.text);
                r = replay_row(replay, &row, reader->line);
        }
        if (r < 0)
                warnx("%s:%u: %s", file, reader->line, strerror(-r));
        return r;
}

static int read_all(struct replay *replay, FILE *stream, const char *file)
{
        struct recording_reader reader = RECORDING_READER_INIT;
        struct recording_remark problem;
        CLEANUP_FREE char *line = NULL;
        size_t size = 0;
        ssize_t len;

        while (errno = 0, (len = getline(&line, &size, stream)) >= 0) {
                int r = read_line(replay, &reader, file, line, (size_t)len);

                if (r < 0)
                        return r;
        }
        if (errno != 0) {
                warnx("cannot read %s: %s", file, strerror(errno));
                return -EIO;
        }
        if (recording_read_end(&reader, &problem) < 0) {
                warnx("%s:%u: %s", file, problem.line, problem.text);
                return -EBADMSG;
        }
        if (reader.n_unknown > 0) {
                char text[128];

                (void)snprintf(text, sizeof(text),
                               "%u columns that this version does not know are passed over: %s%s",
                               reader.n_unknown, reader.unknown,
                               reader.n_unknown > 1 ? ", ..." : "");
                replay_remark(replay, 1, text);
        }
        return 0;
}

static int read_file(struct replay *replay, const char *file)
{
        CLEANUP_FILE FILE *stream = NULL;

        if (strcmp(file, "-") == 0)
                return read_all(replay, stdin, "standard input");
        stream = fopen(file, "re");
        if (!stream) {
                warnx("cannot open %s: %s", file, strerror(errno));
                return -EIO;
        }
        return read_all(replay, stream, file);
}

/* Where a policy was never asked there is nothing to compare. */
static bool check_decided(const struct replay *replay, const char *file)
{
        if (replay->at != REPLAY_AT_DAEMON || replay->tracks[1].n_decisions > 0)
                return true;
        warnx("%s: no daemon ran while it was recorded; --at interval or --at sample is accepted",
              file);
        return false;
}

int ctl_replay(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        CLEANUP(replay_release) struct replay replay = {.n_tracks = 0};
        struct request request = {.at = REPLAY_AT_INTERVAL, .file = ""};
        struct terminal terminal;
        const char *name;
        int r = parse_options(&request, verb, argc, argv);

        if (r >= 0)
                return r;
        r = replay_init(&replay);
        if (r < 0) {
                warnx("replay: %s", strerror(-r));
                return CTL_FAILURE;
        }
        replay.at = request.at;
        replay.keep_decisions = request.decisions;
        name = strcmp(request.file, "-") == 0 ? "standard input" : request.file;
        if (add_configs(&replay, &request, root) < 0 || read_file(&replay, request.file) < 0 ||
            !check_decided(&replay, name))
                return CTL_FAILURE;

        terminal_look(&terminal);
        r = request.json ? replay_print_json(&replay, name)
                         : replay_print(&replay, &terminal, name);
        if (r < 0) {
                warnx("cannot print the replay: %s", strerror(-r));
                return CTL_FAILURE;
        }
        return ctl_flush();
}
