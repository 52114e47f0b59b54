# SPDX-License-Identifier: MIT
# A text as a string of C, for #include: awk -f as_string.awk FILE
{
    line = ""
    for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        line = line (c == "\\" || c == "\"" ? "\\" : "") c
    }
    print "\"" line "\\n\""
}
