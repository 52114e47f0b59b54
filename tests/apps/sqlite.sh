#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sqlite3: builds and checks a database of 200,000 rows.
. "$(dirname "$0")/common.sh" "$1"
need sqlite3
work() {
  sqlite3 rows.db "
    create table t(id integer primary key, a text, b integer, c blob);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
      insert into t select i, 'row ' || i || ' ' || hex(i * 7919), i * 7919 % 100003, zeroblob(i % 50) from n;
    create index t_b on t(b); create index t_a on t(a);
    select count(*), sum(b), sum(length(a)), sum(length(c)) from t;
    delete from t where b % 3 = 0; vacuum;
    select b % 10, count(*), max(a) from t group by 1 order by 1;
    pragma integrity_check;"
  sha256sum <rows.db
}
same database_of_200000_rows work
