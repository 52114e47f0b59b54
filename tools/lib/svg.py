# SPDX-License-Identifier: MIT
"""Pieces of SVG that stretch: places across are percentages of whatever width there is, while text, marks and
lines keep their size. So one picture can be read on a telephone and on a wide screen; its colours are names
of the page's style sheet, so that it is drawn once for light, dark and paper.

This file must never know what it draws: no allocator, no row, no result.
"""
import html
import math

COLOURS, MARKS = 8, 5  # without a common divisor, so that the first forty differ
SHAPES = ("<circle r=3.5 />", "<path d='M-3.3-3.3h6.6v6.6h-6.6z'/>", "<path d='M0-4.6 4.6 0 0 4.6-4.6 0z'/>",
          "<path d='M-4 3.4h8L0-4z'/>", "<path d='M-4-3.4h8L0 4z'/>")
MARGIN = 4.0  # percent at each side, for half a mark and half a number


def defined_marks():
    """Once in a page, before the first picture."""
    return "<svg width=0 height=0 aria-hidden=true style='position:absolute'><defs>%s</defs></svg>" % "".join(
        "<g id=m%d>%s</g>" % (n, shape) for n, shape in enumerate(SHAPES))


class Scale:
    """From values to percent across (or, turned, from the bottom)."""

    def __init__(self, low, high, log=False, margin=MARGIN):
        self.low, self.high, self.log, self.margin = (
            low, high if high > low else low * 1.1 + 1e-9, log, margin)

    def at(self, value):
        value = min(max(value, self.low), self.high)
        part = (math.log(value / self.low) / math.log(self.high / self.low) if self.log
                else (value - self.low) / (self.high - self.low))
        return self.margin + part * (100 - 2 * self.margin)

    def ticks(self, most=6):
        if not self.log or self.high / self.low < 3:
            return even_ticks(self.low, self.high, most)
        for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0 ** power for power in range(math.floor(math.log10(self.low)),
                                                              math.ceil(math.log10(self.high)) + 1)
                     for digit in digits if self.low <= digit * 10.0 ** power <= self.high]
            if len(found) <= most:
                break
        return found[::-(-len(found) // most) or 1]


def even_ticks(low, high, most):
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(it for it in (step, step * 2, step * 5, step * 10) if (high - low) / it <= most)
    return [round(n * step, 12) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def around(values, log=True):
    """A scale on which all of them lie, and one, with some room."""
    low, high = min(values + [0.97]), max(values + [1.03])
    return Scale(low / 1.03, high * 1.03, log)


def line(x1, y1, x2, y2, kind):
    return "<line x1=%.2f%% y1=%s x2=%.2f%% y2=%s class='%s'/>" % (x1, y1, x2, y2, kind)


def mark(x, y, number, words="", kind=""):
    return "<use href=#m%d x=%.2f%% y=%s class='k%d %s'><title>%s</title></use>" % (
        number % MARKS, x, y, number % COLOURS, kind, html.escape(words))


def text(x, y, words, anchor="middle"):
    return "<text x=%.2f%% y=%s text-anchor=%s>%s</text>" % (x, y, anchor, html.escape(words))


def area(points, number):
    """Of (percent across, percent down): what lies below, stretched to the whole picture."""
    return ("<svg viewBox='0 0 100 100' preserveAspectRatio=none width=100%% height=100%% class=k%d>"
            "<polygon points='%.1f,100 %s %.1f,100'/></svg>") % (
                number % COLOURS, points[0][0], " ".join("%.1f,%.1f" % point for point in points),
                points[-1][0])


def picture(height, parts, label=""):
    return "<svg width=100%% height=%d role=img aria-label='%s'>%s</svg>" % (
        height, html.escape(label, quote=True), "".join(parts))
