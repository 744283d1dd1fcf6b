// What the scripts of this folder share: tests as lines that Medchain::Application reads, and questions to it.
'use strict';

const readline = require('readline');
const util = require('util');

const lines = readline.createInterface({ input: process.stdin });
const waiting = [];
lines.on('line', (line) => waiting.shift()(line));

function ok(right, title, detail) {
	console.log((right ? 'ok - ' : 'not ok - ') + title);
	if (!right && detail !== undefined) {
		console.log(detail instanceof Error ? describe(detail) : util.inspect(detail, { breakLength: Infinity }));
	}
}

function is(got, expected, title) {
	ok(util.isDeepStrictEqual(got, expected), title, { got, expected });
}

// What somebody else has to do at the data centre, and what came of it.
function ask(name, argument) {
	const answer = new Promise((resolve) => waiting.push(resolve));
	console.log('? ' + name + (argument === undefined ? '' : ' ' + argument));
	return answer;
}

// The error that a promise fails with; null if it does not.
async function error(promise) {
	try {
		await promise;
		return null;
	} catch (e) {
		return e;
	}
}

// The statement that a hint names.
function advice(hint) {
	const call = /medchain\.\w+\('[^']+'\)/.exec(hint || '');
	const statement = /(?:ALTER|DELETE|DROP) .*?(?=, so | first|\.$)/.exec(hint || '');
	return call ? `SELECT ${call[0]}` : statement && statement[0];
}

function describe(e) {
	const cause = e.parent || e;
	return [cause.message, cause.code, cause.detail, cause.hint, cause.where, e.sql && e.sql.slice(0, 200), e.stack].filter(Boolean).join('\n');
}

// Runs a script, and ends it whatever became of it.
function run(main) {
	main().then(() => process.exit(0), (e) => {
		console.error(describe(e));
		process.exit(1);
	});
}

module.exports = { ok, is, ask, error, advice, run };
