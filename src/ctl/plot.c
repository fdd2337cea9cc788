/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plot.h"

const char *plot_block(bool utf8, int level)
{
        static const char *const blocks[PLOT_LEVELS + 1] = {
                " ",
                "\xe2\x96\x81", /* U+2581, an eighth */
                "\xe2\x96\x82",
                "\xe2\x96\x83",
                "\xe2\x96\x84",
                "\xe2\x96\x85",
                "\xe2\x96\x86",
                "\xe2\x96\x87",
                "\xe2\x96\x88",
        };
        static const char *const ascii[PLOT_LEVELS + 1] = {" ", ".", ":", "-", "=",
                                                           "+", "*", "%", "#"};

        if (level < 0)
                level = 0;
        if (level > PLOT_LEVELS)
                level = PLOT_LEVELS;
        return utf8 ? blocks[level] : ascii[level];
}

int plot_level(double value, double most)
{
        double share = most > 0 ? value / most * PLOT_LEVELS : 0;

        if (!(share > 0))
                return 0;
        if (share < 1)
                return 1;
        return share < PLOT_LEVELS ? (int)(share + 0.5) : PLOT_LEVELS;
}

const char *plot_line(bool utf8)
{
        return utf8 ? "\xe2\x94\x80" : "-"; /* U+2500 */
}
