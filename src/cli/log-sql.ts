import { emptyingScript, logScript } from '../log/log-schema.js';
import type { ChangeLogSettings } from '../settings.js';
import { type AddCommand, UsageError } from './command.js';

const DESCRIPTION =
  'Prints the SQL that makes the change log, for a database in which the role of the application may not create schemas. Nothing is run: ' +
  'npx signalbox log:sql --role app | psql "$DATABASE_URL"';

interface Options {
  readonly durability: string;
  readonly slotMinutes: string;
  readonly role?: string;
  readonly empty: boolean;
}

/** `signalbox log:sql`: prints the SQL of the change log's tables, and of the rights on them. */
export const logSql: AddCommand = (program, terminal) => {
  program
    .command('log:sql')
    .summary('print the SQL of the change log')
    .description(DESCRIPTION)
    .option('--durability <durability>', 'unlogged or logged, as the setting changeLog.durability', 'unlogged')
    .option('--slot-minutes <minutes>', 'as the setting changeLog.slotMinutes', '15')
    .option('--role <role>', 'grant this role what the application needs')
    .option('--empty', 'print the SQL that empties the log instead', false)
    .action(({ durability, slotMinutes, role, empty }: Options) => {
      terminal.out(empty ? emptyingScript : logScript(shapeOf(durability, slotMinutes), role));
    });
};

function shapeOf(durability: string, slotMinutes: string): Pick<ChangeLogSettings, 'durability' | 'slotMinutes'> {
  if (durability !== 'unlogged' && durability !== 'logged')
    throw new UsageError(`--durability is ${JSON.stringify(durability)}. Give unlogged or logged.`);
  const minutes = Number(slotMinutes);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 10_080)
    throw new UsageError(`--slot-minutes is ${JSON.stringify(slotMinutes)}. Give a whole number from 1 to 10080.`);
  return { durability, slotMinutes: minutes };
}
