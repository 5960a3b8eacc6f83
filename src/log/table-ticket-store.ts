import type { EntityManager } from '@mikro-orm/core';
import type { StoredTicket, TicketStore } from '../authentication/tickets.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { type RunStatement, statementRunner } from '../orm/statements.js';
import type { Identity } from '../scope/scope-types.js';
import type { ChangeLogSettings } from '../settings.js';

/** The interval in milliseconds in which a process that issues tickets removes expired ones. */
const sweepInterval = 10_000;

const addStatement = {
  name: 'ticket',
  text: 'insert into signalbox.ticket (key, identity, origin, ends_at) values ($1, $2, $3, $4)',
};

/** If two statements delete one row, the second waits for the first and finds nothing. */
const takeStatement = {
  name: 'ticket',
  text: 'delete from signalbox.ticket where key = $1 returning identity, origin, ends_at as "endsAt"',
};

const sweepStatement = { text: 'delete from signalbox.ticket where ends_at <= $1' };

interface Row {
  readonly identity: string;
  readonly origin: string | null;
  readonly endsAt: Date | string;
}

/** The tickets of all processes of a database, in a table beside the change log: a ticket of one process may open a socket on another. */
export class TableTicketStore implements TicketStore {
  readonly #run: RunStatement;
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** @param ready resolves when the table exists */
  constructor(
    em: EntityManager,
    settings: Pick<ChangeLogSettings, 'preparedStatements'>,
    private readonly ready: () => Promise<unknown>,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#run = statementRunner(em, settings);
  }

  async add(key: string, { identity, origin, endsAt }: StoredTicket): Promise<void> {
    await this.ready();
    await this.#run(addStatement, [key, JSON.stringify(identity), origin ?? null, endsAt]);
    this.#sweep();
  }

  async take(key: string): Promise<StoredTicket | undefined> {
    await this.ready();
    const [row] = await this.#run<Row>(takeStatement, [key]);
    const endsAt = new Date(row?.endsAt ?? 0);
    if (!row || endsAt <= this.clock.now()) return undefined;
    return { identity: identityFrom(row.identity), origin: row.origin ?? undefined, endsAt };
  }

  /** Removes expired tickets, by the application's clock, which also sets their expiry. */
  #sweep(): void {
    const now = this.clock.elapsed();
    if (now - this.#sweptAt < sweepInterval) return;
    this.#sweptAt = now;
    this.#run(sweepStatement, [this.clock.now()]).catch((error) =>
      this.logger.warn('Expired tickets could not be removed.', { error }),
    );
  }
}

function identityFrom(text: string): Identity {
  const { expiresAt, ...identity } = JSON.parse(text) as Omit<Identity, 'expiresAt'> & { readonly expiresAt?: string };
  return { ...identity, ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }) };
}
