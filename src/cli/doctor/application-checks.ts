import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { machineDeadlines } from '../../clock.js';
import { checkLog } from '../../log/log-schema.js';
import { checkDatabase } from '../../orm/database-check.js';
import { isEmbedded, usesDatabase } from '../../orm/database-facts.js';
import type { App } from '../../server/app.js';
import { defaultSettings } from '../../settings.js';
import type { Check, Finding } from './check.js';

/** How long a database server, or a channel layer's server, may take to answer, in milliseconds. */
const PATIENCE = 5_000;

/** Reports what start-up refuses: captive dependencies, providers without a decorator, contradicting options. */
export const applicationIsPutTogether: Check = ({ app }) => {
  if (!(app instanceof Error)) return [];
  return [
    {
      severity: 'error',
      text: app.message,
      remedy: 'Correct it, build, and run the doctor again: other checks need it.',
    },
  ];
};

export const observersHaveGroups = ofApplication((app) => {
  const streams = app.describe().routes.flatMap((route) => route.streams);
  const open = streams.flatMap(({ consumer, observers }) =>
    observers
      .filter(({ groups }) => groups === null)
      .map(({ member, model, signal }) => ({ consumer, member, of: model ?? signal })),
  );
  return open.map(({ consumer, member, of }) => ({
    severity: 'note',
    text: `${consumer}.${member} has no groups, so each change of ${of} is sent to every subscription.`,
    remedy: `Where a subscription concerns some of them only, yield groups: @GroupsForSignal('${member}') and @GroupsForConsumer('${member}').`,
  }));
});

/**
 * Finds entities that the ORM does not discover. It reads the sources, because an entity in a file that is not imported is not even
 * defined.
 */
export const entitiesAreDiscovered: Check = async ({ app, folder }) => {
  if (app instanceof Error) return [];
  const known = new Set([...app.orm.em.getMetadata().getAll().values()].map(({ className }) => className));
  const names = await readdir(join(folder, 'src'), { recursive: true }).catch(() => []);
  const findings: Finding[] = [];
  for (const name of names.filter((one) => one.endsWith('.ts')).sort()) {
    const text = await readFile(join(folder, 'src', name), 'utf8');
    for (const [, entity = ''] of text.matchAll(
      /^@Entity\([^\n]*\)\n(?:@[^\n]*\n)*export (?:abstract )?class (\w+)/gm,
    )) {
      if (known.has(entity)) continue;
      findings.push({
        severity: 'warning',
        text: `src/${name} has the entity ${entity}, which MikroORM does not know.`,
        remedy: 'Add it to the `entities` of MikroORM.init.',
      });
    }
  }
  return findings;
};

export const databaseAnswers: Check = async ({ app }) => {
  if (app instanceof Error) return [];
  const { em } = app.orm;
  // Its files belong to one process, which may be running.
  if (isEmbedded(app.orm)) return [];
  try {
    await within(PATIENCE, checkDatabase(app.orm));
    return await changeLogFindings(app);
  } catch (error) {
    return [
      {
        severity: 'error',
        text: `The database does not answer: ${reasonOf(error)}`,
        remedy: 'Start it, or correct its address (DATABASE_URL in the environment or in .env).',
      },
    ];
  } finally {
    await em.getConnection().close();
  }
};

/** Checks the channel layer and closes it: an application that was not started has sent nothing. */
export const channelLayerAnswers: Check = async ({ app }) => {
  if (app instanceof Error) return [];
  const { channelLayer } = app;
  // The application may have another copy of the framework, with other classes.
  const layer = channelLayer.constructor.name;
  if (layer === 'InMemoryChannelLayer') return [inMemoryFinding(app)];
  // Another check reports an unreachable database.
  if (layer === 'NotifyChannelLayer' && !(await hasDatabase(app))) return [];
  try {
    await within(PATIENCE, channelLayer.check());
    return [{ severity: 'ok', text: `The channel layer is ${layer}, and it answers.` }];
  } catch (error) {
    return [
      {
        severity: 'error',
        text: `The channel layer ${layer} does not answer: ${reasonOf(error)}`,
        remedy:
          layer === 'NotifyChannelLayer'
            ? 'Give MikroORM the address of PostgreSQL itself: a pooler in transaction mode passes no notifications on. Or give createApp a RedisChannelLayer.'
            : `Start the server of ${layer}, or correct its address.`,
      },
    ];
  } finally {
    await within(PATIENCE, channelLayer.close()).catch(() => {});
  }
};

