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
		console.log(util.inspect(detail, { breakLength: Infinity }));
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

// Runs a script, and ends it whatever became of it.
function run(main) {
	main().then(() => process.exit(0), (e) => {
		console.error(e);
		process.exit(1);
	});
}

module.exports = { ok, is, ask, error, run };
