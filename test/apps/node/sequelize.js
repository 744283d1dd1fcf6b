// Sequelize: a model's tables by sync(), altered by sync({ alter: true }) and the query interface, up and down, on the ledger.
'use strict';

const { Sequelize, DataTypes, QueryTypes } = require('sequelize');
const { ok, is, ask, error, advice, run } = require('./harness.js');

run(async () => {
	const db = new Sequelize({ dialect: 'postgres', username: 'keeper', host: process.env.PGHOST, port: process.env.PGPORT, database: process.env.PGDATABASE,
		schema: 'clinic', logging: false, pool: { max: 3 } });
	const query = db.getQueryInterface();
	const call = (text, transaction) => db.query(`SELECT medchain.${text}`, { type: QueryTypes.SELECT, transaction });

	const Ward = db.define('ward', { name: { type: DataTypes.STRING, unique: true } }, { schema: 'clinic' });
	const Stay = db.define('stay', {
		patient: { type: DataTypes.STRING(40), allowNull: false },
		kind: DataTypes.ENUM('urgent', 'planned'),
		facts: DataTypes.JSONB,
		tags: DataTypes.ARRAY(DataTypes.TEXT),
		from: { type: DataTypes.DATE, defaultValue: Sequelize.NOW }
	}, { schema: 'clinic', paranoid: true, version: true });
	Stay.belongsTo(Ward, { onDelete: 'SET NULL' });

	await db.sync();
	await call(`ledger_table('clinic.wards')`);
	await call(`protect('clinic.stays', 'patient')`);
	const a = await Ward.create({ name: 'A' });
	const made = await Stay.bulkCreate(Array.from({ length: 20 }, (_, i) => ({ patient: `P${i % 2}`, kind: i % 3 ? 'planned' : 'urgent', facts: { i }, tags: [`t${i}`], wardId: a.id })));
	is(await ask('changes', 'clinic.stays'), 'insert 20', 'bulkCreate() is on the ledger');
	await made[0].update({ kind: 'planned' });
	await made[1].destroy();		// paranoid: an update
	await made[2].destroy({ force: true });
	await Ward.findOrCreate({ where: { name: 'B' } });
	await Ward.upsert({ id: a.id, name: 'A2' });
	is(await ask('changes', 'clinic.stays'), 'update 2, delete 1', 'update() and destroy()');
	is(await ask('changes', 'clinic.wards'), 'insert 2, update 1', 'findOrCreate() and upsert()');
	const undone = await error(db.transaction(async (transaction) => {
		await Stay.update({ kind: 'urgent' }, { where: {}, transaction });
		throw new Error('undone');
	}));
	is([undone.message, await ask('changes', 'clinic.stays')], ['undone', ''], 'a managed transaction that is rolled back');
	await a.destroy();
	is(await ask('changes', 'clinic.stays'), 'update 19', 'ON DELETE SET NULL, of rows that destroy() has only marked as well');
	is(await ask('sound'), '', 'no fault');

	// the model is changed, and sync() follows it
	const Changed = db.define('stay', {
		...Object.fromEntries(Object.entries(Stay.getAttributes()).filter(([n]) => ['patient', 'kind', 'facts', 'tags', 'from', 'wardId'].includes(n))),
		kind: DataTypes.ENUM('urgent', 'planned', 'referred'),
		points: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 3 }
	}, { schema: 'clinic', paranoid: true, version: true });
	const altered = await error(db.sync({ alter: true }));
	is(altered && altered.parent.code, '2BP01', 'sync({ alter: true }), which sets the type of all columns anew, is refused');
	is(advice(altered.parent.hint), "SELECT medchain.unprotect('clinic.stays')", 'with what to do');
	await call("unprotect('clinic.stays')");
	is(await error(db.sync({ alter: true })), null, 'which works');
	await call("protect('clinic.stays', 'patient')");
	is(await ask('sound'), '', 'after sync({ alter: true }): no fault');
	await Changed.create({ patient: 'P1', kind: 'referred' });
	is(await ask('sound'), '', 'the model goes on');
	const stays = await Changed.count();
	await ask('changes', 'clinic.stays');

	// the query interface, as migrations use it
	const table = { tableName: 'stays', schema: 'clinic' };
	await db.transaction(async (transaction) => {
		await query.addColumn(table, 'room', { type: DataTypes.STRING, defaultValue: 'none' }, { transaction });
		await query.renameColumn(table, 'tags', 'labels', { transaction });
		await query.changeColumn(table, 'points', { type: DataTypes.BIGINT }, { transaction });
		await query.addIndex(table, ['room'], { transaction });
		await query.addConstraint(table, { fields: ['points'], type: 'check', name: 'positive', where: { points: { [Sequelize.Op.gt]: 0 } }, transaction });
	});
	is(await ask('sound'), '', 'migrated up: no fault');
	await db.transaction(async (transaction) => {
		await query.removeConstraint(table, 'positive', { transaction });
		await query.removeColumn(table, 'room', { transaction });
		await query.renameColumn(table, 'labels', 'tags', { transaction });
		await query.changeColumn(table, 'points', { type: DataTypes.INTEGER }, { transaction });
	});
	is(await ask('sound'), '', 'migrated down: no fault');

	// what it does between tests
	const truncated = await error(Changed.destroy({ truncate: true, force: true }));
	is(truncated && truncated.parent.code, '42501', 'destroy({ truncate: true }) is refused');
	is(truncated && advice(truncated.parent.hint), 'DELETE FROM clinic.stays', 'with what to do instead');
	await Changed.destroy({ where: {}, force: true });
	ok(/delete \d+$/.test(await ask('changes', 'clinic.stays')), 'the ledger says which rows are gone');
	is([stays > 0, await Changed.count({ paranoid: false })], [true, 0], 'the table is empty');
	is(await ask('sound'), '', 'emptied: no fault');
	await db.sync({ force: true });
	is(await ask('tables'), '0', 'sync({ force: true }) makes new tables, which are not on the ledger');
	is(await ask('sound'), '', 'dropped: no fault');
	await db.drop();
	await db.close();
});
