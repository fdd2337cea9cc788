/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Tells of guests that come and go, an entry each, and of those that cannot be merged. */

#include "manager.h"

/* The guests_listen() listener; @userdata is the manager. */
void guest_log(void *userdata, const struct guest *guest, enum guest_change change);

/* After a scan: sums up those that were too many to be told one by one. */
void guest_log_sum_up(struct manager *manager);
