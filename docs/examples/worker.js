// A worker with node-postgres: node worker.js QUEUE [IDLE_SECONDS]
// Connects by the PG* environment. Ends at SIGTERM or SIGINT; with IDLE_SECONDS also after that time without a task.
'use strict';
const os = require('os');
const { Client } = require('pg');

const [queue, idle] = process.argv.slice(2);
const worker = `${os.hostname()}/${process.pid}`;
let stopping = false;
process.on('SIGTERM', () => { stopping = true; });
process.on('SIGINT', () => { stopping = true; });

// Does the work and returns its result; an exception fails the task.
async function work(payload) {
  if (!payload.to) throw new Error('no address');
  return { sent: payload.to };
}

// Runs one task; returns false if there was none.
async function runOne(client) {
  const { rows } = await client.query('SELECT id, receipt, payload FROM pgqueue.next_task($1, $2)', [worker, queue]);
  if (rows.length === 0) return false;
  const { id, receipt, payload } = rows[0];  // bigint arrives as a string, which keeps all its digits
  let result, failure;
  try {
    result = await work(payload);
  } catch (error) {
    failure = error;
  }
  try {
    const end = failure
      ? await client.query('SELECT pgqueue.fail_task($1, $2, $3) AS status', [id, receipt, failure.message])
      : await client.query('SELECT pgqueue.release_task($1, $2, $3) AS status', [id, receipt, JSON.stringify(result)]);
    console.log('task', id, end.rows[0].status);
  } catch (error) {
    // PQ001: the lease ended before the work did. PQ004: the task was cancelled. It does not belong to this worker any more.
    if (error.code !== 'PQ001' && error.code !== 'PQ004') throw error;
    console.error('task', id, 'lost:', error.message);
  }
  return true;
}

async function main() {
  const client = new Client();
  await client.connect();
  while (!stopping) {
    if (await runOne(client)) continue;
    // The wait is short enough to notice a signal soon.
    const { rows } = await client.query('CALL pgqueue.wait_for_task(ARRAY[$1::text], make_interval(secs => $2))', [queue, idle || '5']);
    if (!rows[0].found && idle !== undefined) break;
  }
  await client.end();
}

main().catch((error) => { console.error(error.message); process.exitCode = 1; });
