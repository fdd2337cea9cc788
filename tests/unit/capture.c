/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"

void capture_begin(struct capture *capture, FILE *stream)
{
        (void)fflush(stream);
        capture->stream = stream;
        capture->saved = dup(fileno(stream));
        capture->file = memfd_create("captured", MFD_CLOEXEC);
        assert_true(capture->saved >= 0 && capture->file >= 0);
        assert_true(dup2(capture->file, fileno(stream)) >= 0);
}

const char *capture_end(struct capture *capture, char *buf, size_t size)
{
        ssize_t n;

        (void)fflush(capture->stream);
        assert_true(dup2(capture->saved, fileno(capture->stream)) >= 0);
        (void)close(capture->saved);
        n = pread(capture->file, buf, size, 0);
        (void)close(capture->file);
        assert_true(n >= 0 && (size_t)n < size);
        buf[n] = '\0';
        return buf;
}
