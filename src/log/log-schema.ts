import type { EntityManager } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';
import { plainSettings } from '../orm/session-settings.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { runStatement, writeConnection } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { doorbellChannel } from './doorbell.js';

/** The partitions of the log, used in turn: rows go into one slot for `slotMinutes`, then into the next, which was emptied before. */
export const slots = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** Keys of the advisory locks that are held while the tables are made and while a slot is emptied. */
export const lockOfSchema = 'pg_advisory_xact_lock(1397311310, 1)';
export const lockOfPruning = 'pg_try_advisory_xact_lock(1397311310, 2)';

/** Is raised with each change of the SQL below that is incompatible with other versions of Signalbox. */
const version = 1;

type Shape = Pick<ChangeLogSettings, 'durability' | 'slotMinutes'>;

/**
 * The SQL that makes the change log, one statement per item.
 *
 * PostgreSQL empties `unlogged` tables after a crash, `state` among them: a reader that finds no epoch there has missed something. In a
 * partitioned table only the partitions can be unlogged.
 */
export function logSchema({ durability, slotMinutes }: Shape): readonly string[] {
  const table = tableOf(durability);
  return [
    ownSchema,
    `create table signalbox.version (
  one boolean primary key default true check (one),
  version integer not null,
  slot_minutes integer not null
)`,
    `insert into signalbox.version (version, slot_minutes) values (${version}, ${slotMinutes})`,
    `create table signalbox.log (
  id bigint not null generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  slot smallint not null default ${slotAt(slotMinutes)},
  entries text not null
) partition by list (slot)`,
    ...slots.map((slot) => `create ${table} signalbox.log_${slot} partition of signalbox.log for values in (${slot})`),
    'create index log_id on signalbox.log (id)',
    'create index log_xid on signalbox.log (xid)',
    timelineFunction,
    systemFunction,
    readFunction,
    `create ${table} signalbox.state (
  one boolean primary key default true check (one),
  epoch uuid not null default gen_random_uuid(),
  system text not null default signalbox.system(),
  floor_id bigint not null default 0,
  floor pg_snapshot not null default '1:1:',
  mark pg_snapshot not null default pg_current_snapshot(),
  marked_at timestamptz not null default clock_timestamp()
)`,
    ...laterTables(table),
    newEpoch,
  ];
}

function tableOf(durability: Shape['durability']): 'unlogged table' | 'table' {
  return durability === 'unlogged' ? 'unlogged table' : 'table';
}

/** Tables that an earlier version of Signalbox did not make; they are added to its databases. */
function laterTables(table: 'unlogged table' | 'table'): readonly string[] {
  return [
    `create table if not exists signalbox.observed (
  model text primary key,
  needs_before boolean not null,
  shown text[] not null,
  compared text[] not null,
  at timestamptz not null default clock_timestamp()
)`,
    `create ${table} if not exists signalbox.ticket (
  key text primary key,
  identity text not null,
  origin text,
  ends_at timestamptz not null
)`,
  ];
}

const namesOfLaterTables = ['observed', 'ticket'] as const;

/** `create schema if not exists` needs the right to make schemas, even if the schema exists and was made for this role. */
const ownSchema = `do $$ begin
  if not exists (select from pg_namespace where nspname = 'signalbox') then create schema signalbox; end if;
end $$`;

/** The current slot. */
function slotAt(slotMinutes: number): string {
  return `(floor(extract(epoch from clock_timestamp()) / ${slotMinutes * 60})::bigint % ${slots.length})::smallint`;
}

/** The history that the server's write-ahead log belongs to; it changes when a standby is promoted. Not all servers report it. */
const timelineFunction = `create function signalbox.timeline() returns text language plpgsql as $$
begin
  return left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
exception when others then
  return '';
end $$`;

/** The server's own number; it changes when a dump is restored on another server. Not all servers report it. */
const systemFunction = `create function signalbox.system() returns text language plpgsql as $$
begin
  return (select system_identifier::text from pg_control_system());
exception when others then
  return '';
end $$`;

/**
 * Returns what the current snapshot sees and the position in the arguments does not: first a row about the snapshot itself, then rows of
 * the log by id. Beyond `most_bytes` rows come without their entries.
 *
 * It is a function because PostgreSQL would plan the statement again for each position, which takes longer than running it, and without
 * statistics would compile it for a second. It is `volatile` so that its statement has a snapshot of its own: one that was taken after the
 * locks on the partitions, and that sees the floor of everything truncated before.
 */
