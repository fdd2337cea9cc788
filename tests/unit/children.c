/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "children.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

const char *put_program(const struct made_up_root *host, const char *name, char *buf, size_t size)
{
        struct stat st;
        int in, out;

        (void)snprintf(buf, size, "%s/%s", host->path, name);
        in = open(GUEST_PROGRAM, O_RDONLY | O_CLOEXEC);
        out = open(buf, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        assert_true(in >= 0 && out >= 0);
        assert_int_equal(fstat(in, &st), 0);
        for (off_t at = 0; at < st.st_size;)
                assert_true(sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
        assert_int_equal(fchmod(out, 0755), 0);
        (void)close(in);
        (void)close(out);
        return buf;
}

static pid_t spawn(const char *program, int in, int out)
{
        char *const argv[] = {(char *)(uintptr_t)program, NULL};
        char *const envp[] = {NULL};
        posix_spawn_file_actions_t actions;
        pid_t pid;

        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO), 0);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO), 0);
        assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, envp), 0);
        (void)posix_spawn_file_actions_destroy(&actions);
        return pid;
}

static void make_pipes(int *ret_in, int *ret_out, int *ret_to, int *ret_from)
{
        int down[2], up[2];

        assert_int_equal(pipe2(down, O_CLOEXEC), 0);
        assert_int_equal(pipe2(up, O_CLOEXEC), 0);
        *ret_in = down[0];
        *ret_to = down[1];
        *ret_from = up[0];
        *ret_out = up[1];
}

static void await_dots(int from, size_t n)
{
        while (n > 0) {
                char dots[64];
                ssize_t got = read(from, dots, n < sizeof(dots) ? n : sizeof(dots));

                if (got <= 0)
                        fail_msg("a child has ended before its time");
                n -= (size_t)got;
        }
}

static void end(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

void child_start(struct child *child, const char *program)
{
        int in, out;

        make_pipes(&in, &out, &child->to, &child->from);
        child->pid = spawn(program, in, out);
        (void)close(in);
        (void)close(out);
        await_dots(child->from, 1);
}

void child_tell(struct child *child, const char *format, ...)
{
        char line[1024];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        assert_true(n > 0 && (size_t)n < sizeof(line));
        assert_int_equal(write(child->to, line, (size_t)n), n);
        await_dots(child->from, 1);
}

void child_end_as_zombie(struct child *child)
{
        siginfo_t info;

        (void)close(child->to);
        child->to = -1;
        assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

void child_end(struct child *child)
{
        if (child->to >= 0)
                (void)close(child->to);
        (void)close(child->from);
        end(child->pid);
}

void crowd_start(struct crowd *crowd, const char *program, size_t n)
{
        int in, out;

        assert_true(n <= N_CROWD_MAX);
        make_pipes(&in, &out, &crowd->to, &crowd->from);
        for (size_t i = 0; i < n; i++)
                crowd->pids[i] = spawn(program, in, out);
        crowd->n = n;
        (void)close(in);
        (void)close(out);
        await_dots(crowd->from, n);
}

void crowd_end(struct crowd *crowd)
{
        (void)close(crowd->to);
        for (size_t i = 0; i < crowd->n; i++)
                end(crowd->pids[i]);
        (void)close(crowd->from);
        crowd->n = 0;
}
