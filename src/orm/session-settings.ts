// Without MikroORM, which `signalbox new` runs without.

/** Settings of a session that decide on the texts of values: those that the driver reads, and SQL about a column of that name. */
export const plainSettings = [
  { name: 'datestyle', value: 'ISO', isPlain: "datestyle like 'ISO%'" },
  { name: 'intervalstyle', value: 'postgres', isPlain: "intervalstyle = 'postgres'" },
  { name: 'extra_float_digits', value: '1', isPlain: 'extra_float_digits::int > 0' },
] as const;

/**
 * The first parts of a `with`. What reads a row of `_plain` before it makes the text of a value makes it as the driver reads it, whatever the
 * session of the transaction says: the settings are those of the transaction from then on.
 *
 * The text has to be made of columns: that of a parameter is made when the statement is planned, with the settings of before.
 */
export const plainTexts = `_was as materialized (select ${plainSettings.map(({ name }) => `current_setting('${name}') as ${name}`).join(', ')}),
_plain as materialized (select case when not (${plainSettings.map(({ isPlain }) => isPlain).join(' and ')})
  then ${plainSettings.map(({ name, value }) => `set_config('${name}', '${value}', true)`).join(' || ')} else '' end as changed from _was)`;

/** A query that gives the transaction its own settings again. */
export const formerTexts = `select case when _plain.changed <> ''
  then ${plainSettings.map(({ name }) => `set_config('${name}', _was.${name}, true)`).join(' || ')} end as former from _was, _plain`;