function inMemoryFinding(app: App): Finding {
  const text = 'The channel layer is InMemoryChannelLayer, which reaches this process only.';
  // An application without entities does not use its database, which may not exist.
  if (isEmbedded(app.orm) || !usesDatabase(app.orm)) return { severity: 'ok', text };
  return {
    severity: 'note',
    text,
    remedy:
      'Where several processes serve the application, leave out the option `channelLayer` and `changeLog.listen: false`, or give createApp a RedisChannelLayer.',
  };
}

async function hasDatabase({ orm }: App): Promise<boolean> {
  try {
    await within(PATIENCE, checkDatabase(orm));
    return true;
  } catch {
    return false;
  } finally {
    await orm.em.getConnection().close();
  }
}

/** Checks the change log, which only observers need. */
async function changeLogFindings(app: App): Promise<readonly Finding[]> {
  const hasObservers = app
    .describe()
    .routes.some(({ streams }) => streams.some(({ observers }) => observers.length > 0));
  if (!hasObservers) return [];
  try {
    await within(PATIENCE, checkLog(app.orm.em, app.settings.changeLog));
    return [];
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ConfigurationError') throw error;
    const [sentence = ''] = error.message.split('\n\n');
    return [
      {
        severity: 'error',
        text: `The change log cannot be used. ${sentence}`,
        remedy: 'The SQL of the tables and of the rights: npx signalbox log:sql --role <role>',
      },
    ];
  }
}

export const schemaOfFrameworkIsIgnored = ofApplication((app) => {
  const { ignoreSchema = [] } = app.orm.em.config.get('schemaGenerator');
  if (ignoreSchema.includes('signalbox')) return [];
  return [
    {
      severity: 'warning',
      text: 'MikroORM treats the tables of Signalbox, in the schema "signalbox", as its own: a schema update or a new migration would drop them.',
      remedy: "Leave them out: MikroORM.init({ schemaGenerator: { ignoreSchema: ['signalbox'] } }).",
    },
  ];
});

export const originsAreLimited = ofApplication(({ settings: { origins, trustedProxies } }) => [
  ...(origins === 'any'
    ? [
        {
          severity: 'warning' as const,
          text: 'The setting `origins` is "any": every page that a user visits may open a socket as that user.',
          remedy: 'List the origins of your pages, or leave it out where they come from the same host.',
        },
      ]
    : []),
  ...trustedProxies
    .filter((proxy) => proxy.endsWith('/0'))
    .map((proxy) => ({
      severity: 'error' as const,
      text: `The setting \`trustedProxies\` holds ${proxy}: every client may say which address it has, and evade the limits by address.`,
      remedy: 'Name the addresses of your proxies only.',
    })),
]);

/** A limit that is this many times its default hardly limits anything. */
const FAR = 20;

export const limitsAreThere = ofApplication(({ settings }) => {
  const loose = Object.entries<unknown>(defaultSettings.limits).flatMap(([name, usual]) => {
    const value: unknown = Reflect.get(settings.limits, name);
    return typeof value === 'number' && typeof usual === 'number' && value > usual * FAR
      ? [`${name} (${value} instead of ${usual})`]
      : [];
  });
  const { maxPayload } = settings;
  if (maxPayload > defaultSettings.maxPayload * FAR)
    loose.push(`maxPayload (${maxPayload} instead of ${defaultSettings.maxPayload})`);
  if (loose.length === 0) return [];
  return [
    {
      severity: 'warning',
      text: `These limits are more than ${FAR} times their default: ${loose.join(', ')}.`,
      remedy: 'Lower them to what your clients need: a single client may use up the process.',
    },
  ];
});

export const productionIsNoDevelopment: Check = ({ app, env }) => {
  if (app instanceof Error || env['NODE_ENV'] !== 'production' || !app.settings.development) return [];
  return [
    {
      severity: 'warning',
      text: 'NODE_ENV is production, and the setting `development` is true: the log says what only developers should read.',
      remedy: 'Leave the setting out; it follows NODE_ENV.',
    },
  ];
};

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** Reports nothing if the application cannot be loaded, which another check reports. */
function ofApplication(check: (app: App) => readonly Finding[]): Check {
  return ({ app }) => (app instanceof Error ? [] : check(app));
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  if (!(await machineDeadlines.settles(work, milliseconds))) throw new Error(`no answer in ${milliseconds} ms`);
  return work;
}
