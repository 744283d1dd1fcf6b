// node-postgres at a ledger table (visit) and a protected one (record): pools, prepared statements, cursors, COPY, LISTEN.
'use strict';

const { Pool, Client } = require('pg');
const Cursor = require('pg-cursor');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');
const { pipeline } = require('stream/promises');
const { Readable, Writable } = require('stream');
const { ok, is, ask, error, run } = require('./harness.js');

const many = { name: 'many', text: 'INSERT INTO visit (patient, reason, at, price, tags, data, scan) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id' };

function visit(i) {
	return [`P${i % 3}`, `Grund – "${i}"`, new Date(Date.UTC(2026, 0, 1, 0, 0, i)), `${i}.10`, ['a', `b,${i}`], { n: i, list: [1, null, 'x'] }, Buffer.from([0, 1, 255, i])];
}

async function writing(pool) {
	// more statements than connections, each the same named statement
	const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.query({ ...many, values: visit(i) }).then((r) => r.rows[0].id)));
	is(new Set(ids).size, 40, 'a named statement, forty times over a pool of four');
	is(await ask('changes', 'clinic.visit'), 'insert 40', 'forty rows are on the ledger');
	is((await pool.query('SELECT price, tags, data, scan FROM visit WHERE reason = $1', ['Grund – "7"'])).rows,
		[{ price: '7.10', tags: ['a', 'b,7'], data: { n: 7, list: [1, null, 'x'] }, scan: Buffer.from([0, 1, 255, 7]) }], 'what was written is read');

	// a transaction with a savepoint of which half comes back, and one that comes back altogether
	const client = await pool.connect();
	await client.query('BEGIN');
	await client.query('UPDATE visit SET price = price + 1 WHERE id = $1', [ids[0]]);
	await client.query('SAVEPOINT s');
	const bad = await error(client.query('UPDATE visit SET patient = NULL WHERE id = $1', [ids[1]]));
	is(bad && bad.code, '23502', 'an error in a savepoint is the server\'s');
	await client.query('ROLLBACK TO s');
	await client.query('DELETE FROM visit WHERE id = $1', [ids[2]]);
	await client.query('COMMIT');
	await client.query('BEGIN');
	await client.query('DELETE FROM visit');
	await client.query('ROLLBACK');
	client.release();
	is(await ask('changes', 'clinic.visit'), 'update 1, delete 1', 'what was committed is on the ledger, and nothing else');

	// a client that is thrown away in the middle of a transaction
	const lost = await pool.connect();
	await lost.query('BEGIN');
	await lost.query('UPDATE visit SET price = 0');
	lost.release(true);
	is(await ask('changes', 'clinic.visit'), '', 'what a lost client did not commit is not on the ledger');

	// prepared statements, as the table is altered under them
	is(await ask('alter'), 'done', 'the table gets a column');
	is((await pool.query({ ...many, values: visit(41) })).rowCount, 1, 'a named statement of before goes on');
	const conflict = { name: 'conflict', text: `INSERT INTO visit (id, patient, reason) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET reason = excluded.reason WHERE visit.reason <> excluded.reason RETURNING (xmax = 0) AS fresh` };
	is((await pool.query({ ...conflict, values: [1000, 'P1', 'first'] })).rows, [{ fresh: true }], 'ON CONFLICT inserts');
	is((await pool.query({ ...conflict, values: [1000, 'P1', 'second'] })).rows, [{ fresh: false }], 'ON CONFLICT updates');
	is((await pool.query({ ...conflict, values: [1000, 'P1', 'second'] })).rows, [], 'ON CONFLICT leaves it');
	is(await ask('changes', 'clinic.visit'), 'insert 2, update 1', 'each of them is what it was');
}

async function copying(pool) {
	const client = await pool.connect();
	const lines = Array.from({ length: 200 }, (_, i) => `${2000 + i}\tP${i % 3}\tcopied ${i}\n`);
	await pipeline(Readable.from(lines), client.query(copyFrom('COPY visit (id, patient, reason) FROM STDIN')));
	is(await ask('count'), '200', 'rows that a stream brings are there');
	await ask('changes', 'clinic.visit');
	const broken = await error(pipeline(Readable.from(['3000\tP1\tx\n', 'no number\tP1\tx\n']), client.query(copyFrom('COPY visit (id, patient, reason) FROM STDIN'))));
	is(broken && broken.code, '22P02', 'a stream that breaks off is an error');
	is(await ask('changes', 'clinic.visit'), '', 'and leaves nothing on the ledger');
	let text = '';
	await pipeline(client.query(copyTo('COPY (SELECT id FROM visit WHERE id >= 2000 ORDER BY id) TO STDOUT')),
		new Writable({ write(chunk, _, done) { text += chunk; done(); } }));
	is(text.split('\n').length, 201, 'a stream reads them');
	client.release();
}