const readFunction = `create function signalbox.read_log(
  seen_end xid8, seen_open xid8[], seen_newest bigint, most_rows bigint, most_bytes bigint
) returns table (snapshot text, epoch text, floor text, floor_id bigint, id bigint, xid text, entries text)
language plpgsql volatile rows 100
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  if pg_is_in_recovery() then
    raise exception 'This server is a standby: the change log is read on the primary.' using errcode = 'read_only_sql_transaction';
  end if;
  return query
  select pg_current_snapshot()::text, state.epoch || '/' || signalbox.timeline(), state.floor::text, state.floor_id,
    null::bigint, null::text, null::text
  from (select 1) this left join signalbox.state on true
  union all
  select null, null, null, null, r.id, r.xid::text, case when r.bytes <= most_bytes then r.entries end
  from (
    select unseen.*, sum(octet_length(unseen.entries)) over (order by unseen.id rows unbounded preceding) as bytes
    from (
      select log.id, log.xid, log.entries from signalbox.log
      where log.xid >= seen_end or log.xid = any (seen_open) or log.id > seen_newest
      limit most_rows
    ) unseen
  ) r
  order by 5 nulls first;
end $$`;

/** Makes an epoch if there is none: on new tables, and after a crash has emptied unlogged ones. */
const newEpoch = 'insert into signalbox.state default values on conflict do nothing';

/** The rights that a role needs to write, read and prune the log. */
function grants(role: string): readonly string[] {
  const name = `"${role.replaceAll('"', '""')}"`;
  return [
    `grant usage on schema signalbox to ${name}`,
    `grant select on signalbox.version to ${name}`,
    `grant select, insert on signalbox.log to ${name}`,
    `grant select, insert, update on signalbox.state to ${name}`,
    `grant select, insert, update, delete on ${namesOfLaterTables.map((name) => `signalbox.${name}`).join(', ')} to ${name}`,
    `grant truncate on ${slots.map((slot) => `signalbox.log_${slot}`).join(', ')} to ${name}`,
    `grant execute on all functions in schema signalbox to ${name}`,
  ];
}

/**
 * The SQL as a script for `psql`, in one transaction.
 *
 * @param role the role that the application connects as, if another one runs the script
 */
export function logScript(shape: Shape, role?: string): string {
  return script([...logSchema(shape), ...(role === undefined ? [] : grants(role))]);
}

/** Empties the log so that no reader overlooks it: the new epoch makes all readers begin again, and the doorbell wakes them. */
export const emptyingScript = script([
  'truncate signalbox.log',
  'delete from signalbox.state',
  newEpoch,
  `select pg_notify('${doorbellChannel}', 'log')`,
]);

function script(statements: readonly string[]): string {
  return ['begin', ...statements, 'commit'].map((statement) => `${statement};\n`).join('');
}

/** The first facts that are read from a server. */
interface Server {
  readonly number: number;
  readonly text: string;
  readonly isStandby: boolean;
  /** Settings of its sessions that give values texts which the driver cannot read, such as `datestyle = 'German, DMY'`. */
  readonly unreadable: string;
  readonly role: string;
  readonly hasLog: boolean;
  /** Whether it also has the tables of this version. */
  readonly hasAll: boolean;
  readonly mayMake: boolean;
}

const schema = `(select oid from pg_namespace where nspname = 'signalbox')`;

const serverQuery = `select current_setting('server_version_num')::int as number, current_setting('server_version') as text,
  pg_is_in_recovery() as "isStandby", concat_ws(', ', ${plainSettings.map(unlessPlain).join(', ')}) as unreadable, current_user::text as role, ${exists('version')} as "hasLog",
  ${namesOfLaterTables.map(exists).join(' and ')} as "hasAll",
  coalesce(has_schema_privilege(${schema}, 'create'), has_database_privilege(current_database(), 'create')) as "mayMake"`;

function unlessPlain({ name, isPlain }: (typeof plainSettings)[number]): string {
  return `(select '${name} = ' || quote_literal(${name}) from current_setting('${name}') ${name} where not (${isPlain}))`;
}

/** Whether a table exists, by the catalog: `to_regclass` fails if the role may not look into the schema. */
function exists(table: string): string {
  return `exists (select from pg_class c where c.relname = '${table}' and c.relnamespace = ${schema})`;
}

