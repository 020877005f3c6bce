-- Proof of what tasks did, for tests/lib/invariants.sql (I5). Whoever creates a task writes it into `made` in the same
-- transaction; whoever does its work (the command of an SQL task, an outside worker with its release) writes into
-- `effect` in the transaction of the work. Doing it twice is an error.
CREATE SCHEMA ledger;
CREATE TABLE ledger.made (
    id bigint PRIMARY KEY,
    -- its row may go before its work was done: purged, deleted, no retention
    removable boolean NOT NULL DEFAULT false,
    effective boolean NOT NULL DEFAULT true,    -- it writes into effect
    kind text                                   -- as the test likes
);
CREATE TABLE ledger.effect (
    id bigint PRIMARY KEY,
    attempt integer NOT NULL
);
GRANT USAGE ON SCHEMA ledger TO PUBLIC;
GRANT SELECT, INSERT ON ledger.made, ledger.effect TO PUBLIC;
