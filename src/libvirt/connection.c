/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "connection.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "line.h"

/* A libvirtd that is silent for this long is taken for lost: 5 s × (3 + 1). */
#define KEEPALIVE_SEC   5
#define KEEPALIVE_COUNT 3

struct connection {
        virConnectPtr libvirt;
        bool lost;      /* libvirtd has closed it, or was silent for too long */
        bool abandoned; /* the daemon has gone */
        int lifecycle, balloon, memory, pipe;
};

/*
 * What was told last of attempts that fail; "" before the first and when there was a connection.
 * The same again is not told: it would wake the daemon at every attempt, for nothing.
 */
static char told[HELPER_LINE_MAX];

static void tell_failure(const char *why)
{
        if (strncmp(told, why, sizeof(told) - 1) == 0)
                return;
        (void)snprintf(told, sizeof(told), "%s", why);
        line_print("failed %s", why);
}

static const char *last_error(void)
{
        const char *message = virGetLastErrorMessage();

        return message ? message : "no reason given";
}

static void on_close(virConnectPtr libvirt, int reason, void *userdata)
{
        static const char *const reasons[] = {
                [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection broke",
                [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirtd has ended",
                [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd does not answer",
                [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection was closed",
        };
        struct connection *connection = userdata;
        bool known = reason >= 0 && (size_t)reason < sizeof(reasons) / sizeof(reasons[0]);

        (void)libvirt;
        connection->lost = true;
        line_print("failed %s", known ? reasons[reason] : "the connection was lost");
}

/* Definitions change no memory, so they are no events here: NULL. */
static const char *kind_of(int event)
{
        switch (event) {
        case VIR_DOMAIN_EVENT_STARTED:
                return "started";
        case VIR_DOMAIN_EVENT_SUSPENDED:
                return "suspended";
        case VIR_DOMAIN_EVENT_RESUMED:
                return "resumed";
        case VIR_DOMAIN_EVENT_STOPPED:
                return "stopped";
        case VIR_DOMAIN_EVENT_SHUTDOWN:
                return "shutdown";
        case VIR_DOMAIN_EVENT_PMSUSPENDED:
                return "pmsuspended";
        case VIR_DOMAIN_EVENT_CRASHED:
                return "crashed";
        default:
                return NULL;
        }
}

static int on_lifecycle(virConnectPtr libvirt, virDomainPtr domain, int event, int detail,
                        void *userdata)
{
        const char *kind = kind_of(event);

        (void)libvirt;
        (void)detail;
        (void)userdata;
        if (kind)
                line_print("event %s %s", kind, virDomainGetName(domain));
        return 0;
}

static void on_balloon(virConnectPtr libvirt, virDomainPtr domain, unsigned long long actual_kb,
                       void *userdata)
{
        (void)libvirt;
        (void)actual_kb;
        (void)userdata;
        line_print("event balloon %s", virDomainGetName(domain));
}

static void on_memory(virConnectPtr libvirt, virDomainPtr domain, const char *alias,
                      unsigned long long size_kb, void *userdata)
{
        (void)libvirt;
        (void)alias;
        (void)size_kb;
        (void)userdata;
        line_print("event memory %s", virDomainGetName(domain));
}

static void on_pipe(int watch, int fd, int events, void *userdata)
{
        struct connection *connection = userdata;

        (void)watch;
        (void)fd;
        (void)events;
        connection->abandoned = true;
}

/* Balloons and memory devices are extra: a driver may know nothing of them. */
static int subscribe(struct connection *connection)
{
        virConnectPtr libvirt = connection->libvirt;

        connection->lifecycle = virConnectDomainEventRegisterAny(
                libvirt, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), NULL, NULL);
        if (connection->lifecycle < 0)
                return -EIO;
        connection->balloon =
                virConnectDomainEventRegisterAny(libvirt, NULL, VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
                                                 VIR_DOMAIN_EVENT_CALLBACK(on_balloon), NULL, NULL);
#if LIBVIR_CHECK_VERSION(7, 9, 0)
        connection->memory = virConnectDomainEventRegisterAny(
                libvirt, NULL, VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
                VIR_DOMAIN_EVENT_CALLBACK(on_memory), NULL, NULL);
#endif
        return 0;
}

static int open_connection(struct connection *connection, const char *uri)
{
        if (told[0] == '\0')
                line_print("connecting");
        connection->libvirt = virConnectOpenReadOnly(uri);
        if (!connection->libvirt)
                return -EIO;
        if (virConnectRegisterCloseCallback(connection->libvirt, on_close, connection, NULL) < 0)
                return -EIO;
        /* 1: the driver has none, as those inside this process. What else fails shows in use. */
        (void)virConnectSetKeepAlive(connection->libvirt, KEEPALIVE_SEC, KEEPALIVE_COUNT);
        return subscribe(connection);
}

static void close_connection(struct connection *connection)
{
        virConnectPtr libvirt = connection->libvirt;

        if (!libvirt)
                return;
        if (connection->lifecycle >= 0)
                (void)virConnectDomainEventDeregisterAny(libvirt, connection->lifecycle);
        if (connection->balloon >= 0)
                (void)virConnectDomainEventDeregisterAny(libvirt, connection->balloon);
        if (connection->memory >= 0)
                (void)virConnectDomainEventDeregisterAny(libvirt, connection->memory);
        (void)virConnectUnregisterCloseCallback(libvirt, on_close);
        (void)virConnectClose(libvirt);
}

int connection_run(const char *uri, bool *ret_connected)
{
        struct connection connection = {.lifecycle = -1, .balloon = -1, .memory = -1};

        if (open_connection(&connection, uri) < 0) {
                tell_failure(last_error());
                close_connection(&connection);
                return 0;
        }
        *ret_connected = true;
        told[0] = '\0';
        line_print("connected");
        connection.pipe =
                virEventAddHandle(STDOUT_FILENO, VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP,
                                  on_pipe, &connection, NULL);
        while (!connection.lost && !connection.abandoned)
                if (virEventRunDefaultImpl() < 0) {
                        line_print("failed %s", last_error());
                        break;
                }
        if (connection.pipe >= 0)
                (void)virEventRemoveHandle(connection.pipe);
        if (connection.abandoned)
                return -EPIPE; /* the process ends: no polite words to a libvirtd that may hang */
        close_connection(&connection);
        return 0;
}
