import type { EntityManager } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';
import { plainSettings } from '../orm/session-settings.js';
import { runStatement, type StatementConnection, writeConnection } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { doorbellChannel } from './doorbell.js';

/** The partitions of the log. Rows go round: into one for `slotMinutes`, then into the next, which was emptied before. */
export const slots = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** Keys of the advisory locks: while the tables are made, and while a slot is emptied. */
export const lockOfSchema = 'pg_advisory_xact_lock(1397311310, 1)';
export const lockOfPruning = 'pg_try_advisory_xact_lock(1397311310, 2)';

/** Raised with each change of the SQL below that another version of Signalbox cannot work with. */
const version = 1;

type Shape = Pick<ChangeLogSettings, 'durability' | 'slotMinutes'>;

/**
 * The SQL that makes the change log, statement by statement.
 *
 * PostgreSQL empties `unlogged` tables after a crash, `state` among them: a reader that finds no epoch there has missed something. Of a
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

/** Tables that databases of an earlier version of Signalbox lack: they are added there. */
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

/** `create schema if not exists` asks for the right to make schemas even where the schema is there, made for this role. */
const ownSchema = `do $$ begin
  if not exists (select from pg_namespace where nspname = 'signalbox') then create schema signalbox; end if;
end $$`;

/** The slot of this moment. */
function slotAt(slotMinutes: number): string {
  return `(floor(extract(epoch from clock_timestamp()) / ${slotMinutes * 60})::bigint % ${slots.length})::smallint`;
}

/** The history that the server's write-ahead log belongs to: another one after a standby was promoted. Not all servers tell. */
const timelineFunction = `create function signalbox.timeline() returns text language plpgsql as $$
begin
  return left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
exception when others then
  return '';
end $$`;

/** The server's own number: another one after a dump was restored elsewhere. Not all servers tell. */
const systemFunction = `create function signalbox.system() returns text language plpgsql as $$
begin
  return (select system_identifier::text from pg_control_system());
exception when others then
  return '';
end $$`;

/**
 * What a snapshot of now sees, and the position that the arguments describe has not: first a row about the snapshot itself, then rows of
 * the log by id. Beyond `most_bytes` rows come without their entries.
 *
 * A function, because PostgreSQL would plan the statement anew for each position, which takes longer than to run it, and where it has
 * no statistics yet would compile it for a second. It is `volatile`, so that the statement in it has a snapshot of its own: one
 * that was taken after the locks on the partitions, and sees the floor of whatever was truncated before.
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

/** Where there is none: on new tables, and after a crash has emptied unlogged ones. */
const newEpoch = 'insert into signalbox.state default values on conflict do nothing';

/** What a role needs to write, read and prune the log. */
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
 * @param role that the application connects as, where it is not the one that runs the script
 */
export function logScript(shape: Shape, role?: string): string {
  return script([...logSchema(shape), ...(role === undefined ? [] : grants(role))]);
}

/** Empties the log without a reader missing that: the new epoch tells all of them to begin anew, and the doorbell when. */
export const emptyingScript = script([
  'truncate signalbox.log',
  'delete from signalbox.state',
  newEpoch,
  `select pg_notify('${doorbellChannel}', 'log')`,
]);

function script(statements: readonly string[]): string {
  return ['begin', ...statements, 'commit'].map((statement) => `${statement};\n`).join('');
}

/** What is asked of a server before anything else. */
interface Server {
  readonly number: number;
  readonly text: string;
  readonly isStandby: boolean;
  /** Settings of its sessions with which values have texts that the driver does not read, such as `datestyle = 'German, DMY'`. */
  readonly unreadable: string;
  readonly role: string;
  readonly hasLog: boolean;
  /** Whether it has the tables of this version, too. */
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

/** Asked of the catalog: `to_regclass` fails where the role may not look into the schema. */
function exists(table: string): string {
  return `exists (select from pg_class c where c.relname = '${table}' and c.relnamespace = ${schema})`;
}

/** The rights that the role lacks, such as `truncate on signalbox.log_0`. */
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

/** A dump that was restored on another server brings the epoch of the first one along. */
const ownEpoch = `update signalbox.state set epoch = gen_random_uuid(), system = signalbox.system() where system <> signalbox.system()`;

/** PostgreSQL's code for rights that are missing. */
export const notAllowed = '42501';

/**
 * Sees that the database has the change log, and makes it where it has none. Leaves the schema `signalbox` out of what MikroORM's schema
 * generator compares, because it would drop what it does not know. Can be called again at any time.
 *
 * @throws ConfigurationError where the server cannot have it, or the role may not make or use it, with the SQL that helps
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
 * Looks whether the application could have its change log, and changes nothing.
 *
 * @throws ConfigurationError as `prepareLog` would
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

/** The statements of the log do without, but every read of the application, MikroORM's own among them, would be wrong. */
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

/** How the tables were made, and what the server does not promise of them. */
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

/** Brings tables that were made with other settings in line, where the role owns them and no transaction is in the way. */
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
