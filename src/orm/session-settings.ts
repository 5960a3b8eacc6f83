// This file imports no MikroORM, because `signalbox new` runs without it.

/**
 * Settings of a session that decide how values are written as text: the value that the driver expects, and the SQL of a column with that
 * name.
 */
export const plainSettings = [
  { name: 'datestyle', value: 'ISO', isPlain: "datestyle like 'ISO%'" },
  { name: 'intervalstyle', value: 'postgres', isPlain: "intervalstyle = 'postgres'" },
  { name: 'extra_float_digits', value: '1', isPlain: 'extra_float_digits::int > 0' },
] as const;

/**
 * The first parts of a `with`. A query that reads a row of `_plain` before it makes a value's text makes the text that the driver expects,
 * whatever the settings of the session: they stay in force for the rest of the transaction.
 *
 * The text has to be made of columns: PostgreSQL makes the text of a parameter when it plans the statement, with the settings of before.
 */
export const plainTexts = `_was as materialized (select ${plainSettings.map(({ name }) => `current_setting('${name}') as ${name}`).join(', ')}),
_plain as materialized (select case when not (${plainSettings.map(({ isPlain }) => isPlain).join(' and ')})
  then ${plainSettings.map(({ name, value }) => `set_config('${name}', '${value}', true)`).join(' || ')} else '' end as changed from _was)`;

/** A query that restores the settings that the transaction had before. */
export const formerTexts = `select case when _plain.changed <> ''
  then ${plainSettings.map(({ name }) => `set_config('${name}', _was.${name}, true)`).join(' || ')} end as former from _was, _plain`;