/** Lists the rights that the role lacks, such as `truncate on signalbox.log_0`. */
const missingRightsQuery = `select wanted.privilege || ' on signalbox.' || wanted.name as missing
from (values ('select', 'version'), ('select', 'log'), ('insert', 'log'), ('select', 'state'), ('insert', 'state'), ('update', 'state'),
  ${namesOfLaterTables.flatMap((name) => ['select', 'insert', 'update', 'delete'].map((right) => `('${right}', '${name}')`)).join(', ')},
  ${slots.map((slot) => `('truncate', 'log_${slot}')`).join(', ')}) wanted (privilege, name)
left join pg_class c on c.relname = wanted.name and c.relnamespace = ${schema}
where c.oid is null or not has_table_privilege(c.oid, wanted.privilege)
union all
select 'execute on function signalbox.' || wanted.name || '()'
from (values ('read_log'), ('timeline'), ('system')) wanted (name)
left join pg_proc p on p.proname = wanted.name and p.pronamespace = ${schema}
where p.oid is null or not has_function_privilege(p.oid, 'execute')
union all
select 'usage on schema signalbox' where not has_schema_privilege(${schema}, 'usage')
order by 1`;

const shapeQuery = `select v.version, v.slot_minutes as "slotMinutes", c.relpersistence = 'u' as "isUnlogged", signalbox.timeline() as timeline,
  current_setting('synchronous_commit') = 'off' as "isAsynchronous"
from signalbox.version v, pg_class c where c.relname = 'log_0' and c.relnamespace = ${schema}`;

/** Renews the epoch if the server is another one: a restored dump brings the epoch of its first server along. */
const ownEpoch = `update signalbox.state set epoch = gen_random_uuid(), system = signalbox.system() where system <> signalbox.system()`;

/** PostgreSQL's code for missing rights. */
export const notAllowed = '42501';

/**
 * Checks that the database has the change log, and makes it if not. Excludes the schema `signalbox` from the comparison of MikroORM's
 * schema generator, which would drop tables that it does not know. May be called again at any time.
 *
 * @throws ConfigurationError if the server cannot have the log, or if the role may not make or use it, with the SQL that helps
 */
export async function prepareLog(em: EntityManager, settings: Shape, logger: Logger): Promise<void> {
  ignoreSchema(em);
  const client = await connect(em);
  const { hasAll, role } = await fitServer(client);
  if (!hasAll) await make(em, settings, role);
  const found = await usableLog(client, role);
  await query(client, newEpoch);
  await query(client, ownEpoch);
  noteWeakness(found, settings, logger);
  await reshape(em, found, settings, logger);
}

/**
 * Checks whether the application could have its change log, and changes nothing.
 *
 * @throws ConfigurationError as `prepareLog` does
 */
export async function checkLog(em: EntityManager, settings: Shape): Promise<void> {
  const client = await connect(em);
  const { hasLog, hasAll, mayMake, role } = await fitServer(client);
  if (hasAll) await usableLog(client, role);
  else if (!mayMake)
    throw mayNotMake(settings, role, hasLog, `permission denied to create a ${hasLog ? 'table' : 'schema'}`);
}

async function connect(em: EntityManager): Promise<StatementConnection> {
  const connection = writeConnection(em);
  await connection.ensureConnection();
  return connection.getClient();
}

function ignoreSchema(em: EntityManager): void {
  const generator = em.config.get('schemaGenerator') as { ignoreSchema?: string[] };
  const ignored = generator.ignoreSchema ?? [];
  if (!ignored.includes('signalbox')) generator.ignoreSchema = [...ignored, 'signalbox'];
}

async function fitServer(client: StatementConnection): Promise<Server> {
  const server = await one<Server>(client, serverQuery);
  if (server.number < 130_000)
    throw fault(`is PostgreSQL ${server.text}, and the change log needs 13 or newer.`, 'Upgrade the server.');
  if (server.isStandby)
    throw fault(
      'is a standby, which takes no writes.',
      'Give MikroORM the address of the primary; standbys go into `replicas`.',
    );
  if (server.unreadable !== '') throw unreadableTexts(server);
  return server;
}

/** The log's own statements work with these settings, but every read of the application and of MikroORM would be wrong. */
function unreadableTexts({ unreadable, role }: Server): ConfigurationError {
  const resets = plainSettings.filter(({ name }) => unreadable.includes(name));
  const options = plainSettings.map(({ name, value }) => `-c ${name}=${value}`).join(' ');
  const sql = resets.map(({ name, value }) => `alter role "${role}" set ${name} = '${value}';`).join('\n');
  return fault(
    `has sessions with ${unreadable}, whose dates, intervals and numbers the driver reads wrongly, or with lost digits.`,
    `Give its connections settings that it reads: driverOptions: { options: '${options}' }, or run this.\n\n${sql}`,
  );
}