async function listening(pool) {
	const heard = [];
	const listener = await pool.connect();
	listener.on('notification', (message) => heard.push(`${message.channel} ${message.payload}`));
	await listener.query('LISTEN visits');
	await pool.query(`WITH v AS (INSERT INTO visit (patient, reason) VALUES ('P1', 'heard') RETURNING patient) SELECT pg_notify('visits', patient) FROM v`);
	// notifications come with, or before, the answer of the listener's own next statement
	await listener.query('SELECT 1');
	is(heard, ['visits P1'], 'a listener hears what the application says, and nothing of ours');
	await listener.query('UNLISTEN *');
	listener.release();
	await ask('changes', 'clinic.visit');
}

async function reading() {
	const pool = new Pool({ max: 3, user: 'reader' });
	const mine = { name: 'mine', text: 'SELECT id, patient FROM record WHERE patient = $1 ORDER BY id' };
	const count = { name: 'count', text: 'SELECT count(*)::int AS n FROM record' };
	const see = async (patient) => (await pool.query({ ...mine, values: [patient] })).rows.length;

	// often enough for the server to take a plan that is the same for all parameters
	for (let i = 0; i < 8; i++) {
		if (await see('P1') !== 100 || await see('P2') !== 0) {
			ok(false, `the ${i}th execution`);
		}
	}
	is([await see('P1'), (await pool.query(count)).rows[0].n], [100, 100], 'a prepared statement sees what the protocol allows');

	// portals, which fetch some rows at a time
	const client = await pool.connect();
	const cursor = client.query(new Cursor('SELECT id FROM record'));
	is((await cursor.read(10)).length, 10, 'a cursor reads');
	const sorted = await pool.connect();
	await sorted.query('BEGIN');
	const all = sorted.query(new Cursor('SELECT id FROM record ORDER BY md5(id::text)'));
	is((await all.read(10)).length, 10, 'a cursor over sorted rows reads');
	await ask('revoke');
	is((await cursor.read(1000)).length, 0, 'after a revocation, an open cursor has no more rows');
	const late = await error(all.read(10));
	is(late && late.code, '42501', 'after a revocation, a cursor over what was sorted before is an error');
	await error(all.close());
	await sorted.query('ROLLBACK');
	sorted.release();
	await cursor.close();
	is([await see('P1'), (await pool.query(count)).rows[0].n], [0, 0], 'the prepared statements see nothing any more');
	await ask('permit');
	is([await see('P1'), (await pool.query(count)).rows[0].n], [100, 100], 'until there is a protocol again');

	const changed = await pool.query('UPDATE record SET finding = $1 WHERE id <= 6', ['malignant']);
	is(changed.rowCount, 3, 'what may be updated is');
	is((await pool.query('UPDATE record SET finding = $1 WHERE patient = $2', ['x', 'P2'])).rowCount, 0, 'other rows are not');
	const refused = await error(pool.query('INSERT INTO record VALUES (901, $1, $2)', ['P2', 'x']));
	is(refused && refused.code, '42501', 'nor inserted');
	is(await ask('changes', 'clinic.record'), 'update 3', 'the ledger has it');
	is(await ask('actor', 'clinic.record'), 'ha reader', 'by the member whose session it was');

	// nothing that a session does to itself lets it see more
	for (const text of ['SET SESSION AUTHORIZATION DEFAULT', 'RESET ALL', 'DISCARD ALL', 'SET search_path = pg_temp, clinic', 'SET row_security = off']) {
		await error(client.query(text));
		const seen = await error(client.query('SELECT 1 FROM record WHERE patient <> $1', ['P1']).then((r) => { if (r.rows.length) { throw new Error('seen'); } }));
		ok(seen === null || seen.code === '42501' || seen.code === '42P01', `nothing more is seen after ${text}`, seen);
	}
	client.release(true);
	await pool.end();

	const stranger = new Client({ user: 'stranger' });
	await stranger.connect();
	is((await stranger.query('SELECT count(*)::int AS n FROM record')).rows[0].n, 0, 'whoever acts for nobody sees nothing');
	await stranger.end();
}

run(async () => {
	const pool = new Pool({ max: 4, user: 'keeper' });
	await writing(pool);
	await copying(pool);
	await listening(pool);
	await pool.end();
	await reading();
});
