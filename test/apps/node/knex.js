// Knex: migrations up and down, by the tables' owner, who is an administrator of medchain's; a refused one, and what its hint says.
'use strict';

const knex = require('knex');
const { ok, is, ask, error, advice, run } = require('./harness.js');

const TABLE = 'clinic.patient';
const VISIT = 'clinic.visit';

const steps = {
	'1_create': {
		async up(k) {
			await k.schema.withSchema('clinic').createTable('patient', (t) => {
				t.increments('id');
				t.string('name', 100).notNullable();
				t.enu('sex', ['f', 'm', 'x']);
				t.timestamps(true, true);
			});
			await k.raw(`SELECT medchain.ledger_table('${TABLE}')`);
			await k.schema.withSchema('clinic').createTable('visit', (t) => {
				t.uuid('id').primary().defaultTo(k.fn.uuid());
				t.integer('patient').notNullable().references('id').inTable(TABLE).onDelete('CASCADE').onUpdate('CASCADE');
				t.enu('state', ['planned', 'done'], { useNative: true, enumName: 'visit_state', schemaName: 'clinic' });
				t.decimal('price', 10, 2);
				t.jsonb('data');
			});
			await k.raw(`SELECT medchain.protect('${VISIT}', 'patient')`);
			await k(TABLE).insert([{ name: 'one', sex: 'f' }, { name: 'two', sex: 'm' }, { name: 'three' }]);
			await k(VISIT).insert([{ patient: 1, state: 'planned', price: 1, data: { n: 1 } }, { patient: 2, state: 'done', price: 2.5 }]);
		},
		async down(k) {
			await k.schema.dropTable(VISIT);
			await k.raw('DROP TYPE clinic.visit_state');
			await k.schema.dropTable(TABLE);
		}
	},
	'2_columns': {
		async up(k) {
			await k.schema.alterTable(TABLE, (t) => {
				t.text('remark');
				t.integer('points').notNullable().defaultTo(7);
				t.renameColumn('sex', 'gender');
				t.index('name');
				t.check('points > 0', [], 'positive');
			});
		},
		async down(k) {
			await k.schema.alterTable(TABLE, (t) => {
				t.dropChecks('positive');
				t.dropIndex('name');
				t.renameColumn('gender', 'sex');
				t.dropColumns('remark', 'points');
			});
		}
	},
	'3_types': {
		async up(k) {
			await k.schema.alterTable(TABLE, (t) => {
				t.text('name').notNullable().alter();
				t.bigInteger('points').notNullable().defaultTo(9).alter();
			});
			await k.raw("ALTER TYPE clinic.visit_state RENAME VALUE 'planned' TO 'foreseen'");
			await k(TABLE).where('id', 1).update({ name: 'renamed', points: 10 });
		},
		async down(k) {
			await k.raw("ALTER TYPE clinic.visit_state RENAME VALUE 'foreseen' TO 'planned'");
			await k.schema.alterTable(TABLE, (t) => {
				t.integer('points').notNullable().defaultTo(7).alter();
				t.string('name', 100).notNullable().alter();
			});
			await k(TABLE).where('id', 1).update({ name: 'one' });
		}
	},
	'4_rename': {
		async up(k) {
			await k.schema.withSchema('clinic').renameTable('patient', 'person');
			await k.schema.raw('CREATE VIEW clinic.names AS SELECT id, name FROM clinic.person');
			await k.raw('ALTER TABLE clinic.person ADD COLUMN born date, ADD COLUMN code text GENERATED ALWAYS AS (id || name) STORED');
		},
		async down(k) {
			await k.schema.raw('DROP VIEW clinic.names');
			await k.schema.alterTable('clinic.person', (t) => t.dropColumns('born', 'code'));
			await k.schema.withSchema('clinic').renameTable('person', 'patient');
		}
	},
	// the way round a change of the key: off the ledger, and on it again, in the migration's transaction
	'5_key': {
		async up(k) {
			await k.raw("SELECT medchain.unprotect('clinic.visit')");
			await k.schema.withSchema('clinic').alterTable('visit', (t) => {
				t.dropPrimary('visit_pkey');
				t.integer('n').notNullable().defaultTo(1);
				t.primary(['id', 'n']);
			});
			await k.raw("SELECT medchain.protect('clinic.visit', 'patient')");
		},
		async down(k) {
			await k.raw("SELECT medchain.unprotect('clinic.visit')");
			await k.schema.withSchema('clinic').alterTable('visit', (t) => {
				t.dropPrimary('visit_pkey');
				t.dropColumn('n');
				t.primary(['id']);
			});
			await k.raw("SELECT medchain.protect('clinic.visit', 'patient')");
		}
	}
};