async function make(em: EntityManager, settings: Shape, role: string): Promise<void> {
  let hasLog = false;
  try {
    await writeConnection(em).transactional(async (transaction) => {
      await query(transaction, `select ${lockOfSchema}`);
      // Another process may have made it while this one waited.
      ({ hasLog } = await one<Server>(transaction, serverQuery));
      const statements = hasLog ? laterTables(tableOf(settings.durability)) : logSchema(settings);
      for (const statement of statements) await query(transaction, statement);
    });
  } catch (error) {
    if (codeOf(error) !== notAllowed) throw error;
    throw mayNotMake(settings, role, hasLog, (error as Error).message);
  }
}

function mayNotMake(settings: Shape, role: string, hasLog: boolean, cause: string): ConfigurationError {
  if (hasLog) {
    const missing = [...laterTables(tableOf(settings.durability)), ...grants(role)];
    const reason = `has the change log of an earlier version of Signalbox, and its role "${role}" may not complete it: ${cause}.`;
    return fault(reason, `Run this as the owner of the tables.\n\n${script(missing)}`);
  }
  const reason = `has no change log yet, and its role "${role}" may not make it: ${cause}.`;
  const remedy = `Run this as a role that may; \`npx signalbox log:sql --role ${role}\` prints it too.`;
  return fault(reason, `${remedy}\n\n${logScript(settings, role)}`);
}

async function usableLog(client: StatementConnection, role: string): Promise<Found> {
  const rows = await query<{ readonly missing: string }>(client, missingRightsQuery);
  if (rows.length > 0) {
    const missing = rows.map((row) => row.missing).join(', ');
    throw fault(
      `has a change log that its role "${role}" may not use: it lacks ${missing}.`,
      `Run this as the owner of the tables.\n\n${script(grants(role))}`,
    );
  }
  const found = await one<Found>(client, shapeQuery);
  if (found.version > version)
    throw fault(
      'has a change log of a newer version of Signalbox.',
      'Run that version, or a newer one, in all processes.',
    );
  return found;
}

/** How the tables were made, and which guarantees the server does not give for them. */
interface Found {
  readonly version: number;
  readonly slotMinutes: number;
  readonly isUnlogged: boolean;
  readonly timeline: string;
  readonly isAsynchronous: boolean;
}

function noteWeakness({ timeline, isAsynchronous }: Found, { durability }: Shape, logger: Logger): void {
  if (durability === 'unlogged') return;
  if (timeline === '')
    logger.warn('The database does not show its timeline: after a failover, changes may be missed without a word.');
  if (isAsynchronous)
    logger.warn(
      'synchronous_commit is off: after a crash of the database server, changes may be missed without a word.',
    );
}

/** Adapts tables that were made with other settings, if the role owns them and no transaction holds them. */
async function reshape(em: EntityManager, found: Found, settings: Shape, logger: Logger): Promise<void> {
  const changes = changesOf(found, settings);
  if (changes.length === 0) return;
  try {
    await writeConnection(em).transactional(async (transaction) => {
      await query(transaction, `set local lock_timeout = '200ms'`);
      await query(transaction, `select ${lockOfSchema}`);
      for (const change of changes) await query(transaction, change);
    });
  } catch (error) {
    logger.warn('The change log does not have the shape that the settings ask for, and could not be altered.', {
      error,
      sql: script(changes),
    });
  }
}

function changesOf(found: Found, { durability, slotMinutes }: Shape): readonly string[] {
  const changes: string[] = [];
  if (found.slotMinutes !== slotMinutes) {
    changes.push(`alter table signalbox.log alter column slot set default ${slotAt(slotMinutes)}`);
    changes.push(`update signalbox.version set slot_minutes = ${slotMinutes}`);
  }
  if (found.isUnlogged !== (durability === 'unlogged'))
    for (const table of [...slots.map((slot) => `log_${slot}`), 'state', 'ticket'])
      changes.push(`alter table signalbox.${table} set ${durability}`);
  return changes;
}

async function query<Row>(connection: StatementConnection, text: string): Promise<readonly Row[]> {
  return runStatement<Row>(connection, { text }, []);
}

async function one<Row>(connection: StatementConnection, text: string): Promise<Row> {
  const [row] = await query<Row>(connection, text);
  if (row === undefined) throw new Error(`The database answered nothing to: ${text}`);
  return row;
}

/** PostgreSQL's code of an error, such as `42P01`. */
export function codeOf(error: unknown): string {
  return String(Reflect.get(Object(error), 'code'));
}

function fault(reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'createApp', member: 'orm', reason, remedy });
}
