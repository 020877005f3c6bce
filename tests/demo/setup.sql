-- The bank of the demo: pgbench tables of scale 10 exist; role bank owns everything and is no superuser.
-- Runs as the superuser in database bank.
\set ON_ERROR_STOP on
CREATE EXTENSION pgqueue;
GRANT pgqueue_user TO bank;
SELECT pgqueue.grant_namespace('default', 'use, manage, read', 'bank');

SET ROLE bank;
CREATE TABLE branch_report (
    bid integer PRIMARY KEY REFERENCES pgbench_branches,
    accounts bigint NOT NULL,
    balance bigint NOT NULL,
    movements bigint NOT NULL
);
-- A window is 5,000 accounts of one branch; windows overlap, each begins 500 accounts after the one before.
CREATE TABLE window_report (
    bid integer REFERENCES pgbench_branches,
    first_account integer,
    accounts bigint NOT NULL,
    balance bigint NOT NULL,
    median double precision NOT NULL,
    fingerprint text NOT NULL,
    PRIMARY KEY (bid, first_account)
);
-- What the reports must say, by direct queries.
CREATE VIEW direct_branch AS
    SELECT bid, count(*) AS accounts, sum(abalance) AS balance,
           (SELECT count(*) FROM pgbench_history h WHERE h.bid = a.bid) AS movements
    FROM pgbench_accounts a GROUP BY bid;
CREATE VIEW direct_window AS
    SELECT bid, first_account, w.*
    FROM pgbench_branches, generate_series((bid - 1) * 100000 + 1, bid * 100000 - 4999, 500) AS first_account,
         LATERAL (SELECT count(*) AS accounts, sum(abalance) AS balance,
                         percentile_cont(0.5) WITHIN GROUP (ORDER BY abalance) AS median,
                         md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid)) AS fingerprint
                  FROM pgbench_accounts WHERE aid BETWEEN first_account AND first_account + 4999) w;

CREATE MATERIALIZED VIEW teller_activity AS
    SELECT tid, count(*) AS movements, sum(delta) AS balance FROM pgbench_history GROUP BY tid
    WITH NO DATA;
CREATE TABLE delivery (partner text PRIMARY KEY, delivered_in_attempt integer NOT NULL);

SELECT pgqueue.create_queue('reports');
SELECT pgqueue.create_queue('maintenance');
SELECT pgqueue.create_queue('partners', retries => 2, retry_delay => '1 second', backoff => 'fixed');
