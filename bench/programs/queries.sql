-- SPDX-License-Identifier: MIT
-- A database in memory: rows made, indexed, joined, changed and thinned out.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER, what TEXT, cents INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO customer SELECT i, 'customer ' || i, 'city ' || (i * 7919 % 331) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
  INSERT INTO purchase SELECT i, i * 104729 % 20000 + 1, 'thing ' || (i % 997) || substr('xxxxxxxxxxxxxxxxxxxxxxxx', 1, i % 24), i * 31 % 100000 FROM n;
CREATE INDEX by_customer ON purchase(customer);
CREATE INDEX by_what ON purchase(what, cents);
SELECT city, count(*), sum(cents) FROM customer JOIN purchase ON customer.id = purchase.customer GROUP BY city ORDER BY 3 DESC LIMIT 5;
SELECT what, max(cents), group_concat(id) IS NOT NULL FROM purchase GROUP BY what ORDER BY 2 DESC, 1 LIMIT 5;
UPDATE purchase SET what = what || ' (changed)' WHERE id % 3 = 0;
DELETE FROM purchase WHERE id % 2 = 0;
SELECT count(*), sum(length(what)) FROM purchase;
SELECT group_concat(name, ',') = '' FROM customer;
