/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/sample.h"

int64_t saturating_add(int64_t a, int64_t b)
{
        int64_t sum;

        if (!__builtin_add_overflow(a, b, &sum))
                return sum;
        return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t saturating_mul(int64_t a, int64_t b)
{
        int64_t product;

        if (!__builtin_mul_overflow(a, b, &product))
                return product;
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

int64_t ksm_saved_bytes(const struct ksm_sample *ksm)
{
        int64_t pages = 0;

        if (ksm->pages_sharing > 0)
                pages = ksm->pages_sharing;
        if (ksm->ksm_zero_pages > 0)
                pages = saturating_add(pages, ksm->ksm_zero_pages);
        return saturating_mul(pages, ksm->page_bytes);
}

bool ksm_unmerge_fits(int64_t available_kb, int64_t saved_bytes)
{
        return saturating_mul(available_kb, 10) > saturating_mul(saved_bytes / 1024, 11);
}

bool ksm_is_unmerging(const struct ksm_sample *ksm)
{
        return ksm->run == 2 && ksm->pages_shared > 0;
}

int64_t memory_reclaimable_kb(const struct memory_sample *memory)
{
        return saturating_add(saturating_add(memory->free_kb, memory->buffers_kb),
                              memory->cached_kb);
}