const source = {
	getMigrations: async () => Object.keys(steps),
	getMigrationName: (name) => name,
	getMigration: async (name) => steps[name]
};

// What a migration may not do; done as the hint says, and undone with the rest.
const refused = {
	'dropping the primary key': { statement: `ALTER TABLE ${TABLE} DROP CONSTRAINT patient_pkey CASCADE`, code: '2BP01' },
	'another primary key': { statement: `ALTER TABLE ${TABLE} DROP CONSTRAINT patient_pkey CASCADE, ADD PRIMARY KEY (name, id)`, code: '2BP01' },
	'TRUNCATE': { statement: `TRUNCATE ${TABLE} CASCADE`, code: '42501', instead: true },
	'SET UNLOGGED': { statement: `ALTER TABLE ${VISIT} SET UNLOGGED`, code: '0A000' },
	'another type of the column of the examinee': { statement: `ALTER TABLE ${VISIT} ALTER COLUMN patient TYPE bigint`, code: '2BP01' },
	'dropping the column of the examinee': { statement: `ALTER TABLE ${VISIT} DROP COLUMN patient`, code: '2BP01' },
	'dropping it and what depends on it': { statement: `ALTER TABLE ${VISIT} DROP COLUMN patient CASCADE`, code: '2BP01' }
};

async function refuse(k, what, { statement, code, instead }) {
	const e = await error(k.transaction((t) => t.raw(statement)));
	is(e && e.code, code, `${what} is refused`);
	const step = advice(e && e.hint);
	ok(step, `${what}: the hint says what to do`, e && e.hint);
	const again = step && await error(k.transaction(async (t) => {
		await t.raw(step);
		if (!instead) {
			await t.raw(statement);
		}
		throw Object.assign(new Error(), { done: true });
	}));
	ok(again && again.done, `${what}: it works`, again);
}

run(async () => {
	const k = knex({ client: 'pg', connection: { user: 'keeper' }, pool: { min: 0, max: 3 }, migrations: { migrationSource: source } });

	for (let n = 1; n <= Object.keys(steps).length; n++) {
		const [, names] = await k.migrate.up();
		is(names.length, 1, `migration ${names[0]} up`);
		is(await ask('sound'), '', `${names[0]}: no fault`);
		if (n === 1) {
			is(await ask('changes', TABLE), 'insert 3', 'rows of a migration are on the ledger');
			is(await ask('changes', VISIT), 'insert 2', 'of the protected table, too');
			for (const [what, how] of Object.entries(refused)) {
				await refuse(k, what, how);
			}
			is(await ask('sound'), '', 'after what was refused: no fault');
		}
		if (n === 2) {
			is(await ask('changes', TABLE), 'update 3', 'a default is an update of each row');
		}
		if (n === 3) {
			is(await ask('changes', TABLE), 'baseline 3, update 1', 'another type is a new baseline');
		}
	}

	// the application goes on with the schema of now
	await k('clinic.person').insert({ name: 'four' });
	await k('clinic.person').where('id', 2).del();
	is((await k('clinic.names').orderBy('id').pluck('name')), ['renamed', 'three', 'four'], 'the application goes on');
	is(await ask('sound'), '', 'between the migrations: no fault');

	// one that fails halfway leaves nothing
	steps['6_broken'] = {
		async up(t) {
			await t.schema.alterTable('clinic.person', (x) => x.text('lost'));
			await t('clinic.person').insert({ name: 'lost' });
			await t.raw('SELECT 1 / 0');
		},
		async down() {}
	};
	await ask('changes', TABLE);
	const broken = await error(k.migrate.latest());
	is(broken && broken.code, '22012', 'a migration that fails');
	delete steps['6_broken'];
	is(await ask('changes', TABLE), '', 'leaves nothing on the ledger');

	for (const name of Object.keys(steps).reverse()) {
		const [, names] = await k.migrate.down();
		is(names, [name], `migration ${name} down`);
		is(await ask('sound'), '', `${name} down: no fault`);
	}
	is(await ask('tables'), '0', 'nothing is left of the tables');
	// and once more, from the beginning to the end and back
	is((await k.migrate.latest())[1].length, 5, 'all migrations at once');
	is(await ask('sound'), '', 'up again: no fault');
	is((await k.migrate.rollback(undefined, true))[1].length, 5, 'and all of them back');
	is(await ask('sound'), '', 'down again: no fault');
	await k.destroy();
});
