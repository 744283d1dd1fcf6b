// Many clients over pgbouncer in transaction mode, where the logins have a connection each to the server, or few.
'use strict';

const { Client } = require('pg');
const { ok, is, ask, error, run } = require('./harness.js');

const [port, named] = process.argv.slice(2);
const sees = `SELECT coalesce(medchain.current_member(), 'nobody') || ':' || coalesce((SELECT string_agg(DISTINCT patient, ',' ORDER BY patient) FROM clinic.record), '') AS sees`;
const expected = { reader: 'ha:P1', own: 'dc:P2', stranger: 'nobody:', front: 'nobody:' };

async function connect(user) {
	const client = new Client({ host: '127.0.0.1', port: Number(port), user, database: 'postgres' });
	await client.connect();
	return client;
}

async function look(client) {
	return (await client.query(sees)).rows[0].sees;
}

async function crowd() {
	const wrong = [];
	const clients = [];
	for (let i = 0; i < 6; i++) {
		for (const user of Object.keys(expected)) {
			clients.push({ user, client: await connect(user) });
		}
	}
	await Promise.all(clients.map(async ({ user, client }, n) => {
		for (let i = 0; i < 15; i++) {
			await client.query('BEGIN');
			// what a client leaves behind for the next one of its login
			if ((n + i) % 5 === 0) {
				await client.query(`SET search_path = pg_temp, public; SET application_name = 'other'`);
			}
			const seen = await look(client);
			if ((n + i) % 3 === 0 && user !== 'front') {
				await client.query({ text: 'UPDATE clinic.record SET finding = $1 WHERE id % 10 = $2', values: [`${user} ${n}`, n % 10] });
			}
			await client.query((n + i) % 4 ? 'COMMIT' : 'ROLLBACK');
			if (seen !== expected[user]) {
				wrong.push(`${user}: ${seen}`);
			}
		}
		await client.end();
	}));
	is(wrong, [], 'twenty-four clients of four logins, each in each transaction as who it is');
	is(await ask('actors'), 'dc own, ha reader', 'and their changes are theirs on the ledger');
}

async function roles() {
	const front = await connect('front');
	const next = await connect('front');
	for (const statement of ['SET ROLE reader', 'SET ROLE own', "SET ROLE 'keeper'"]) {
		is(await error(front.query(statement)), null, statement);
		is([await look(front), await look(next)], ['nobody:', 'nobody:'], `${statement}: nobody acts for another member by it, nor who has the connection next`);
	}
	await front.query('RESET ROLE');
	const reader = await connect('reader');
	await reader.query('SET ROLE bare');
	is((await reader.query('SELECT medchain.current_member() AS m')).rows[0].m, 'ha', 'under another role the session is still its login\'s');
	await reader.query('RESET ROLE');
	await Promise.all([front, next, reader].map((c) => c.end()));
}

async function prepared() {
	const one = await connect('reader');
	const two = await connect('reader');
	const other = await connect('own');
	const count = async (client, name) => (await client.query({ name, text: 'SELECT count(*)::int AS n FROM clinic.record WHERE finding <> $1', values: ['x'] })).rows[0].n;

	if (named === 'named') {
		is([await count(one, 'q'), await count(two, 'q'), await count(other, 'q')], [100, 100, 100], 'named statements, which the pooler keeps');
	}
	is([await count(one), await count(two), await count(other)], [100, 100, 100], 'statements with parameters');
	await one.query('PREPARE mine AS SELECT count(*)::int AS n FROM clinic.record');
	is((await two.query('EXECUTE mine')).rows[0].n, 100, 'what one client has prepared by SQL the next of its login finds');
	const missing = await error(other.query('EXECUTE mine'));
	is(missing && missing.code, '26000', 'and nobody of another');
	await one.query('BEGIN');
	await one.query('DECLARE c CURSOR FOR SELECT id FROM clinic.record');
	await one.query('FETCH 5 FROM c');
	await ask('revoke');
	is((await one.query('FETCH ALL FROM c')).rows.length, 0, 'a revocation binds a cursor');
	await one.query('COMMIT');
	is([(await two.query('EXECUTE mine')).rows[0].n, await count(one), named === 'named' ? await count(two, 'q') : 0], [0, 0, 0], 'and what is prepared');
	is(await look(other), expected.own, 'for nobody else is it different');
	await ask('permit');
	is(await count(two), 100, 'until there is another protocol');
	await Promise.all([one, two, other].map((c) => c.end()));
}

run(async () => {
	await crowd();
	await roles();
	await prepared();
	is(await ask('connections'), '4', 'the pooler has had a connection to the server for each login');
});
