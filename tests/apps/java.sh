#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Java: the virtual machine starts, compiles, runs threads, and ends.
. "$(dirname "$0")/common.sh" "$1"
need java javac
cat >Hello.java <<'JAVA'
import java.util.*;
import java.util.concurrent.*;
public class Hello {
    public static void main(String[] a) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Integer>> sums = new ArrayList<>();
        for (int n = 1; n <= 8; n++) {
            final int k = n;
            sums.add(pool.submit(() -> {
                int s = 0; for (int i = 0; i < 200000; i++) s += ("x" + i * k).hashCode(); return s; }));
        }
        for (Future<Integer> f : sums) System.out.println(f.get());
        java.util.zip.Deflater d = new java.util.zip.Deflater(); d.setInput(new byte[1 << 20]); d.finish();
        System.out.println("hello " + d.deflate(new byte[1 << 20])); d.end(); pool.shutdown();
    }
}
JAVA
work() { javac -d . "$place/Hello.java" && java -cp . Hello; }
same hello work
